//! From the events of a generation to the pieces of an answer: thoughts, text, tool calls.

use std::collections::VecDeque;
use std::time::Duration;

use super::prompt::Prompt;
use crate::api::error::ApiError;
use crate::api::id;
use crate::engine::{EngineError, Event, Generation, Summary, TokenLogprob};
use crate::text::{self, Parts, TextModel, ThinkingSplitter, TokenId, Tool, ToolCall, ToolParser, ToolParts};

/// An answer under way. Dropping it cancels the work on the card.
#[derive(Debug)]
pub(crate) struct Answer {
    prompt: Vec<TokenId>,
    reader: Reader,
    generation: Generation,
    /// Pieces made of events that came, to be handed out first.
    ready: VecDeque<Piece>,
    /// What loading the model took before the engine got the request.
    loaded_in: Duration,
}

/// What comes next of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// More of it.
    Delta(Delta),
    /// Its end. Nothing follows.
    Done(Done),
    /// It ends here, incomplete. Nothing follows.
    Error(ApiError),
}

/// What a piece adds to an answer. Any part may be empty, but not all of them; calls come without text.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// To what the model thinks.
    pub(crate) thinking: String,
    /// To what it says.
    pub(crate) content: String,
    /// Calls that are complete now.
    pub(crate) tool_calls: Vec<AnswerCall>,
    /// One element per token generated since the last piece, if they were asked for.
    pub(crate) logprobs: Vec<TokenLogprob>,
}

/// A tool that the model calls.
#[derive(Debug, Clone)]
pub(crate) struct AnswerCall {
    /// Distinguishes the calls of a conversation: `call_` and eight of `a` to `z` and `0` to `9`.
    pub(crate) id: String,
    /// Place among the calls of this answer, from 0.
    pub(crate) index: usize,
    /// What is called, with what.
    pub(crate) call: ToolCall,
}

/// The end of an answer.
#[derive(Debug)]
pub(crate) struct Done {
    /// What was held back until now; often nothing.
    pub(crate) last: Delta,
    /// What the answer took, from its arrival at the engine.
    pub(crate) summary: Summary,
    /// What loading the model took before that.
    pub(crate) loaded_in: Duration,
}

/// An answer in one piece.
#[derive(Debug)]
pub(crate) struct Whole {
    /// All that was said, thought and called.
    pub(crate) all: Delta,
    /// Tokens of the prompt.
    pub(crate) prompt: Vec<TokenId>,
    /// What the answer took, from its arrival at the engine.
    pub(crate) summary: Summary,
    /// What loading the model took before that.
    pub(crate) loaded_in: Duration,
}

impl Answer {
    /// Waits for the first event of a generation.
    ///
    /// # Errors
    /// If it is a failure.
    pub(super) async fn begin(
        prompt: Prompt,
        mut generation: Generation,
        loaded_in: Duration,
    ) -> Result<Self, ApiError> {
        let first = match next(&mut generation).await {
            Event::Error(error) => return Err(error.into()),
            event => event,
        };
        let Prompt { tokens: prompt, reader, .. } = prompt;
        let mut answer = Self { prompt, reader, generation, ready: VecDeque::new(), loaded_in };
        answer.take(first);
        Ok(answer)
    }

    /// Tokens of the prompt, those reused from earlier requests included.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompt.len()
    }

    /// The prompt itself.
    pub(crate) fn prompt(&self) -> &[TokenId] {
        &self.prompt
    }

    /// Waits for the next piece. Cancel-safe. Not to be called again after [`Piece::Done`] or [`Piece::Error`].
    pub(crate) async fn next(&mut self) -> Piece {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return piece;
            }
            let event = next(&mut self.generation).await;
            self.take(event);
        }
    }

    /// Makes pieces of an event; none if all of its text is held back.
    fn take(&mut self, event: Event) {
        match event {
            Event::Text { text, logprobs } => {
                let delta = Delta { logprobs, ..self.reader.push(text) };
                self.ready.extend(delta.apart().map(Piece::Delta));
            }
            Event::Done(summary) => {
                let (mut last, loaded_in) = (self.reader.finish(), self.loaded_in);
                if !last.tool_calls.is_empty() {
                    self.ready.extend(std::mem::take(&mut last).apart().map(Piece::Delta));
                }
                self.ready.push_back(Piece::Done(Done { last, summary, loaded_in }));
            }
            Event::Error(error) => self.ready.push_back(Piece::Error(error.into())),
        }
    }

    /// Waits for the end and returns all of it.
    ///
    /// # Errors
    /// If the answer fails before its end: half of an answer is none.
    pub(crate) async fn whole(mut self) -> Result<Whole, ApiError> {
        let mut all = Delta::default();
        loop {
            match self.next().await {
                Piece::Delta(delta) => all.append(delta),
                Piece::Done(Done { last, summary, loaded_in }) => {
                    all.append(last);
                    return Ok(Whole { all, prompt: self.prompt, summary, loaded_in });
                }
                Piece::Error(error) => return Err(error),
            }
        }
    }
}

async fn next(generation: &mut Generation) -> Event {
    let lost = || Event::Error(EngineError::Internal("the generation ended without a result".into()));
    generation.next().await.unwrap_or_else(lost)
}

impl Delta {
    /// Whether it adds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.thinking.is_empty()
            && self.content.is_empty()
            && self.tool_calls.is_empty()
            && self.logprobs.is_empty()
    }

    /// Text and calls apart, in this order; nothing of nothing.
    fn apart(mut self) -> impl Iterator<Item = Self> {
        let tool_calls = std::mem::take(&mut self.tool_calls);
        let calls = Self { tool_calls, ..Self::default() };
        [self, calls].into_iter().filter(|delta| !delta.is_empty())
    }

    fn append(&mut self, more: Self) {
        self.thinking.push_str(&more.thinking);
        self.content.push_str(&more.content);
        self.tool_calls.extend(more.tool_calls);
        self.logprobs.extend(more.logprobs);
    }
}

/// Takes the text of an answer apart.
#[derive(Debug)]
pub(super) struct Reader {
    thoughts: Thoughts,
    calls: Calls,
}

/// What becomes of the thoughts at the beginning of an answer.
#[derive(Debug)]
enum Thoughts {
    /// The model has none, or raw mode leaves them where they are.
    Untouched,
    /// They are reported apart from the answer.
    Shown(ThinkingSplitter),
    /// They are dropped: the client asked for none, and not every model obeys.
    Hidden(ThinkingSplitter),
}

/// What becomes of calls in an answer.
#[derive(Debug)]
enum Calls {
    /// There is nothing to call, so what looks like a call is text.
    Untouched,
    /// They are reported apart from the answer; `count` so far.
    Shown { parser: Box<ToolParser>, count: usize },
}

impl Reader {
    /// A reader of the answer to a prompt that offers `tools`, of a model that thinks aloud, that has been told not to,
    /// or (`None`) that cannot.
    pub(super) fn new(prompt: &[TokenId], text: &TextModel, thinks: Option<bool>, tools: &[Tool]) -> Self {
        let splitter = || ThinkingSplitter::after(prompt, text);
        let thoughts = match thinks {
            None => Thoughts::Untouched,
            Some(true) => Thoughts::Shown(splitter()),
            Some(false) => Thoughts::Hidden(splitter()),
        };
        let calls = match text.tool_format().filter(|_| !tools.is_empty()) {
            None => Calls::Untouched,
            Some(format) => Calls::Shown { parser: Box::new(ToolParser::new(format, tools)), count: 0 },
        };
        Self { thoughts, calls }
    }

    /// The thoughts that a grammar has to let pass: those that the model was asked for.
    pub(super) fn thoughts_before(&self) -> Option<text::Thoughts<'static>> {
        match &self.thoughts {
            Thoughts::Shown(splitter) => Some(splitter.thoughts()),
            Thoughts::Untouched | Thoughts::Hidden(_) => None,
        }
    }

    fn push(&mut self, text: String) -> Delta {
        let parts = match &mut self.thoughts {
            Thoughts::Untouched => Parts { thinking: String::new(), content: text },
            Thoughts::Shown(splitter) => splitter.push(&text),
            Thoughts::Hidden(splitter) => Parts { thinking: String::new(), ..splitter.push(&text) },
        };
        self.calls.push(parts)
    }

    fn finish(&mut self) -> Delta {
        let parts = match &mut self.thoughts {
            Thoughts::Untouched => Parts::default(),
            Thoughts::Shown(splitter) => splitter.finish(),
            Thoughts::Hidden(splitter) => Parts { thinking: String::new(), ..splitter.finish() },
        };
        let mut last = self.calls.push(parts);
        last.append(self.calls.finish());
        last
    }
}

impl Calls {
    fn push(&mut self, parts: Parts) -> Delta {
        let Parts { thinking, content } = parts;
        let rest = match self {
            Self::Untouched => Delta { content, ..Delta::default() },
            Self::Shown { parser, count } => delta(parser.push(&content), count),
        };
        Delta { thinking, ..rest }
    }

    fn finish(&mut self) -> Delta {
        match self {
            Self::Untouched => Delta::default(),
            Self::Shown { parser, count } => delta(parser.finish(), count),
        }
    }
}

/// Text and calls as parts of an answer; calls are numbered on from `count`.
fn delta(parts: ToolParts, count: &mut usize) -> Delta {
    let number = |call| {
        let index = *count;
        *count += 1;
        AnswerCall { id: id::call(), index, call }
    };
    let tool_calls = parts.calls.into_iter().map(number).collect();
    Delta { content: parts.content, tool_calls, ..Delta::default() }
}
