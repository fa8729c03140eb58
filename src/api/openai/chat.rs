//! `POST /v1/chat/completions`.

mod chunks;
mod message;
pub(crate) mod records;
pub(crate) mod request;

use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use self::chunks::Chunks;
use self::records::{AnswerMessage, ChatCompletion, Choice, FINGERPRINT, Logprobs, Usage, finish_reason};
use self::request::ChatCompletionRequest;
use super::error::OpenAiError;
use crate::api::error::ApiError;
use crate::api::inference::{self, Answer, Delta, Outcome};
use crate::api::{AppState, body, id, stream, time};

pub(crate) use self::chunks::DONE;

/// The handler.
pub(crate) async fn completions(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, OpenAiError> {
    let parse = |body: &[u8]| {
        let request = ChatCompletionRequest::parse(body)?;
        let (stream, include_usage) = (request.stream, request.include_usage);
        Ok((request.into_ask()?, stream, include_usage))
    };
    let ((ask, stream, include_usage), turn) = inference::receive(&state, request, parse).await?;
    let answer = Envelope::new(ask.model.clone());
    Ok(match inference::chat(&state, turn, ask).await? {
        Outcome::Answer(pieces) if stream => answer.stream(*pieces, include_usage),
        Outcome::Answer(pieces) => answer.whole(*pieces).await?,
        Outcome::Rendered(prompt) => answer.rendered(&prompt)?,
        Outcome::Loaded(_) => {
            return Err(ApiError::Internal("a request with messages has only loaded its model".into()).into());
        }
    })
}

/// What every object of one answer says.
struct Envelope {
    id: String,
    created: i64,
    model: String,
}

impl Envelope {
    fn new(model: String) -> Self {
        Self { id: format!("chatcmpl-{}", id::number(999)), created: time::unix(SystemTime::now()), model }
    }

    fn stream(self, pieces: Answer, include_usage: bool) -> Response {
        let Self { id, created, model } = self;
        let mut chunks = Chunks { id, created, model, include_usage, opened: false, called: false };
        stream::sse(stream::frames(pieces, Vec::new(), move |piece| chunks.render(piece)))
    }

    async fn whole(self, pieces: Answer) -> Result<Response, OpenAiError> {
        let whole = pieces.whole().await?;
        let reason = finish_reason(whole.summary.reason, !whole.all.tool_calls.is_empty());
        Ok(body::bare_json(&self.completion(whole.all, Some(reason), Usage::from(&whole.summary)))?)
    }

    fn rendered(self, prompt: &str) -> Result<Response, OpenAiError> {
        let mut completion = self.completion(Delta::default(), None, Usage::default());
        completion.debug_info = Some(json!({"rendered_template": prompt, "image_count": 0}));
        Ok(body::bare_json(&completion)?)
    }

    fn completion(self, all: Delta, finish_reason: Option<&'static str>, usage: Usage) -> ChatCompletion {
        let message = AnswerMessage {
            role: "assistant",
            content: all.content,
            reasoning: all.thinking,
            tool_calls: all.tool_calls.into_iter().map(Into::into).collect(),
        };
        ChatCompletion {
            id: self.id,
            object: "chat.completion",
            created: self.created,
            model: self.model,
            system_fingerprint: FINGERPRINT,
            choices: vec![Choice { index: 0, message, finish_reason, logprobs: Logprobs::of(all.logprobs) }],
            usage,
            debug_info: None,
        }
    }
}
