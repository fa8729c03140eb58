//! Makes a conversation fit the context by forgetting its beginning.
//!
//! The rule is Ollama's: the oldest messages go first, one by one; system messages among them are kept and stand at
//! the front; the last message always stays. Ollama renders once per message to find the cut. Here the cut is found by
//! bisection, as a prompt with fewer messages is shorter: a conversation of a thousand messages is rendered ten times.
//!
//! A client may send a hundred megabytes, and rendering or tokenising them would take gigabytes and minutes. So what
//! cannot fit by its bytes alone ([`BYTES_PER_TOKEN`]) is dropped before anything is rendered. What a template makes of
//! the rest may still be long, by its tools or by what the template adds: that is measured before it is tokenised. So
//! rendering takes what the limits of templates allow, and tokenising what the context needs.

use serde_json::Value;

use super::{Message, TextError, TokenId};

/// Bytes of a prompt that are looked at for each token that fits. Words have some four, runs of blanks or dashes up to
/// some hundred: a prompt of nothing else is cut earlier than it need be.
pub(crate) const BYTES_PER_TOKEN: usize = 64;

/// Cuts that a template may refuse before no more are tried. A long chain of calls that must begin with its question
/// has many.
const MAX_REFUSED: usize = 256;
/// Conversations that a template may leave unfinished within its budget before no longer ones are tried.
const MAX_UNFINISHED: usize = 6;

/// Returns the tokens of as many of the newest messages as fit into `limit` tokens.
///
/// `tokens_of` renders and tokenises; it may say [`TextError::PromptTooLong`] instead of tokenising. A template may
/// refuse a conversation that begins in the middle (for instance with an answer); such a cut is passed over. A
/// conversation that it does not render within its budget is too long.
///
/// # Errors
///
/// [`TextError::PromptTooLong`]; what `tokens_of` says of the whole conversation, or of the shortest if it refuses all;
/// [`TextError::TemplateBudget`] if not even the shortest one is rendered.
pub(crate) fn fit_chat(
    messages: &[Message],
    limit: usize,
    truncate: bool,
    tokens_of: impl Fn(&[Message]) -> Result<Vec<TokenId>, TextError>,
) -> Result<Vec<TokenId>, TextError> {
    let too_long = || TextError::PromptTooLong { limit };
    let least = least_dropped(messages, limit).ok_or_else(too_long)?;
    let is_alone = messages.len() < 2;
    if least == 0 {
        match tokens_of(messages) {
            Ok(tokens) if tokens.len() <= limit => return Ok(tokens),
            Ok(_) | Err(TextError::PromptTooLong { .. }) => {}
            Err(TextError::TemplateBudget) if truncate && !is_alone => {}
            Err(error) => return Err(error),
        }
    }
    if !truncate || is_alone {
        return Err(too_long());
    }
    let is_whole_accepted = least == 0;
    let least = least.max(1);
    let mut search = Search { messages, limit, tokens_of, refused: 0, refusal: None, unfinished: 0 };
    let (mut enough, mut best) = match search.first_accepted((least..messages.len()).rev())? {
        Some((dropped, Attempt::Fits(tokens))) => (dropped, tokens),
        Some((_, Attempt::Unfinished)) => return Err(TextError::TemplateBudget),
        Some(_) => return Err(too_long()),
        // Where nothing is accepted, the length is not what is wrong.
        None => return Err(search.refusal.filter(|_| !is_whole_accepted).unwrap_or_else(too_long)),
    };
    // Dropping fewer than `too_few` messages does not make it fit, dropping `enough` does.
    let mut too_few = least;
    while enough > too_few && search.goes_on() {
        let middle = too_few.midpoint(enough);
        match search.first_accepted(middle..enough)? {
            Some((_, Attempt::Fits(tokens))) => (enough, best) = (middle, tokens),
            Some((dropped, _)) => too_few = dropped + 1,
            None => enough = middle,
        }
    }
    Ok(best)
}

/// What a conversation came to.
enum Attempt {
    Fits(Vec<TokenId>),
    TooLong,
    /// The template's budget ended first.
    Unfinished,
    /// The template does not want it.
    Refused,
}

/// The search for the least that has to be dropped.
struct Search<'a, F> {
    messages: &'a [Message],
    limit: usize,
    tokens_of: F,
    refused: usize,
    /// What the template said of the first that it refused.
    refusal: Option<TextError>,
    unfinished: usize,
}

impl<F: Fn(&[Message]) -> Result<Vec<TokenId>, TextError>> Search<'_, F> {
    fn goes_on(&self) -> bool {
        self.refused < MAX_REFUSED && self.unfinished < MAX_UNFINISHED
    }

    /// What the first of the cuts that the template does not refuse comes to.
    fn first_accepted(
        &mut self,
        cuts: impl Iterator<Item = usize>,
    ) -> Result<Option<(usize, Attempt)>, TextError> {
        for dropped in cuts {
            if !self.goes_on() {
                break;
            }
            match self.attempt(dropped)? {
                Attempt::Refused => self.refused += 1,
                outcome => return Ok(Some((dropped, outcome))),
            }
        }
        Ok(None)
    }

    fn attempt(&mut self, dropped: usize) -> Result<Attempt, TextError> {
        let (old, new) = self.messages.split_at(dropped);
        let system = old.iter().filter(|message| message.role == "system");
        let kept: Vec<Message> = system.chain(new).cloned().collect();
        match (self.tokens_of)(&kept) {
            Ok(tokens) if tokens.len() <= self.limit => Ok(Attempt::Fits(tokens)),
            Ok(_) | Err(TextError::PromptTooLong { .. }) => Ok(Attempt::TooLong),
            Err(TextError::TemplateBudget) => {
                self.unfinished += 1;
                Ok(Attempt::Unfinished)
            }
            Err(error @ (TextError::TemplateRefused(_) | TextError::Template(_))) => {
                self.refusal.get_or_insert(error);
                Ok(Attempt::Refused)
            }
            Err(error) => Err(error),
        }
    }
}

/// How many messages have to go at least before the rest can fit `limit` tokens; `None` if the last one cannot.
fn least_dropped(messages: &[Message], limit: usize) -> Option<usize> {
    let most = limit.saturating_mul(BYTES_PER_TOKEN);
    let mut bytes: usize = messages.iter().map(bytes).sum();
    let mut dropped = 0;
    while bytes > most {
        if dropped + 1 >= messages.len() {
            return None;
        }
        let message = &messages[dropped];
        if message.role != "system" {
            bytes -= self::bytes(message);
        }
        dropped += 1;
    }
    Some(dropped)
}

/// What a message counts: even an empty one is a token of the prompt.
fn bytes(message: &Message) -> usize {
    BYTES_PER_TOKEN + message.content.len() + message.extra.values().map(text_bytes).sum::<usize>()
}

/// Bytes of the texts in a value.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + text_bytes(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// Returns a text without its middle: the first `head` bytes of it and the last `tail`, or a little less where a
/// character would be cut.
pub(crate) fn text_without_middle(text: &str, head: usize, tail: usize) -> String {
    let end = text.floor_char_boundary(head);
    let start = text.ceil_char_boundary(text.len().saturating_sub(tail)).max(end);
    [&text[..end], &text[start..]].concat()
}

/// Returns a conversation without its middle: the first `head` bytes of its contents and the last `tail`. Messages of
/// which nothing stays are left out, but for the last one.
pub(crate) fn without_middle(messages: &[&Message], head: usize, tail: usize) -> Vec<Message> {
    let total: usize = messages.iter().map(|message| message.content.len()).sum();
    let tail_start = total.saturating_sub(tail);
    let mut start = 0;
    let mut kept = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let length = message.content.len();
        let head_here = head.saturating_sub(start).min(length);
        let tail_here = (start + length).saturating_sub(tail_start).min(length);
        start += length;
        if head_here + tail_here > 0 || index + 1 == messages.len() {
            let content = text_without_middle(&message.content, head_here, tail_here);
            kept.push(Message { role: message.role.clone(), content, extra: message.extra.clone() });
        }
    }
    kept
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
        assert!(matches!(fit(4), Err(TextError::PromptTooLong { limit: 4 })));
    }

    #[test]
    fn without_truncation_too_long_is_an_error() {
        let messages = conversation(&[("user", "aaaa"), ("user", "b")]);
        let result = fit_chat(&messages, 5, false, |messages| Ok(count(messages)));
        assert!(matches!(result, Err(TextError::PromptTooLong { limit: 5 })));
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

    #[test]
    fn what_cannot_fit_by_its_bytes_is_not_even_rendered() {
        let long = "x".repeat(1 << 20);
        let pairs: Vec<_> = std::iter::repeat_n(("user", long.as_str()), 50)
            .chain([("system", "s"), ("user", "a"), ("user", "b")])
            .collect();
        let messages = conversation(&pairs);
        let rendered = Cell::new(0);
        let fit = |limit, truncate| {
            fit_chat(&messages, limit, truncate, |messages| {
                let tokens = count(messages);
                rendered.set(rendered.get() + tokens.len());
                Ok(tokens)
            })
        };
        assert_eq!(text(&fit(100, true).unwrap()), "s|a|b|");
        assert_eq!(text(&fit(5, true).unwrap()), "s|b|");
        assert!(matches!(fit(100, false), Err(TextError::PromptTooLong { .. })));
        assert!(rendered.get() < 100, "{} bytes", rendered.get());
        // The last message alone, and one before it that is kept.
        for messages in [&messages[49..50], &conversation(&[("system", &long), ("user", "a")])[..]] {
            let result = fit_chat(messages, 100, true, |_| panic!("it is too long"));
            assert!(matches!(result, Err(TextError::PromptTooLong { .. })));
        }
    }

    #[test]
    fn what_is_too_long_once_rendered_is_as_what_has_too_many_tokens() {
        let messages = conversation(&[("user", "aaaa"), ("user", "b"), ("user", "c")]);
        let fit = |messages: &[Message], most: usize, truncate| {
            fit_chat(messages, 100, truncate, |messages| {
                let tokens = count(messages);
                let is_short = tokens.len() <= most;
                if is_short { Ok(tokens) } else { Err(TextError::PromptTooLong { limit: 100 }) }
            })
        };
        assert_eq!(text(&fit(&messages, 9, true).unwrap()), "aaaa|b|c|");
        assert_eq!(text(&fit(&messages, 8, true).unwrap()), "b|c|");
        assert!(matches!(fit(&messages, 1, true), Err(TextError::PromptTooLong { limit: 100 })));
        assert!(matches!(fit(&messages, 8, false), Err(TextError::PromptTooLong { limit: 100 })));
        assert!(matches!(fit(&messages[..1], 4, true), Err(TextError::PromptTooLong { limit: 100 })));
    }

    #[test]
    fn a_conversation_beyond_the_templates_budget_is_too_long() {
        let messages: Vec<Message> = (0..100).map(|_| Message::new("user", "abc")).collect();
        let on_a_budget = |messages: &[Message]| {
            if messages.len() > 10 { Err(TextError::TemplateBudget) } else { Ok(count(messages)) }
        };
        assert_eq!(fit_chat(&messages, 1000, true, on_a_budget).unwrap().len(), 40);
        let none = |_: &[Message]| Err(TextError::TemplateBudget);
        assert!(matches!(fit_chat(&messages, 1000, true, none), Err(TextError::TemplateBudget)));
    }

    #[test]
    fn a_template_that_refuses_every_cut_is_not_asked_for_ever() {
        let messages: Vec<Message> = (0..2000).map(|_| Message::new("user", "abc")).collect();
        let asked = Cell::new(0);
        let result = fit_chat(&messages, 3000, true, |messages| {
            asked.set(asked.get() + 1);
            if messages.len() == 2000 { Ok(count(messages)) } else { Err(TextError::Template("no".into())) }
        });
        assert!(matches!(result, Err(TextError::PromptTooLong { .. })));
        assert!(asked.get() < 300, "{} renders", asked.get());
    }

    #[test]
    fn a_template_that_fails_on_everything_is_not_told_as_a_length() {
        let messages = conversation(&[("user", &"x".repeat(10_000)), ("user", "a"), ("user", "b")]);
        let result = fit_chat(&messages, 100, true, |messages| {
            Err(TextError::Template(format!("line 7, {} messages", messages.len())))
        });
        assert!(matches!(result, Err(TextError::Template(reason)) if reason == "line 7, 1 messages"));
        let strict = |_: &[Message]| Err(TextError::TemplateRefused("no".into()));
        assert!(matches!(fit_chat(&messages, 100, true, strict), Err(TextError::TemplateRefused(_))));
    }

    #[test]
    fn the_middle_goes_and_no_character_is_cut() {
        assert_eq!(text_without_middle("abcdef", 2, 1), "abf");
        assert_eq!(text_without_middle("abcdef", 4, 4), "abcdef");
        assert_eq!(text_without_middle("\u{e9}\u{e9}\u{e9}", 1, 3), "\u{e9}");
        let messages = conversation(&[("system", "abc"), ("system", "def"), ("system", ""), ("user", "ghi")]);
        let all: Vec<&Message> = messages.iter().collect();
        let cut = |head, tail| -> Vec<String> {
            without_middle(&all, head, tail).into_iter().map(|message| message.content).collect()
        };
        assert_eq!(cut(2, 2), ["ab", "hi"]);
        assert_eq!(cut(4, 4), ["abc", "df", "ghi"]);
        assert_eq!(cut(0, 0), [""]);
        assert_eq!(cut(6, 6)[..2], ["abc", "def"]);
    }
}
