//! From the events of a generation to the records of an answer, streamed or in one piece.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::records::{AnswerMessage, ChatRecord, DebugInfo, GenerateRecord, Logprob, Metrics, done_reason};
use crate::api::body::{self, NDJSON};
use crate::api::error::ApiError;
use crate::api::time;
use crate::engine::{EngineError, Event, Generation, Summary, TokenLogprob};
use crate::text::{Parts, ThinkingSplitter, TokenId};

/// Tells proxies in front of us to pass each record on at once.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Which route answers.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/api/generate`; `context` holds the prompt's tokens if the answer is to report them.
    Generate {
        /// Tokens of the prompt; the answer's are added to them.
        context: Option<Vec<TokenId>>,
    },
    /// `/api/chat`.
    Chat,
}

/// Turns events into records of one answer.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The model's name as requested.
    pub(crate) model: String,
    /// The shape of the records.
    pub(crate) route: Route,
    /// What becomes of thoughts.
    pub(crate) thoughts: Thoughts,
    /// What loading the model took before the engine got the request.
    pub(crate) loaded_in: Duration,
}

/// What becomes of the thoughts at the beginning of an answer.
#[derive(Debug)]
pub(crate) enum Thoughts {
    /// The model has none, or raw mode leaves them where they are.
    Untouched,
    /// They are reported apart from the answer.
    Shown(ThinkingSplitter),
    /// They are dropped: the client asked for none, and not every model obeys.
    Hidden(ThinkingSplitter),
}

impl Thoughts {
    fn push(&mut self, text: String) -> Parts {
        match self {
            Self::Untouched => Parts { thinking: String::new(), content: text },
            Self::Shown(splitter) => splitter.push(&text),
            Self::Hidden(splitter) => Parts { thinking: String::new(), ..splitter.push(&text) },
        }
    }

    fn finish(&mut self) -> Parts {
        match self {
            Self::Untouched => Parts::default(),
            Self::Shown(splitter) => splitter.finish(),
            Self::Hidden(splitter) => Parts { thinking: String::new(), ..splitter.finish() },
        }
    }
}

impl Writer {
    /// A writer for a request that goes to the engine at once.
    pub(crate) fn new(model: String, route: Route, thoughts: Thoughts) -> Self {
        Self { model, route, thoughts, loaded_in: Duration::ZERO }
    }

    /// A piece of the answer; `end` makes it the last record.
    fn record(
        &self,
        parts: &Parts,
        logprobs: Vec<TokenLogprob>,
        end: Option<&Summary>,
    ) -> Result<Vec<u8>, ApiError> {
        let logprobs: Vec<Logprob> = logprobs.into_iter().map(Logprob::from).collect();
        let (created_at, done) = (time::created_at(), end.is_some());
        let done_reason = end.map(|summary| done_reason(summary.reason));
        let metrics = end.map(|end| Metrics::new(end, self.loaded_in)).unwrap_or_default();
        let model = self.model.as_str();
        let bytes = match &self.route {
            Route::Generate { context } => {
                let context = match (context, end) {
                    (Some(prompt), Some(summary)) => [prompt.as_slice(), &summary.tokens].concat(),
                    _ => Vec::new(),
                };
                let context = &context;
                let (response, thinking) = (parts.content.as_str(), parts.thinking.as_str());
                serde_json::to_vec(&GenerateRecord {
                    model,
                    created_at,
                    response,
                    thinking,
                    done,
                    done_reason,
                    context,
                    metrics,
                    debug_info: None,
                    logprobs,
                })
            }
            Route::Chat => {
                let message = AnswerMessage::assistant(&parts.content, &parts.thinking);
                serde_json::to_vec(&ChatRecord {
                    model,
                    created_at,
                    message,
                    done,
                    done_reason,
                    debug_info: None,
                    logprobs,
                    metrics,
                })
            }
        };
        bytes.map_err(|error| ApiError::Internal(error.to_string()))
    }

    /// The single record that answers a request to load or unload: no metrics, JSON even where a stream was asked for.
    pub(crate) fn loaded(&self, done_reason: &'static str) -> Result<Response, ApiError> {
        self.single(Some(done_reason), None)
    }

    /// The single record that shows the prompt instead of an answer to it.
    pub(crate) fn rendered(&self, prompt: String) -> Result<Response, ApiError> {
        self.single(None, Some(DebugInfo { rendered_template: prompt, image_count: 0 }))
    }

    fn single(
        &self,
        done_reason: Option<&'static str>,
        debug_info: Option<DebugInfo>,
    ) -> Result<Response, ApiError> {
        let (model, created_at) = (self.model.as_str(), time::created_at());
        let (done, metrics) = (done_reason.is_some(), Metrics::default());
        match &self.route {
            Route::Generate { .. } => body::json(&GenerateRecord {
                model,
                created_at,
                response: "",
                thinking: "",
                done,
                done_reason,
                context: &[],
                metrics,
                debug_info,
                logprobs: Vec::new(),
            }),
            Route::Chat => body::json(&ChatRecord {
                model,
                created_at,
                message: AnswerMessage::assistant("", ""),
                done,
                done_reason,
                debug_info,
                logprobs: Vec::new(),
                metrics,
            }),
        }
    }

    /// Answers with the whole generation in one object.
    pub(crate) async fn whole(mut self, mut generation: Generation) -> Result<Response, ApiError> {
        let (mut answer, mut all_logprobs) = (Parts::default(), Vec::new());
        let add = |answer: &mut Parts, parts: Parts| {
            answer.thinking.push_str(&parts.thinking);
            answer.content.push_str(&parts.content);
        };
        loop {
            match next(&mut generation).await {
                Event::Text { text, logprobs } => {
                    add(&mut answer, self.thoughts.push(text));
                    all_logprobs.extend(logprobs);
                }
                Event::Done(summary) => {
                    add(&mut answer, self.thoughts.finish());
                    let record = self.record(&answer, all_logprobs, Some(&summary))?;
                    return Ok(([body::JSON], record).into_response());
                }
                Event::Error(error) => return Err(error.into()),
            }
        }
    }

    /// Answers with a stream of records. Waits for the first event, so that a failure before it has its proper status;
    /// a later one becomes the last line. Dropping the response's body drops the generation and so cancels it.
    pub(crate) async fn stream(self, mut generation: Generation) -> Result<Response, ApiError> {
        let first = match next(&mut generation).await {
            Event::Error(error) => return Err(error.into()),
            event => event,
        };
        let start = Streaming { writer: self, generation, pending: Some(first) };
        let lines = stream::unfold(Some(start), |state| async move {
            let mut state = state?;
            loop {
                let event = match state.pending.take() {
                    Some(event) => event,
                    None => next(&mut state.generation).await,
                };
                if let Some((line, last)) = state.writer.line(event) {
                    return Some((Ok::<_, Infallible>(line), (!last).then_some(state)));
                }
            }
        });
        Ok(([NDJSON], [NO_BUFFERING], Body::from_stream(lines)).into_response())
    }

    /// One line of a stream, and whether it is the last. `None` if the event changes nothing that a client sees.
    fn line(&mut self, event: Event) -> Option<(Bytes, bool)> {
        let (record, last) = match event {
            Event::Text { text, logprobs } => {
                let parts = self.thoughts.push(text);
                if parts == Parts::default() && logprobs.is_empty() {
                    return None;
                }
                (self.record(&parts, logprobs, None), false)
            }
            Event::Done(summary) => {
                let parts = self.thoughts.finish();
                (self.record(&parts, Vec::new(), Some(&summary)), true)
            }
            Event::Error(error) => (Err(error.into()), true),
        };
        let failed = record.is_err();
        let mut line = record.unwrap_or_else(|error| {
            tracing::warn!(%error, "answer ends with an error");
            error.to_json()
        });
        line.push(b'\n');
        Some((line.into(), last || failed))
    }
}

/// A streamed answer under way.
struct Streaming {
    writer: Writer,
    generation: Generation,
    /// The event that was waited for before the answer began.
    pending: Option<Event>,
}

async fn next(generation: &mut Generation) -> Event {
    let lost = || Event::Error(EngineError::Internal("the generation ended without a result".into()));
    generation.next().await.unwrap_or_else(lost)
}
