//! `POST /v1/messages`.

use axum::extract::{Request, State};
use axum::response::Response;

use super::error::AnthropicError;
use super::events::Events;
use super::records::{Block, MessageObject, Usage, stop_reason};
use super::request::MessagesRequest;
use crate::api::error::ApiError;
use crate::api::inference::{self, Answer, Delta, Outcome};
use crate::api::{AppState, body, id, stream};

/// The handler.
pub(super) async fn messages(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, AnthropicError> {
    let parse = |body: &[u8]| {
        let request = MessagesRequest::parse(body)?;
        let stream = request.stream;
        Ok((request.into_ask(), stream))
    };
    let ((ask, is_streamed), turn) = inference::receive(&state, request, parse).await?;
    // A turn may consist of nothing but what is passed over.
    ask.require_messages("messages have no content that this server understands")?;
    let model = ask.model.clone();
    match inference::chat(&state, turn, ask).await? {
        Outcome::Answer(answer) if is_streamed => Ok(stream(model, *answer)?),
        Outcome::Answer(answer) => Ok(whole(model, *answer).await?),
        Outcome::Loaded(_) | Outcome::Rendered(_) => {
            Err(ApiError::Internal("a conversation has become no answer".into()).into())
        }
    }
}

fn message(
    model: String,
    content: Vec<Block>,
    stop_reason: Option<&'static str>,
    usage: Usage,
) -> MessageObject {
    let (kind, role) = ("message", "assistant");
    MessageObject { id: id::hex("msg"), kind, role, model, content, stop_reason, usage }
}

/// The prompt's tokens are known before the answer and stand in the first event.
fn stream(model: String, answer: Answer) -> Result<Response, ApiError> {
    let usage = Usage { input_tokens: answer.prompt_tokens(), output_tokens: 0 };
    let opening = Events::opening(message(model, Vec::new(), None, usage))?;
    let mut events = Events::default();
    Ok(stream::sse(stream::frames(answer, opening, move |piece| events.render(piece))))
}

async fn whole(model: String, answer: Answer) -> Result<Response, ApiError> {
    let whole = answer.whole().await?;
    let stop_reason = stop_reason(whole.summary.reason, !whole.all.tool_calls.is_empty());
    let usage = Usage::from(&whole.summary);
    body::bare_json(&message(model, blocks(whole.all), Some(stop_reason), usage))
}

fn blocks(all: Delta) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !all.thinking.is_empty() {
        blocks.push(Block::Thinking { thinking: all.thinking, signature: String::new() });
    }
    if !all.content.is_empty() {
        blocks.push(Block::Text { text: all.content });
    }
    let call = |call: inference::AnswerCall| Block::ToolUse {
        id: call.id,
        name: call.call.name,
        input: call.call.arguments,
    };
    blocks.extend(all.tool_calls.into_iter().map(call));
    blocks
}
