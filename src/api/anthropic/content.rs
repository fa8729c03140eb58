//! From Anthropic's content blocks to native messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::openai::content::{CallNames, native_call_of, set_list, set_text};
use crate::text::Message;

/// The conversation: the system prompt first, if there is one.
pub(super) fn messages(system: Option<Value>, messages: Vec<Value>) -> Result<Vec<Message>, ApiError> {
    let mut native = Vec::new();
    let system = system_text(system);
    if !system.is_empty() {
        native.push(Message::new("system", system));
    }
    let mut names = CallNames::default();
    for message in messages {
        native.extend(Turn::parse(message, &mut names)?.into_native());
    }
    Ok(native)
}

/// A text, or the texts of blocks one after the other.
fn system_text(system: Option<Value>) -> String {
    match system {
        Some(Value::String(text)) => text,
        Some(Value::Array(blocks)) => blocks.iter().filter_map(text_of).collect(),
        _ => String::new(),
    }
}

/// The text of a block of type `text`.
fn text_of(block: &Value) -> Option<&str> {
    (block.get("type")? == "text").then(|| block.get("text")?.as_str())?
}

/// One message, its blocks sorted by what becomes of them.
#[derive(Debug, Default)]
struct Turn {
    role: String,
    text: String,
    /// Whether the content is one text: such a message stays also if it is empty, as upstream.
    is_plain: bool,
    images: Vec<Value>,
    thinking: String,
    calls: Vec<Value>,
    results: Vec<Message>,
}

impl Turn {
    fn parse(message: Value, names: &mut CallNames) -> Result<Self, ApiError> {
        let mut fields = Fields::from_value("MessageParam", message)?;
        let mut turn = Self { role: fields.string("role")?.to_lowercase(), ..Self::default() };
        match fields.take("content") {
            None => {}
            Some(Value::String(text)) => (turn.text, turn.is_plain) = (text, true),
            Some(Value::Array(blocks)) => {
                for block in blocks {
                    turn.add(Fields::from_value("ContentBlock", block)?, names)?;
                }
            }
            Some(other) => return Err(fields.mismatch("content", &other, "[]anthropic.ContentBlock")),
        }
        Ok(turn)
    }

    /// Takes a block. Unknown ones are passed over, as upstream does.
    fn add(&mut self, mut block: Fields, names: &mut CallNames) -> Result<(), ApiError> {
        match block.string("type")?.as_str() {
            "text" => self.text.push_str(&block.string("text")?),
            "thinking" => self.thinking = block.string("thinking")?,
            "image" => {
                let source = block.nested("source", "ImageSource")?;
                let source = source.ok_or_else(|| ApiError::BadRequest("invalid image source".into()))?;
                self.images.push(picture(source)?);
            }
            "tool_use" => self.calls.push(call(block, names, true)?),
            "server_tool_use" => self.calls.push(call(block, names, false)?),
            "tool_result" => self.results.push(result(block, names)?),
            "web_search_tool_result" => {
                let found = found(block.take("content"));
                self.results.push(tool_message(found, Vec::new(), block.string("tool_use_id")?, names));
            }
            _ => {}
        }
        Ok(())
    }

    /// The results of tools go before what a user says in the same turn, and after what anybody else says.
    fn into_native(self) -> Vec<Message> {
        let is_said = self.is_plain
            || !(self.text.is_empty()
                && self.images.is_empty()
                && self.calls.is_empty()
                && self.thinking.is_empty());
        let mut said = Message::new(self.role, self.text);
        set_list(&mut said, "images", self.images);
        set_text(&mut said, "thinking", self.thinking);
        set_list(&mut said, "tool_calls", self.calls);
        let at = if said.role == "user" { self.results.len() } else { 0 };
        let mut messages = self.results;
        if is_said {
            messages.insert(at, said);
        }
        messages
    }
}

/// A picture's base64 text. Nothing is fetched for a client.
fn picture(mut source: Fields) -> Result<Value, ApiError> {
    let kind = source.string("type")?;
    if kind != "base64" {
        return Err(ApiError::BadRequest(format!(
            "invalid image source type: {kind}. Only base64 images are supported."
        )));
    }
    let data = source.string("data")?;
    STANDARD
        .decode(&data)
        .map_err(|error| ApiError::BadRequest(format!("invalid base64 image data: {error}")))?;
    Ok(data.into())
}

fn call(mut block: Fields, names: &mut CallNames, is_complete: bool) -> Result<Value, ApiError> {
    let (id, name, input) = (block.string("id")?, block.string("name")?, block.object("input")?);
    for (field, text) in [("id", &id), ("name", &name)] {
        if is_complete && text.is_empty() {
            return Err(ApiError::BadRequest(format!("tool_use block missing required '{field}' field")));
        }
    }
    names.insert(&id, &name);
    Ok(native_call_of(&id, &name, input))
}

fn result(mut block: Fields, names: &CallNames) -> Result<Message, ApiError> {
    let (mut text, mut images) = (String::new(), Vec::new());
    match block.take("content") {
        Some(Value::String(content)) => text = content,
        Some(Value::Array(parts)) => {
            for part in parts {
                if let Some(more) = text_of(&part) {
                    text.push_str(more);
                } else if part.get("type").is_some_and(|kind| kind == "image") {
                    let source = part.get("source").filter(|source| source.is_object()).cloned();
                    let source = source
                        .ok_or_else(|| ApiError::BadRequest("invalid tool_result image source".into()))?;
                    images.push(picture(Fields::from_value("ImageSource", source)?)?);
                }
            }
        }
        _ => {}
    }
    Ok(tool_message(text, images, block.string("tool_use_id")?, names))
}

fn tool_message(text: String, images: Vec<Value>, id: String, names: &CallNames) -> Message {
    let mut message = Message::new("tool", text);
    set_list(&mut message, "images", images);
    set_text(&mut message, "tool_name", names.get(&id));
    set_text(&mut message, "tool_call_id", id);
    message
}

/// What a search of Anthropic's found, in words.
fn found(content: Option<Value>) -> String {
    let text = |item: &Value, field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let line = |item: &Value| match item["type"].as_str() {
        Some("web_search_result") => format!("- {}: {}\n", text(item, "title"), text(item, "url")),
        Some("web_search_tool_result_error") => {
            format!("web_search_tool_result_error: {}", text(item, "error_code"))
        }
        _ => String::new(),
    };
    match content {
        Some(Value::String(text)) => text,
        Some(Value::Array(items)) => items.iter().map(line).collect(),
        Some(item @ Value::Object(_)) => line(&item),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn native(values: Value) -> Result<Vec<Message>, ApiError> {
        let Value::Array(values) = values else { panic!("messages are a list") };
        messages(None, values)
    }

    #[test]
    fn a_turn_with_tools() {
        let messages = native(json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "one "}, {"type": "text", "text": "moment"},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"b": 1, "a": 2}},
                {"type": "redacted_thinking", "data": "x"}
            ]},
            {"role": "user", "content": [
                {"type": "text", "text": "and?"},
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "su"}, {"type": "text", "text": "nny"}]},
                {"type": "tool_result", "tool_use_id": "t9"}
            ]}
        ]))
        .unwrap();
        let said = &messages[1];
        assert_eq!((said.content.as_str(), &said.extra["thinking"]), ("one moment", &json!("hm")));
        let calls = r#"[{"function":{"name":"weather","arguments":{"b":1,"a":2}},"id":"t1"}]"#;
        assert_eq!(said.extra["tool_calls"].to_string(), calls);
        let roles: Vec<(&str, &str)> =
            messages[2..].iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
        assert_eq!(roles, [("tool", "sunny"), ("tool", ""), ("user", "and?")]);
        assert_eq!(
            (&messages[2].extra["tool_name"], &messages[2].extra["tool_call_id"]),
            (&json!("weather"), &json!("t1"))
        );
        assert!(messages[3].extra.get("tool_name").is_none());
    }

    #[test]
    fn an_empty_text_is_a_message_and_no_blocks_are_none() {
        let messages =
            native(json!([{"role": "user", "content": ""}, {"role": "user", "content": []}])).unwrap();
        assert_eq!(messages, [Message::new("user", "")]);
    }

    #[test]
    fn searches_of_others_are_told_in_words() {
        let messages = native(json!([{"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [
                {"type": "web_search_result", "title": "T", "url": "U"}, 7]}
        ]}]))
        .unwrap();
        assert_eq!((messages[0].role.as_str(), messages[1].content.as_str()), ("assistant", "- T: U\n"));
        assert_eq!(messages[1].extra["tool_name"], "web_search");
    }

    #[test]
    fn pictures_and_what_is_refused() {
        let image =
            |source: Value| json!([{"role": "user", "content": [{"type": "image", "source": source}]}]);
        let good =
            native(image(json!({"type": "base64", "media_type": "image/png", "data": "aGk="}))).unwrap();
        assert_eq!(good[0].extra["images"], json!(["aGk="]));
        let block = |block: Value| json!([{"role": "assistant", "content": [block]}]);
        for (messages, error) in [
            (
                image(json!({"type": "url", "url": "http://x"})),
                "invalid image source type: url. Only base64 images are supported.",
            ),
            (image(Value::Null), "invalid image source"),
            (block(json!({"type": "tool_use", "name": "f"})), "tool_use block missing required 'id' field"),
            (block(json!({"type": "tool_use", "id": "i"})), "tool_use block missing required 'name' field"),
            (
                block(json!({"type": "tool_result", "content": [{"type": "image", "source": 1}]})),
                "invalid tool_result image source",
            ),
        ] {
            let refused = native(messages).unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.to_string().as_str()), (400, error));
        }
        for wrong in
            [json!(["hi"]), json!([{"content": 1}]), json!([{"content": ["x"]}]), json!([{"role": 1}])]
        {
            assert_eq!(native(wrong).unwrap_err().status().as_u16(), 400);
        }
    }
}
