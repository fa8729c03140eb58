//! The fields that `/api/generate` and `/api/chat` share.

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{AskSettings, Format, Think};
use crate::engine::KeepAlive;

const MAX_TOP_LOGPROBS: i64 = 20;

/// Fields common to both routes.
#[derive(Debug)]
pub(super) struct Common {
    /// The model's name as requested.
    pub(super) model: String,
    /// Whether the answer comes record by record; on unless switched off.
    pub(super) stream: bool,
    /// Everything but the input.
    pub(super) settings: AskSettings,
}

impl Common {
    /// Takes the common fields out of a request.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let top_logprobs = fields.integer("top_logprobs")?.unwrap_or(0);
        let top = usize::try_from(top_logprobs).ok().filter(|_| top_logprobs <= MAX_TOP_LOGPROBS);
        let top = top.ok_or(ApiError::TopLogprobs)?;
        let settings = AskSettings {
            keep_alive: fields.take("keep_alive").map(|value| KeepAlive::parse_json(&value)).transpose()?,
            options: fields.object("options")?,
            think: Think::parse(fields.take("think"))?,
            truncate: fields.boolean("truncate")?.unwrap_or(true),
            shift: fields.boolean("shift")?.unwrap_or(true),
            logprobs: fields.boolean("logprobs")?.unwrap_or(false).then_some(top),
            format: Format::parse(fields.take("format")),
            render_only: fields.boolean("_debug_render_only")?.unwrap_or(false),
        };
        Ok(Self {
            model: fields.string("model")?,
            stream: fields.boolean("stream")?.unwrap_or(true),
            settings,
        })
    }
}
