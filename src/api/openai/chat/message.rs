//! The messages of a chat request.

use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::openai::content::{self, CallNames, set_list, set_text};
use crate::text::Message;

/// One message as it came.
#[derive(Debug)]
pub(crate) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant`, `tool`, or what the model's template knows.
    pub(crate) role: String,
    /// What it says.
    pub(crate) content: Content,
    /// What the assistant thought.
    pub(crate) reasoning: String,
    /// What the assistant called; an empty list is not the same as none.
    pub(crate) tool_calls: Option<Vec<CallParam>>,
    /// Of which function this is the result.
    pub(crate) name: String,
    /// Of which call this is the result.
    pub(crate) tool_call_id: String,
}

/// The content of a message: a text, or a list of parts.
#[derive(Debug)]
pub(crate) enum Content {
    /// A text.
    Text(String),
    /// Texts and pictures.
    Parts(Vec<Part>),
    /// Nothing, or what cannot be content; holds the name of its type.
    Missing(&'static str),
}

/// A part of a message's content.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// Text.
    Text(String),
    /// A picture in base64.
    Picture(String),
}

/// A call of an earlier turn.
#[derive(Debug)]
pub(crate) struct CallParam {
    /// Distinguishes it from the others.
    pub(crate) id: String,
    /// The function.
    pub(crate) name: String,
    /// An object in JSON.
    pub(crate) arguments: String,
}

impl ChatMessage {
    /// Reads one element of `messages`.
    pub(super) fn parse(value: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::from_value("Message", value)?;
        let tool_calls = fields.take("tool_calls").map(|calls| match calls {
            Value::Array(calls) => calls.into_iter().map(CallParam::parse).collect(),
            other => Err(fields.mismatch("tool_calls", &other, "[]openai.ToolCall")),
        });
        Ok(Self {
            role: fields.string("role")?.to_lowercase(),
            content: Content::parse(fields.take("content"))?,
            reasoning: fields.string("reasoning")?,
            tool_calls: tool_calls.transpose()?,
            name: fields.string("name")?,
            tool_call_id: fields.string("tool_call_id")?,
        })
    }

    /// The message in its native form.
    ///
    /// Upstream makes a message of every part, and its templates join messages of one role by a blank line. Here the
    /// parts are joined at once, because templates of other makers refuse two messages of one role in a row.
    pub(super) fn into_native(self, names: &CallNames) -> Result<Message, ApiError> {
        let (mut texts, mut pictures) = (Vec::new(), Vec::new());
        match self.content {
            Content::Text(text) => texts.push(text),
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => texts.push(text),
                        Part::Picture(data) => pictures.push(Value::String(data)),
                    }
                }
            }
            // Who calls tools need not say anything.
            Content::Missing(_) if self.tool_calls.is_some() => {}
            Content::Missing(kind) => {
                return Err(ApiError::BadRequest(format!("invalid message content type: {kind}")));
            }
        }
        let mut message = Message::new(self.role, texts.join("\n\n"));
        set_list(&mut message, "images", pictures);
        set_text(&mut message, "thinking", self.reasoning);
        if message.role == "tool" {
            let name = if self.name.is_empty() { names.get(&self.tool_call_id) } else { self.name };
            set_text(&mut message, "tool_name", name);
            set_text(&mut message, "tool_call_id", self.tool_call_id);
        }
        let calls = self.tool_calls.unwrap_or_default().into_iter().map(CallParam::into_native);
        set_list(&mut message, "tool_calls", calls.collect::<Result<_, _>>()?);
        Ok(message)
    }
}

impl Content {
    fn parse(value: Option<Value>) -> Result<Self, ApiError> {
        Ok(match value {
            Some(Value::String(text)) => Self::Text(text),
            Some(Value::Array(parts)) => {
                Self::Parts(parts.iter().map(Part::parse).collect::<Result<_, _>>()?)
            }
            None | Some(Value::Null) => Self::Missing("<nil>"),
            Some(Value::Bool(_)) => Self::Missing("bool"),
            Some(Value::Number(_)) => Self::Missing("float64"),
            Some(Value::Object(_)) => Self::Missing("map[string]interface {}"),
        })
    }
}

impl Part {
    fn parse(value: &Value) -> Result<Self, ApiError> {
        let invalid = || ApiError::BadRequest("invalid message format".into());
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned).ok_or_else(invalid);
        let Value::Object(part) = value else { return Err(invalid()) };
        match part.get("type").and_then(Value::as_str) {
            Some("text") => Ok(Self::Text(text(part.get("text"))?)),
            Some("image_url") => {
                let image = part.get("image_url");
                let url = text(image.and_then(|image| image.get("url")).or(image))?;
                Ok(Self::Picture(content::picture(&url)?))
            }
            Some("input_audio") => Err(ApiError::BadRequest(
                "audio input is not supported: no model of this server hears".into(),
            )),
            _ => Err(invalid()),
        }
    }
}

impl CallParam {
    fn parse(value: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::from_value("ToolCall", value)?;
        let id = fields.string("id")?;
        let Some(mut function) = fields.nested("function", "ToolCall.function")? else {
            return Ok(Self { id, name: String::new(), arguments: String::new() });
        };
        Ok(Self { id, name: function.string("name")?, arguments: function.string("arguments")? })
    }

    fn into_native(self) -> Result<Value, ApiError> {
        content::native_call(&self.id, &self.name, &self.arguments)
            .map_err(|_| ApiError::BadRequest("invalid tool call arguments".into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn native(value: Value) -> Result<Message, ApiError> {
        let mut names = CallNames::default();
        names.insert("call_1", "weather");
        ChatMessage::parse(value)?.into_native(&names)
    }

    #[test]
    fn parts_are_one_message() {
        let message = native(json!({"role": "User", "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "image_url", "image_url": "data:;base64,aGk="},
            {"type": "text", "text": "b"}
        ]}))
        .unwrap();
        assert_eq!((message.role.as_str(), message.content.as_str()), ("user", "a\n\nb"));
        assert_eq!(message.extra["images"], json!(["aGk=", "aGk="]));
    }

    #[test]
    fn calls_and_their_results() {
        let call = native(json!({"role": "assistant", "content": null, "reasoning": "hm", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"b\":1,\"a\":2}"}},
            {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "null"}}
        ]}))
        .unwrap();
        assert_eq!((call.content.as_str(), &call.extra["thinking"]), ("", &json!("hm")));
        let expected = r#"[{"function":{"name":"weather","arguments":{"b":1,"a":2}},"id":"call_1"},{"function":{"name":"now","arguments":{}},"id":"call_2"}]"#;
        assert_eq!(call.extra["tool_calls"].to_string(), expected);

        let result = |more: Value| {
            let mut message = json!({"role": "tool", "content": "4", "tool_call_id": "call_1"});
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            native(message).unwrap().extra["tool_name"].clone()
        };
        assert_eq!((result(json!({})), result(json!({"name": "other"}))), (json!("weather"), json!("other")));
        assert!(native(json!({"role": "assistant", "tool_calls": []})).is_ok());
    }

    #[test]
    fn what_is_refused() {
        let call = |arguments: &str| json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]});
        for (message, error) in [
            (json!({"role": "user", "content": null}), "invalid message content type: <nil>"),
            (json!({"role": "user"}), "invalid message content type: <nil>"),
            (json!({"role": "user", "content": 1}), "invalid message content type: float64"),
            (json!({"role": "user", "content": {}}), "invalid message content type: map[string]interface {}"),
            (json!({"role": "user", "content": ["a"]}), "invalid message format"),
            (json!({"role": "user", "content": [{"type": "file"}]}), "invalid message format"),
            (json!({"role": "user", "content": [{"type": "text"}]}), "invalid message format"),
            (
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
                "invalid message format",
            ),
            (call("{"), "invalid tool call arguments"),
            (call(""), "invalid tool call arguments"),
            (call("[1]"), "invalid tool call arguments"),
        ] {
            let refused = native(message).unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.to_string().as_str()), (400, error));
        }
        assert!(
            native(json!("hi")).is_err()
                && native(json!({"role": "user", "content": "x", "tool_calls": {}})).is_err()
        );
    }
}
