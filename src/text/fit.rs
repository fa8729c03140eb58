//! Makes a conversation fit the context by forgetting its beginning.
//!
//! The rule is Ollama's: the oldest messages go first, one by one; system messages among them are kept and stand at
//! the front; the last message always stays. Ollama renders once per message to find the cut. Here the cut is found by
//! bisection, as a prompt with fewer messages is shorter: a conversation of a thousand messages is rendered ten times.

use super::{Message, TextError, TokenId};

/// Returns the tokens of as many of the newest messages as fit into `limit` tokens.
///
/// `tokens_of` renders and tokenises. A template may refuse a conversation that begins in the middle (for instance with
/// an answer); such a cut is passed over.
pub(crate) fn fit_chat(
    messages: &[Message],
    limit: usize,
    truncate: bool,
    tokens_of: impl Fn(&[Message]) -> Result<Vec<TokenId>, TextError>,
) -> Result<Vec<TokenId>, TextError> {
    let whole = tokens_of(messages)?;
    if whole.len() <= limit {
        return Ok(whole);
    }
    if !truncate || messages.len() < 2 {
        return Err(TextError::PromptTooLong { tokens: whole.len(), limit });
    }
    let without = |dropped: usize| {
        let system = messages[..dropped].iter().filter(|message| message.role == "system");
        tokens_of(&system.chain(&messages[dropped..]).cloned().collect::<Vec<_>>())
    };
    let Some((mut enough, mut best)) = first_accepted((1..messages.len()).rev(), without)? else {
        return Err(TextError::PromptTooLong { tokens: whole.len(), limit });
    };
    if best.len() > limit {
        return Err(TextError::PromptTooLong { tokens: best.len(), limit });
    }
    // Dropping `too_few` messages does not make it fit, dropping `enough` does.
    let mut too_few = 0;
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        match first_accepted(middle..enough, without)? {
            Some((dropped, tokens)) if tokens.len() > limit => too_few = dropped,
            Some((_, tokens)) => (enough, best) = (middle, tokens),
            None => enough = middle,
        }
    }
    Ok(best)
}

/// The first of the cuts that the template does not refuse, and its tokens.
fn first_accepted(
    cuts: impl Iterator<Item = usize>,
    tokens_of: impl Fn(usize) -> Result<Vec<TokenId>, TextError>,
) -> Result<Option<(usize, Vec<TokenId>)>, TextError> {
    for dropped in cuts {
        match tokens_of(dropped) {
            Ok(tokens) => return Ok(Some((dropped, tokens))),
            Err(TextError::TemplateRefused(_) | TextError::Template(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// One token per character of content, plus one per message.
    fn count(messages: &[Message]) -> Vec<TokenId> {
        messages.iter().flat_map(|message| message.content.bytes().chain([0])).map(TokenId::from).collect()
    }

    fn conversation(pairs: &[(&str, &str)]) -> Vec<Message> {
        pairs.iter().map(|(role, content)| Message::new(*role, *content)).collect()
    }

    fn text(tokens: &[TokenId]) -> String {
        tokens
            .iter()
            .filter_map(|&token| char::from_u32(token))
            .map(|c| if c == '\0' { '|' } else { c })
            .collect()
    }

    #[test]
    fn drops_the_oldest_until_it_fits_and_keeps_the_system_message() {
        let messages =
            conversation(&[("system", "s"), ("user", "aaaa"), ("assistant", "bb"), ("user", "cc")]);
        let fit = |limit| fit_chat(&messages, limit, true, |messages| Ok(count(messages))).map(|t| text(&t));
        assert_eq!(fit(13).unwrap(), "s|aaaa|bb|cc|");
        assert_eq!(fit(12).unwrap(), "s|bb|cc|");
        assert_eq!(fit(8).unwrap(), "s|bb|cc|");
        assert_eq!(fit(7).unwrap(), "s|cc|");
        assert!(matches!(fit(4), Err(TextError::PromptTooLong { tokens: 5, limit: 4 })));
    }

    #[test]
    fn without_truncation_too_long_is_an_error() {
        let messages = conversation(&[("user", "aaaa"), ("user", "b")]);
        let result = fit_chat(&messages, 5, false, |messages| Ok(count(messages)));
        assert!(matches!(result, Err(TextError::PromptTooLong { tokens: 7, limit: 5 })));
    }

    #[test]
    fn cuts_that_the_template_refuses_are_passed_over() {
        let messages = conversation(&[
            ("user", "a"),
            ("assistant", "b"),
            ("user", "c"),
            ("assistant", "d"),
            ("user", "e"),
        ]);
        let strict = |messages: &[Message]| match messages[0].role.as_str() {
            "user" => Ok(count(messages)),
            _ => Err(TextError::TemplateRefused("must begin with user".into())),
        };
        for (limit, expected) in [(9, "c|d|e|"), (8, "c|d|e|"), (6, "c|d|e|"), (5, "e|"), (2, "e|")] {
            assert_eq!(text(&fit_chat(&messages, limit, true, strict).unwrap()), expected, "limit {limit}");
        }
    }

    #[test]
    fn long_conversations_are_rendered_a_few_times_only() {
        let messages: Vec<Message> = (0..1000).map(|_| Message::new("user", "abc")).collect();
        let renders = Cell::new(0);
        let tokens = fit_chat(&messages, 402, true, |messages| {
            renders.set(renders.get() + 1);
            Ok(count(messages))
        });
        assert_eq!(tokens.unwrap().len(), 400);
        assert!(renders.get() < 15, "{} renders", renders.get());
    }
}
