//! The fields that `/api/generate` and `/api/chat` share.

use std::borrow::Cow;

use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

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

/// Takes the pictures out of a request or a message: base64 without a `data:` prefix. They are checked whether or not
/// the model can see.
pub(super) fn images(fields: &mut Fields) -> Result<Vec<Value>, ApiError> {
    let images = fields.array("images")?;
    for image in &images {
        match image {
            Value::Null => {}
            Value::String(text) => check_base64(text)?,
            other => return Err(fields.mismatch("images", other, "[]uint8")),
        }
    }
    Ok(images)
}

fn check_base64(text: &str) -> Result<(), ApiError> {
    // Go skips line ends, and counts them.
    let is_kept = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let has_line_ends = !text.bytes().all(|byte| is_kept(&byte));
    let kept: Cow<'_, [u8]> = if has_line_ends {
        text.bytes().filter(is_kept).collect::<Vec<_>>().into()
    } else {
        text.as_bytes().into()
    };
    let at = match STANDARD.decode(&kept) {
        Ok(_) => return Ok(()),
        Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => at,
        // What is missing, is missing from the last group of four, which is named by its beginning.
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => kept.len() - kept.len() % 4,
    };
    let places = text.bytes().enumerate().filter(|(_, byte)| is_kept(byte));
    let at = places.map(|(place, _)| place).nth(at).unwrap_or(text.len());
    Err(ApiError::BadRequest(format!("illegal base64 data at input byte {at}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_base64_and_nothing_else() {
        let images = |json: &str| images(&mut Fields::parse("Message", json.as_bytes()).unwrap());
        assert_eq!(images(r#"{"images":["aGk=","aG\nk="]}"#).unwrap().len(), 2);
        assert!(images(r#"{"images":null}"#).unwrap().is_empty());
        for (json, error) in [
            (r#"{"images":["data:image/png;base64,aGk="]}"#, "illegal base64 data at input byte 4"),
            (r#"{"images":["aGk"]}"#, "illegal base64 data at input byte 0"),
            (r#"{"images":["aGkxaGk"]}"#, "illegal base64 data at input byte 4"),
            (r#"{"images":["aG\nkx\r\na?=="]}"#, "illegal base64 data at input byte 8"),
            (r#"{"images":["aGk=","?"]}"#, "illegal base64 data at input byte 0"),
            (
                r#"{"images":[1]}"#,
                "json: cannot unmarshal number into Go struct field Message.images of type []uint8",
            ),
        ] {
            let refused = images(json).unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.to_string().as_str()), (400, error), "{json}");
        }
    }
}
