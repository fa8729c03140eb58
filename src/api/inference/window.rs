//! The window of a request: how long its prompt may be, and what goes where it is longer.
//!
//! The window of a model is compiled into its layers. `num_ctx` of a request can narrow it for the prompt, never widen
//! it. A conversation that does not fit loses its oldest messages; if the last message alone is too long and the window
//! may slide (`shift`, the default), the first `num_keep` tokens and the newest part stay and about half of the window
//! is left free for the answer, as upstream does. An answer that reaches the end of the compiled window goes on in the
//! same manner: half of what comes after the first `num_keep` tokens is forgotten, and without `num_predict` it ends
//! after ten windows. With `shift: false` it ends at `num_ctx`. Either way `done_reason` is "length".

use std::borrow::Cow;

use super::options::Options;
use crate::api::error::ApiError;
use crate::text::{
    BYTES_PER_TOKEN, Message, RenderOptions, TextError, TextModel, TokenId, text_without_middle,
    without_middle,
};

/// Upper bound of an answer without `num_predict`, in windows.
const UNLIMITED_WINDOWS: usize = 10;

/// How far prompts and answers may go, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Most tokens of a prompt.
    pub(crate) limit: usize,
    /// Tokens at the start that survive a cut.
    num_keep: usize,
    truncate: bool,
    shift: bool,
}

impl Window {
    /// The window of a request: the compiled context, narrowed by the request or else by the server's default.
    pub(crate) fn new(
        context_len: usize,
        default_num_ctx: Option<usize>,
        options: &Options,
        truncate: bool,
        shift: bool,
    ) -> Self {
        let wanted = options.num_ctx.or(default_num_ctx).unwrap_or(context_len);
        Self { limit: wanted.min(context_len), num_keep: options.num_keep, truncate, shift }
    }

    /// Tells the answer to slide, or else limits it to what is left of the window. Its last token needs no place.
    pub(crate) fn limit_answer(&self, prompt_len: usize, options: &mut Options) {
        if self.shift {
            options.generate.slide = Some(self.num_keep);
            if options.generate.num_predict < 0 {
                let most = self.limit.saturating_mul(UNLIMITED_WINDOWS);
                options.generate.num_predict = i64::try_from(most).unwrap_or(i64::MAX);
            }
            return;
        }
        let room = i64::try_from(self.limit.saturating_sub(prompt_len) + 1).unwrap_or(i64::MAX);
        let num_predict = &mut options.generate.num_predict;
        if *num_predict < 0 || *num_predict > room {
            *num_predict = room;
        }
    }

    /// The tokens of a conversation, cut to the window.
    pub(crate) fn fit_chat(
        &self,
        text: &TextModel,
        messages: &[Message],
        render: &RenderOptions,
    ) -> Result<Vec<TokenId>, ApiError> {
        match text.fit_chat(messages, render, self.limit, self.truncate) {
            Err(TextError::PromptTooLong { .. }) if self.truncate && self.shift => {
                let last = messages.len().saturating_sub(1);
                let system = messages[..last].iter().filter(|message| message.role == "system");
                let shortest: Vec<&Message> = system.chain(&messages[last..]).collect();
                let shortest = self.shorten_chat(&shortest)?;
                self.fit_text(text, &text.render(&shortest, render)?)
            }
            fitted => Ok(fitted?),
        }
    }

    /// The tokens of a prompt as text, cut to the window.
    pub(crate) fn fit_text(&self, text: &TextModel, prompt: &str) -> Result<Vec<TokenId>, ApiError> {
        self.fit_tokens(text.encode_prompt(&self.shorten(prompt)?)?)
    }

    /// A text without that part of its middle that a cut would take out of its tokens anyway. Nothing longer than what
    /// comes out is worth to be tokenised.
    ///
    /// # Errors
    /// [`ApiError::PromptTooLong`] if it has such a part and must not be cut.
    pub(crate) fn shorten<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, ApiError> {
        let Some((head, tail)) = self.ends_of(text.len())? else { return Ok(text.into()) };
        Ok(text_without_middle(text, head, tail).into())
    }

    /// As [`Window::shorten`], for the contents of messages. What a template makes of them can be longer all the same.
    pub(crate) fn shorten_chat(&self, messages: &[&Message]) -> Result<Vec<Message>, ApiError> {
        let length = messages.iter().map(|message| message.content.len()).sum();
        match self.ends_of(length)? {
            Some((head, tail)) => Ok(without_middle(messages, head, tail)),
            None => Ok(messages.iter().map(|&message| message.clone()).collect()),
        }
    }

    /// How many bytes at both ends of a text can survive a cut; `None` if the text may fit as it is.
    fn ends_of(&self, length: usize) -> Result<Option<(usize, usize)>, ApiError> {
        if length <= self.limit.saturating_mul(BYTES_PER_TOKEN) {
            return Ok(None);
        }
        let (keep, newest) = self.cut()?;
        Ok(Some((keep * BYTES_PER_TOKEN, newest * BYTES_PER_TOKEN)))
    }

    /// Tokens cut to the window.
    pub(crate) fn fit_tokens(&self, mut tokens: Vec<TokenId>) -> Result<Vec<TokenId>, ApiError> {
        if tokens.len() <= self.limit {
            return Ok(tokens);
        }
        let (keep, newest) = self.cut()?;
        tokens.drain(keep..tokens.len() - newest);
        Ok(tokens)
    }

    /// How many of the first and of the newest tokens stay when a prompt is cut.
    fn cut(&self) -> Result<(usize, usize), ApiError> {
        if !(self.truncate && self.shift) {
            return Err(ApiError::PromptTooLong);
        }
        let keep = self.num_keep.min(self.limit / 2);
        Ok((keep, (self.limit - keep).div_ceil(2)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn window(limit: usize, truncate: bool, shift: bool) -> Window {
        let options = Options::merged(&Map::new(), &Map::new()).unwrap();
        Window::new(limit, None, &options, truncate, shift)
    }

    #[test]
    fn the_request_narrows_the_window_and_never_widens_it() {
        let mut options = Options::merged(&Map::new(), &Map::new()).unwrap();
        assert_eq!(Window::new(512, Some(128), &options, true, true).limit, 128);
        options.num_ctx = Some(256);
        assert_eq!(Window::new(512, Some(128), &options, true, true).limit, 256);
        options.num_ctx = Some(4096);
        assert_eq!(Window::new(512, None, &options, true, true).limit, 512);
    }

    #[test]
    fn a_long_prompt_keeps_its_start_and_its_newest_part() {
        let tokens: Vec<TokenId> = (0..100).collect();
        let cut = window(20, true, true).fit_tokens(tokens.clone()).unwrap();
        assert_eq!(cut, [0, 1, 2, 3, 92, 93, 94, 95, 96, 97, 98, 99]);
        assert_eq!(window(100, false, false).fit_tokens(tokens.clone()).unwrap(), tokens);
        for (truncate, shift) in [(false, true), (true, false)] {
            let error = window(99, truncate, shift).fit_tokens(tokens.clone()).unwrap_err();
            assert!(matches!(error, ApiError::PromptTooLong));
        }
    }

    #[test]
    fn what_a_cut_would_take_out_is_not_tokenised() {
        let (start, end) = ("s".repeat(4 * BYTES_PER_TOKEN), "e".repeat(8 * BYTES_PER_TOKEN));
        let long = [start.as_str(), &"m".repeat(1 << 20), &end].concat();
        let wide = window(20, true, true);
        assert_eq!(wide.shorten(&long).unwrap(), [start.as_str(), &end].concat());
        assert!(matches!(wide.shorten(&long[..20 * BYTES_PER_TOKEN]).unwrap(), Cow::Borrowed(_)));
        let messages = [Message::new("system", &start[..100]), Message::new("user", &long[100..])];
        let kept = wide.shorten_chat(&messages.each_ref()).unwrap();
        assert_eq!(kept[0], messages[0]);
        assert_eq!(kept[1].content, [&start[100..], &end].concat());
        for window in [window(20, false, true), window(20, true, false)] {
            assert!(matches!(window.shorten(&long), Err(ApiError::PromptTooLong)));
            assert!(matches!(window.shorten_chat(&messages.each_ref()), Err(ApiError::PromptTooLong)));
        }
    }

    #[test]
    fn an_answer_that_must_not_slide_ends_with_the_window() {
        let mut options = Options::merged(&Map::new(), &Map::new()).unwrap();
        window(20, true, true).limit_answer(15, &mut options);
        assert_eq!((options.generate.num_predict, options.generate.slide), (200, Some(4)));
        options.generate.num_predict = -1;
        options.generate.slide = None;
        window(20, true, false).limit_answer(15, &mut options);
        assert_eq!((options.generate.num_predict, options.generate.slide), (6, None));
        options.generate.num_predict = 3;
        window(20, true, false).limit_answer(15, &mut options);
        assert_eq!(options.generate.num_predict, 3);
    }
}
