//! The request of `/api/chat`.

use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::ChatAsk;
use crate::api::ollama::request::{Common, images};
use crate::api::openai::content;
use crate::text::{Message, Tool};

/// The request in native terms.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    pub(crate) ask: ChatAsk,
    /// Whether the answer comes record by record.
    pub(crate) stream: bool,
}

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 in the words of Go's decoder.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("ChatRequest", body)?;
        let messages = fields.array("messages")?.into_iter().map(message).collect::<Result<_, _>>()?;
        let tools = Tool::parse_all(fields.array("tools")?)?;
        let tool_choice = content::tool_choice(fields.take("tool_choice").as_ref(), &tools);
        let Common { model, stream, settings } = Common::take(&mut fields)?;
        Ok(Self { ask: ChatAsk { model, messages, tools, tool_choice, settings }, stream })
    }
}

/// Reads one message.
pub(crate) fn message(value: Value) -> Result<Message, ApiError> {
    let mut fields = Fields::from_value("Message", value)?;
    let mut message = Message::new(fields.string("role")?.to_lowercase(), fields.string("content")?);
    for name in ["thinking", "tool_name", "tool_call_id"] {
        let text = fields.string(name)?;
        if !text.is_empty() {
            message.extra.insert(name.to_owned(), text.into());
        }
    }
    let calls = fields.array("tool_calls")?.into_iter().map(call).collect::<Result<_, _>>()?;
    for (name, items) in [("tool_calls", calls), ("images", images(&mut fields)?)] {
        if !items.is_empty() {
            message.extra.insert(name.to_owned(), Value::Array(items));
        }
    }
    Ok(message)
}

/// Reads an earlier call of the model. What is missing is empty, but arguments are an object, as templates want them.
fn call(value: Value) -> Result<Value, ApiError> {
    let mut call = Fields::from_value("ToolCall", value)?;
    let id = call.string("id")?;
    let (name, arguments) = match call.nested("function", "ToolCallFunction")? {
        None => (String::new(), Map::new()),
        Some(mut function) => (function.string("name")?, function.object("arguments")?),
    };
    Ok(content::native_call_of(&id, &name, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<ChatAsk, ApiError> {
        ChatRequest::parse(body.as_bytes()).map(|request| request.ask)
    }

    #[test]
    fn messages_as_clients_send_them() {
        let ask = parse(
            r#"{"model":"m","tools":[],"messages":[
                {"role":"SYSTEM","content":"be brief"},
                {"role":"assistant","content":null,"images":[],"tool_calls":[{"function":{"name":"f","arguments":{"b":1,"a":2}}},
                    {"function":{"name":"g","arguments":null}}]},
                {"role":"tool","content":"4","tool_name":"f"}, null]}"#,
        )
        .unwrap();
        assert_eq!(ask.messages[0], Message::new("system", "be brief"));
        assert_eq!(ask.messages[1].content, "");
        let arguments = &ask.messages[1].extra["tool_calls"][0]["function"]["arguments"];
        assert_eq!(arguments.to_string(), r#"{"b":1,"a":2}"#);
        let second = &ask.messages[1].extra["tool_calls"][1]["function"];
        assert_eq!(second.to_string(), r#"{"name":"g","arguments":{}}"#);
        assert_eq!(ask.messages[2].extra["tool_name"], "f");
        assert_eq!(ask.messages[3], Message::new("", ""));
        assert!(ask.tools.is_empty() && !ask.messages[1].extra.contains_key("images"));
    }

    #[test]
    fn what_is_missing_from_a_call_is_empty() {
        for call in [
            "null",
            "{}",
            r#"{"function":null}"#,
            r#"{"function":{"arguments":{}}}"#,
            r#"{"function":{"name":null,"arguments":null}}"#,
        ] {
            let ask =
                parse(&format!(r#"{{"messages":[{{"role":"assistant","tool_calls":[{call}]}}]}}"#)).unwrap();
            let read = ask.messages[0].extra["tool_calls"].to_string();
            assert_eq!(read, r#"[{"function":{"name":"","arguments":{}}}]"#, "{call}");
        }
        let ask = parse(
            r#"{"messages":[{"role":"assistant","tool_calls":[{"ID":"c","Function":{"Name":"f","Arguments":{"B":1}}}]}]}"#,
        );
        let read = ask.unwrap().messages[0].extra["tool_calls"].to_string();
        assert_eq!(read, r#"[{"function":{"name":"f","arguments":{"B":1}},"id":"c"}]"#);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for body in [
            r#"{"messages":"hi"}"#,
            r#"{"messages":["hi"]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[]}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":1,"arguments":{}}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":"f"}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":["f"]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"id":7}]}]}"#,
            r#"{"messages":{}}"#,
        ] {
            assert_eq!(parse(body).unwrap_err().status().as_u16(), 400, "{body}");
        }
    }
}
