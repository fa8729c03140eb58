//! From the outcome of a request to native records, streamed or in one piece.

use axum::response::Response;

use super::records::{
    AnswerMessage, CallRecord, ChatRecord, DebugInfo, GenerateRecord, Logprob, Metrics, Record, done_reason,
};
use crate::api::error::ApiError;
use crate::api::inference::{Delta, Done, Outcome, Piece, Whole};
use crate::api::{body, stream, time};
use crate::text::TokenId;

/// Which route answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    /// `/api/generate`.
    Generate {
        /// Whether the last record reports the tokens of prompt and answer.
        context: bool,
    },
    /// `/api/chat`.
    Chat,
}

/// Answers with what became of a request for `model`.
pub(super) async fn respond(
    route: Route,
    model: String,
    outcome: Outcome,
    streamed: bool,
) -> Result<Response, ApiError> {
    let record = match outcome {
        Outcome::Answer(answer) if streamed => {
            let prompt = answer.prompt().to_vec();
            let render = move |piece| line(route, &model, &prompt, piece);
            return Ok(stream::ndjson(stream::frames(*answer, Vec::new(), render)));
        }
        Outcome::Answer(answer) => {
            let Whole { all, prompt, summary, loaded_in } = answer.whole().await?;
            let last = Done { last: Delta::default(), summary, loaded_in };
            record(route, &model, all, End::of(route, &prompt, &last))
        }
        // These have no metrics, and are JSON even where a stream was asked for.
        Outcome::Loaded(reason) => {
            let end = End { done: true, reason: Some(reason), ..End::default() };
            record(route, &model, Delta::default(), end)
        }
        Outcome::Rendered(prompt) => {
            let debug_info = Some(DebugInfo { rendered_template: prompt, image_count: 0 });
            record(route, &model, Delta::default(), End { debug_info, ..End::default() })
        }
    };
    body::json(&record)
}

/// What a record has besides the answer's words; the default is that of a record in the middle.
#[derive(Debug, Default)]
struct End {
    done: bool,
    reason: Option<&'static str>,
    context: Vec<TokenId>,
    metrics: Metrics,
    debug_info: Option<DebugInfo>,
}

impl End {
    /// The end of the answer to `prompt`.
    fn of(route: Route, prompt: &[TokenId], done: &Done) -> Self {
        let context = match route {
            Route::Generate { context: true } => [prompt, &done.summary.tokens].concat(),
            Route::Generate { context: false } | Route::Chat => Vec::new(),
        };
        Self {
            done: true,
            reason: Some(done_reason(done.summary.reason)),
            context,
            metrics: Metrics::new(&done.summary, done.loaded_in),
            debug_info: None,
        }
    }
}

/// One line of a stream.
fn line(route: Route, model: &str, prompt: &[TokenId], piece: Piece) -> Result<Vec<u8>, ApiError> {
    let record = match piece {
        Piece::Delta(delta) => record(route, model, delta, End::default()),
        Piece::Done(mut done) => {
            let last = std::mem::take(&mut done.last);
            record(route, model, last, End::of(route, prompt, &done))
        }
        Piece::Error(error) => return stream::line(&error.native()),
    };
    stream::line(&record)
}

fn record(route: Route, model: &str, delta: Delta, end: End) -> Record {
    let (model, created_at) = (model.to_owned(), time::created_at());
    let Delta { thinking, content, tool_calls, logprobs } = delta;
    let logprobs = logprobs.into_iter().map(Logprob::from).collect();
    let tool_calls = tool_calls.into_iter().map(CallRecord::from).collect();
    let End { done, reason: done_reason, context, metrics, debug_info } = end;
    match route {
        Route::Generate { .. } => Record::Generate(GenerateRecord {
            model,
            created_at,
            response: content,
            thinking,
            done,
            done_reason,
            context,
            metrics,
            tool_calls,
            debug_info,
            logprobs,
        }),
        Route::Chat => Record::Chat(ChatRecord {
            model,
            created_at,
            message: AnswerMessage { role: "assistant", content, thinking, tool_calls },
            done,
            done_reason,
            debug_info,
            logprobs,
            metrics,
        }),
    }
}
