//! What is asked of the engine, and what it answers.
//!
//! A [`Generation`] is the client's end of one request, an `Outlet` the card's end. Between them is a bounded
//! channel of events. The card thread never waits for it: when it is full, the scheduler passes the request over
//! until the client has read. One place of the channel is set aside from the start, so that the last event of a
//! request can always be delivered, also to a client that reads slowly, also when the request is given up by a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::EngineError;
use super::keep_alive::KeepAlive;
use super::mailbox::Bell;
use super::sampler::SamplingOptions;
use crate::device::CancelFlag;
use crate::models::model::Model;
use crate::text::{Grammar, SpelledTokens, ThoughtLimit, TokenId};

/// One prompt to be continued.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model that answers; it is loaded if it is not on the card.
    pub model: Arc<Model>,
    /// The rendered prompt, `1..=context` tokens, each below the model's vocabulary size.
    pub prompt: Vec<TokenId>,
    /// How to continue it.
    pub options: GenerateOptions,
    /// Replaces how long the model stays loaded; `None` leaves it as it is.
    pub keep_alive: Option<KeepAlive>,
}

/// How a prompt is continued.
#[derive(Debug, Clone)]
pub struct GenerateOptions {
    /// How each token is chosen.
    pub sampling: SamplingOptions,
    /// At most this many tokens. Negative: until the model ends by itself, capped at ten contexts.
    /// Zero: the prompt is computed and nothing is generated.
    pub num_predict: i64,
    /// Texts that end the answer. They are not part of it.
    pub stop: Vec<String>,
    /// Report the log-probability of each token, and of this many best alternatives.
    pub logprobs: Option<usize>,
    /// When the context is full, half of what comes after the first so many tokens is forgotten and the answer goes on.
    /// `None`: it ends there.
    pub slide: Option<usize>,
    /// The form of the answer, compiled for this model's vocabulary. An answer that is complete ends with
    /// [`DoneReason::Stop`]. Log-probabilities are those without it.
    pub grammar: Option<Grammar>,
    /// Special tokens that are part of the text.
    pub spelled: SpelledTokens,
    /// Ends thoughts that take too long.
    pub thoughts: Option<ThoughtLimit>,
}

impl Default for GenerateOptions {
    /// Ollama's defaults: no limit, no stop text, no log-probabilities, any form.
    fn default() -> Self {
        Self {
            sampling: SamplingOptions::default(),
            num_predict: -1,
            stop: Vec::new(),
            logprobs: None,
            slide: None,
            grammar: None,
            spelled: SpelledTokens::default(),
            thoughts: None,
        }
    }
}

/// Something that happened to a request. After `Done` or `Error` nothing follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// More of the answer. The text may be empty when only log-probabilities are to report, because the text is
    /// held back: it may be the beginning of a stop text or of a character.
    Text {
        /// What to append to the answer; whole characters.
        text: String,
        /// One element per token generated since the last event, if they were asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// The answer is complete.
    Done(Summary),
    /// The answer ends here, incomplete.
    Error(EngineError),
}

/// The log-probability of a generated token, over the logits as the model gave them.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub id: TokenId,
    /// Its text by itself; a part of a character shows as U+FFFD.
    pub token: String,
    /// Natural logarithm of its probability, at most 0.
    pub logprob: f32,
    /// The best tokens at this position, best first, as many as asked for. Their own `top` is empty.
    pub top: Vec<TokenLogprob>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoneReason {
    /// The model ended it, a stop text occurred, or it is complete in the form that was asked for.
    Stop,
    /// `num_predict` tokens were generated, or the context is full and nothing of it may be forgotten.
    Length,
}

/// What an answer took. Durations are wall-clock, waiting for other conversations on the card included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Why it ended.
    pub reason: DoneReason,
    /// Time to load the model; zero if it was loaded.
    pub load: Duration,
    /// Tokens of the prompt, those reused from an earlier request included.
    pub prompt_tokens: usize,
    /// Tokens of the prompt whose keys and values were still on the card.
    pub reused_tokens: usize,
    /// From the first step of the prompt to its last.
    pub prompt_eval: Duration,
    /// Tokens generated, an end token included.
    pub eval_tokens: usize,
    /// From the end of the prompt to the end of the answer.
    pub eval: Duration,
    /// From the arrival of the request.
    pub total: Duration,
    /// The part of `eval` for which the card waited because of the grammar; zero without one.
    pub grammar: Duration,
    /// The tokens generated, without an end token.
    pub tokens: Vec<TokenId>,
}

/// What loading a model took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadReport {
    /// Time spent loading; zero if the model was on the card already.
    pub load: Duration,
    /// Tokens one conversation can hold.
    pub context_len: usize,
    /// Bytes of card memory.
    pub size_bytes: u64,
}

/// The flags that both ends of a request share.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Set by the client's end; read by the driver before every layer and after every wait.
    pub(crate) cancel: CancelFlag,
    /// The card passed the request over because its channel is full, and wants to hear when it was read.
    starved: Arc<AtomicBool>,
    bell: Bell,
}

/// The client's end of a request. Dropping it cancels the request within one token at the latest.
#[derive(Debug)]
pub struct Generation {
    events: mpsc::Receiver<Event>,
    link: Link,
}

impl Generation {
    /// The next event; `None` after `Done` or `Error`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        if self.link.starved.swap(false, Ordering::SeqCst) {
            self.link.bell.ring();
        }
        event
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.link.cancel.cancel();
        self.link.bell.ring();
    }
}

/// The card's end of a request.
#[derive(Debug)]
pub(crate) struct Outlet {
    events: mpsc::Sender<Event>,
    /// The place set aside for the last event.
    last: Option<mpsc::OwnedPermit<Event>>,
    link: Link,
}

/// Makes the two ends of a request whose channel holds `capacity` events and the last one.
pub(crate) fn channel(capacity: usize, bell: Bell) -> (Generation, Outlet) {
    let (sender, receiver) = mpsc::channel(capacity.max(1) + 1);
    let link = Link { cancel: CancelFlag::default(), starved: Arc::default(), bell };
    let last = sender.clone().try_reserve_owned().ok();
    (Generation { events: receiver, link: link.clone() }, Outlet { events: sender, last, link })
}

impl Outlet {
    /// The flag that the client sets by leaving.
    pub(crate) fn cancel(&self) -> &CancelFlag {
        &self.link.cancel
    }

    /// Whether nobody waits for this answer any more.
    pub(crate) fn abandoned(&self) -> bool {
        self.link.cancel.is_cancelled() || self.events.is_closed()
    }

    /// Whether one more event fits. If not, the bell rings once the client has read.
    pub(crate) fn has_room(&self) -> bool {
        if self.events.capacity() > 0 {
            return true;
        }
        self.link.starved.store(true, Ordering::SeqCst);
        // The client may have read between the two lines above, before it could see the flag.
        let room = self.events.capacity() > 0;
        if room {
            self.link.starved.store(false, Ordering::SeqCst);
        }
        room
    }

    /// Sends a piece of the answer. Call only when there is room; to a client that has left it goes nowhere.
    pub(crate) fn text(&self, text: String, logprobs: Vec<TokenLogprob>) {
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(Event::Text { text, logprobs })
        {
            tracing::error!("an event of a request was dropped because its channel is full");
        }
    }

    /// Sends the last event and closes the channel.
    pub(crate) fn finish(mut self, event: Event) {
        self.send_last(event);
    }

    fn send_last(&mut self, event: Event) {
        if let Some(place) = self.last.take() {
            place.send(event);
        }
    }
}

impl Drop for Outlet {
    /// A request dropped without an answer, by a panic on the card thread, still gets its last event.
    fn drop(&mut self) {
        self.send_last(Event::Error(EngineError::Internal(
            "the request was dropped on the card thread".into(),
        )));
    }
}
