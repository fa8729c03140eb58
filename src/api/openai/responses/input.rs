//! The input of a responses request: a text, or the items of a conversation.

use serde_json::Value;

use super::tools::joined;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::openai::content::{self, CallNames, set_list, set_text};
use crate::text::Message;

/// The conversation in its native form: `instructions` first, if there are any.
pub(super) fn messages(instructions: &str, input: Option<Value>) -> Result<Vec<Message>, ApiError> {
    let mut reader = Reader::default();
    if !instructions.is_empty() {
        reader.messages.push(Message::new("system", instructions));
    }
    match input {
        None => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => reader.messages.push(Message::new("user", text)),
        Some(Value::Array(items)) => {
            for (index, item) in items.into_iter().enumerate() {
                reader.item(item).map_err(|error| at("input", index, &error))?;
            }
        }
        Some(_) => return Err(ApiError::BadRequest("input must be a string or array".into())),
    }
    Ok(reader.finish())
}

/// Says where in a list something was wrong.
fn at(list: &str, index: usize, error: &ApiError) -> ApiError {
    ApiError::BadRequest(format!("{list}[{index}]: {error}"))
}

#[derive(Default)]
struct Reader {
    messages: Vec<Message>,
    /// What the assistant thought, for the next thing that it says or calls.
    thinking: String,
    names: CallNames,
}

impl Reader {
    fn item(&mut self, value: Value) -> Result<(), ApiError> {
        let mut item = Fields::from_value("ResponsesInputItem", value)?;
        let (mut kind, role) = (item.string("type")?, item.string("role")?);
        if kind.is_empty() && !role.is_empty() {
            "message".clone_into(&mut kind);
        }
        match kind.as_str() {
            "message" => self.message(&role, item),
            "function_call" => self.call(item),
            "function_call_output" => self.output(item),
            "reasoning" => {
                self.thinking = item.string("encrypted_content")?;
                Ok(())
            }
            // A search that another server did: what it found is not in it.
            "web_search_call" => Ok(()),
            "" => Err(ApiError::BadRequest("input item missing required 'type' field".into())),
            other => Err(ApiError::BadRequest(format!("unknown input item type: {other:?}"))),
        }
    }

    fn message(&mut self, role: &str, mut item: Fields) -> Result<(), ApiError> {
        let (text, pictures) = read_content("content", item.take("content"))?;
        let mut message = Message::new(role.to_lowercase(), text);
        set_list(&mut message, "images", pictures);
        if message.role == "assistant" {
            set_text(&mut message, "thinking", std::mem::take(&mut self.thinking));
        }
        self.messages.push(message);
        Ok(())
    }

    /// Calls belong to what the assistant said last, if nobody else has said anything since.
    fn call(&mut self, mut item: Fields) -> Result<(), ApiError> {
        let (id, name) = (item.string("call_id")?, item.string("name")?);
        let name = joined(&item.string("namespace")?, &name);
        let arguments = item.string("arguments")?;
        let arguments = if arguments.is_empty() { "{}" } else { &arguments };
        let call = content::native_call(&id, &name, arguments).map_err(|error| {
            ApiError::BadRequest(format!("failed to parse function call arguments: {error}"))
        })?;
        self.names.insert(&id, &name);
        if self.messages.last().is_none_or(|last| last.role != "assistant") {
            self.messages.push(Message::new("assistant", ""));
        }
        let thinking = std::mem::take(&mut self.thinking);
        if let Some(last) = self.messages.last_mut() {
            set_text(last, "thinking", thinking);
            let calls = last.extra.entry("tool_calls").or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(calls) = calls {
                calls.push(call);
            }
        }
        Ok(())
    }

    fn output(&mut self, mut item: Fields) -> Result<(), ApiError> {
        let id = item.string("call_id")?;
        let (text, pictures) = read_content("output", item.take("output"))?;
        let mut message = Message::new("tool", text);
        set_list(&mut message, "images", pictures);
        set_text(&mut message, "tool_name", self.names.get(&id));
        set_text(&mut message, "tool_call_id", id);
        self.messages.push(message);
        Ok(())
    }

    fn finish(mut self) -> Vec<Message> {
        if !self.thinking.is_empty() {
            let mut message = Message::new("assistant", "");
            set_text(&mut message, "thinking", self.thinking);
            self.messages.push(message);
        }
        self.messages
    }
}

/// A text, or parts: their texts one after the other, and the pictures among them.
fn read_content(field: &str, content: Option<Value>) -> Result<(String, Vec<Value>), ApiError> {
    let parts = match content {
        None => return Ok((String::new(), Vec::new())),
        Some(Value::String(text)) => return Ok((text, Vec::new())),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(ApiError::BadRequest(format!("{field} must be a string or array"))),
    };
    let (mut text, mut pictures) = (String::new(), Vec::new());
    for (index, part) in parts.into_iter().enumerate() {
        read_part(part, &mut text, &mut pictures).map_err(|error| at(field, index, &error))?;
    }
    Ok((text, pictures))
}

fn read_part(part: Value, text: &mut String, pictures: &mut Vec<Value>) -> Result<(), ApiError> {
    let mut part = Fields::from_value("ResponsesContent", part)?;
    match part.string("type")?.as_str() {
        "input_text" | "output_text" => text.push_str(&part.string("text")?),
        "input_image" => {
            // Without a URL it names a file of another server.
            let url = part.string("image_url")?;
            if !url.is_empty() {
                pictures.push(content::picture(&url)?.into());
            }
        }
        "input_file" => {
            return Err(ApiError::BadRequest("file inputs are not currently supported".into()));
        }
        other => return Err(ApiError::BadRequest(format!("unknown content type: {other}"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn native(input: Value) -> Result<Vec<Message>, ApiError> {
        messages("", Some(input))
    }

    #[test]
    fn texts_and_instructions() {
        assert_eq!(
            messages("be brief", Some("hi".into())).unwrap(),
            [Message::new("system", "be brief"), Message::new("user", "hi")]
        );
        assert!(messages("", None).unwrap().is_empty() && native("".into()).unwrap().is_empty());
    }

    #[test]
    fn a_conversation_with_tools() {
        let messages = native(json!([
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:;base64,aGk="}, {"type": "input_image", "file_id": "f"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "hm"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"x\":1}"},
            {"type": "function_call", "call_id": "c2", "namespace": "git", "name": "g", "arguments": ""},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
            {"type": "web_search_call", "id": "ws"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
            {"type": "reasoning", "encrypted_content": "last"}
        ]))
        .unwrap();
        assert_eq!((messages[0].content.as_str(), &messages[0].extra["images"]), ("a", &json!(["aGk="])));
        assert_eq!(messages[1].extra["thinking"], "hm");
        let calls = json!([
            {"function": {"name": "f", "arguments": {"x": 1}}, "id": "c1"},
            {"function": {"name": "git__g", "arguments": {}}, "id": "c2"}
        ]);
        assert_eq!(messages[1].extra["tool_calls"], calls);
        assert_eq!(
            (messages[3].content.as_str(), &messages[3].extra["tool_name"]),
            ("two", &json!("git__g"))
        );
        assert_eq!((messages[4].content.as_str(), messages[4].extra.get("thinking")), ("b", None));
        assert_eq!(
            (messages[5].role.as_str(), &messages[5].extra["thinking"]),
            ("assistant", &json!("last"))
        );
    }

    #[test]
    fn what_is_refused() {
        for (input, message) in [
            (json!([{"type": "odd"}]), "input[0]: unknown input item type: \"odd\""),
            (json!([{"content": "x"}]), "input[0]: input item missing required 'type' field"),
            (json!(7), "input must be a string or array"),
            (
                json!([{"role": "user", "content": [{"type": "input_file"}]}]),
                "input[0]: content[0]: file inputs are not currently supported",
            ),
            (
                json!([{"role": "user", "content": [{"type": "odd"}]}]),
                "input[0]: content[0]: unknown content type: odd",
            ),
            (json!([{"role": "user", "content": 7}]), "input[0]: content must be a string or array"),
        ] {
            let error = native(input).unwrap_err();
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (400, message));
        }
        let call = native(json!([{"type": "function_call", "arguments": "{"}])).unwrap_err().to_string();
        assert!(call.starts_with("input[0]: failed to parse function call arguments: "), "{call}");
    }
}
