//! `POST /v1/completions`: one prompt, one completion.
//!
//! As upstream has it, the prompt goes through the chat template. What the model thinks has no place in these answers.

use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::chat::DONE;
use super::chat::records::{FINGERPRINT, Usage, finish_reason};
use super::error::{ErrorEnvelope, OpenAiError};
use super::sampling::{self, Sampling};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{self, Answer, AskSettings, GenerateAsk, Outcome, Piece};
use crate::api::{AppState, body, id, stream, time};

/// The fields that count. `n` (there is one answer), `logprobs`, `echo`, `best_of` and others are passed over, as
/// upstream does.
#[derive(Debug)]
pub(crate) struct CompletionRequest {
    /// Name of the model.
    pub(crate) model: String,
    /// What is to be continued: one text.
    pub(crate) prompt: String,
    /// What stands after the gap that is to be filled.
    pub(crate) suffix: String,
    /// Whether the answer comes in chunks.
    pub(crate) stream: bool,
    /// `stream_options.include_usage`: whether chunks tell the counts of tokens.
    pub(crate) include_usage: bool,
    /// How long the answer may be and how its tokens are chosen.
    pub(crate) sampling: Sampling,
    /// Show the prompt instead of answering it.
    pub(crate) render_only: bool,
}

impl CompletionRequest {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("CompletionRequest", body)?;
        let mut sampling = Sampling::take(&mut fields)?;
        // Here 0 is the same as absent.
        sampling.top_p = sampling.top_p.filter(|&top_p| top_p != 0.0);
        Ok(Self {
            model: fields.string("model")?,
            prompt: fields.string("prompt")?,
            suffix: fields.string("suffix")?,
            stream: fields.boolean("stream")?.unwrap_or(false),
            include_usage: sampling::include_usage(&mut fields)?,
            sampling,
            render_only: fields.boolean("_debug_render_only")?.unwrap_or(false),
        })
    }

    pub(super) fn into_ask(self) -> GenerateAsk {
        let (options, render_only) = (self.sampling.into_options(), self.render_only);
        GenerateAsk {
            model: self.model,
            prompt: self.prompt,
            suffix: self.suffix,
            settings: AskSettings { options, render_only, ..AskSettings::default() },
            ..GenerateAsk::default()
        }
    }
}

/// An answer, or a piece of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Completion {
    id: String,
    object: &'static str,
    created: i64,
    model: String,
    system_fingerprint: &'static str,
    /// One, or none in the chunk with the usage.
    choices: Vec<CompletionChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// The one answer, or a piece of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CompletionChoice {
    text: String,
    index: usize,
    finish_reason: Option<&'static str>,
}

/// The handler.
pub(crate) async fn completions(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, OpenAiError> {
    let parse = |body: &[u8]| {
        let request = CompletionRequest::parse(body)?;
        let (stream, include_usage) = (request.stream, request.include_usage);
        Ok((request.into_ask(), stream, include_usage))
    };
    let ((ask, stream, include_usage), turn) = inference::receive(&state, request, parse).await?;
    let (id, created) = (format!("cmpl-{}", id::number(999)), time::unix(SystemTime::now()));
    let writer = Writer { id, created, model: ask.model.clone() };
    Ok(match inference::generate(&state, turn, ask).await? {
        Outcome::Answer(pieces) if stream => writer.stream(*pieces, include_usage),
        Outcome::Answer(pieces) => writer.whole(*pieces).await?,
        Outcome::Rendered(prompt) => writer.single(prompt, None, Usage::default())?,
        // A prompt without text only loads the model; there is nothing to complete.
        Outcome::Loaded(_) if stream => writer.stream_nothing(include_usage)?,
        Outcome::Loaded(_) => writer.single(String::new(), Some("stop"), Usage::default())?,
    })
}

/// Writes the objects of one answer.
struct Writer {
    id: String,
    created: i64,
    model: String,
}

impl Writer {
    fn stream(self, pieces: Answer, include_usage: bool) -> Response {
        let frames = stream::frames(pieces, Vec::new(), move |piece| self.render(piece, include_usage));
        stream::sse(frames)
    }

    /// A stream of nothing but its end.
    fn stream_nothing(&self, include_usage: bool) -> Result<Response, ApiError> {
        let end = self.end(String::new(), "stop", Usage::default(), include_usage)?;
        Ok(stream::sse(futures_util::stream::iter([end])))
    }

    async fn whole(self, pieces: Answer) -> Result<Response, OpenAiError> {
        let whole = pieces.whole().await?;
        let reason = finish_reason(whole.summary.reason, false);
        self.single(whole.all.content, Some(reason), Usage::from(&whole.summary))
    }

    fn single(
        &self,
        text: String,
        reason: Option<&'static str>,
        usage: Usage,
    ) -> Result<Response, OpenAiError> {
        Ok(body::bare_json(&self.record(Some((text, reason)), Some(usage)))?)
    }

    /// What a piece looks like on the wire. If the usage is wanted, every chunk has one, and only the last is true.
    fn render(&self, piece: Piece, include_usage: bool) -> Result<Vec<u8>, ApiError> {
        match piece {
            Piece::Delta(delta) if delta.content.is_empty() => Ok(Vec::new()),
            Piece::Delta(delta) => {
                let no_usage = include_usage.then(Usage::default);
                stream::event(None, &self.record(Some((delta.content, None)), no_usage))
            }
            Piece::Done(done) => {
                let reason = finish_reason(done.summary.reason, false);
                self.end(done.last.content, reason, Usage::from(&done.summary), include_usage)
            }
            Piece::Error(error) => stream::event(None, &ErrorEnvelope::from(&error)),
        }
    }

    /// The chunks at the end.
    fn end(
        &self,
        text: String,
        reason: &'static str,
        usage: Usage,
        include_usage: bool,
    ) -> Result<Vec<u8>, ApiError> {
        let no_usage = include_usage.then(Usage::default);
        let mut frame = stream::event(None, &self.record(Some((text, Some(reason))), no_usage))?;
        if include_usage {
            frame.extend(stream::event(None, &self.record(None, Some(usage)))?);
        }
        frame.extend(DONE);
        Ok(frame)
    }

    fn record(&self, choice: Option<(String, Option<&'static str>)>, usage: Option<Usage>) -> Completion {
        let choice = choice.map(|(text, finish_reason)| CompletionChoice { text, index: 0, finish_reason });
        Completion {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: FINGERPRINT,
            choices: choice.into_iter().collect(),
            usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_one_text() {
        let parse = |body: &str| CompletionRequest::parse(body.as_bytes());
        let ask =
            parse(r#"{"model":"m","prompt":"p","suffix":"s","top_p":0,"logprobs":3}"#).unwrap().into_ask();
        assert_eq!((ask.prompt.as_str(), ask.suffix.as_str(), ask.raw), ("p", "s", false));
        assert_eq!(ask.settings.options["top_p"], 1.0);
        assert_eq!(
            parse(r#"{"prompt":["p"]}"#).unwrap_err().to_string(),
            "json: cannot unmarshal array into Go struct field CompletionRequest.prompt of type string"
        );
        assert!(parse(r#"{"prompt":"p","n":3,"best_of":"x"}"#).is_ok());
    }
}
