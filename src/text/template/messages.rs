//! A conversation as the objects that chat templates expect.
//!
//! Templates are written for messages as `transformers` passes them on, and those of different makers differ in three
//! things that nobody writes down: whether the arguments of a call are an object or its JSON, whether a message that
//! only calls has an empty content or none, and what an id may look like. Which habits a template has is found out by
//! rendering a small conversation: the first habits under which the arguments appear as JSON are its own.

use serde_json::{Map, Value, json};

use crate::text::{Message, RenderOptions, TextError};

/// Characters of an id where a template insists on some number.
const SHORT_ID: usize = 9;
/// Key of the argument that must appear in the sample.
const NEEDLE: &str = "needle";

/// What a template wants of messages with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Habits {
    /// Arguments are JSON in a string rather than an object.
    arguments_as_text: bool,
    /// A message that only calls has no content rather than an empty one.
    no_content: bool,
    /// Every call has an id of nine letters and digits (Mistral).
    short_ids: bool,
}

/// A call of the conversation so far, as its result may refer to it.
struct Called {
    /// As the client wrote it.
    id: Option<String>,
    /// As the template sees it.
    shown_id: Option<String>,
    name: Value,
}

impl Habits {
    /// Finds out the habits of a template by rendering samples of a conversation with it.
    pub(super) fn of(render: impl Fn(Vec<Value>, &RenderOptions) -> Result<String, TextError>) -> Self {
        let (conversation, options) = sample();
        let fits = |habits: &Self| {
            let text = render(objects(&conversation, *habits), &options);
            // Python's form of an object, with single quotes, is not what a model was trained on.
            text.is_ok_and(|text| text.contains(NEEDLE) && !text.contains(&format!("{{'{NEEDLE}'")))
        };
        // All combinations, the rarest habit last.
        let combinations = (0..8).map(|number| Self {
            no_content: number & 1 > 0,
            arguments_as_text: number & 2 > 0,
            short_ids: number & 4 > 0,
        });
        combinations.into_iter().find(fits).unwrap_or_default()
    }
}

/// A question, a call, its result.
fn sample() -> (Vec<Message>, RenderOptions) {
    let with = |mut message: Message, key: &str, value: Value| {
        message.extra.insert(key.to_owned(), value);
        message
    };
    let call = json!([{"id": "call_0a1b2c3d", "function": {"name": "find", "arguments": {NEEDLE: "hay"}}}]);
    let conversation = vec![
        Message::new("user", "Look."),
        with(Message::new("assistant", ""), "tool_calls", call),
        with(Message::new("tool", "Found."), "tool_call_id", "call_0a1b2c3d".into()),
    ];
    let tool = json!({"type": "function", "function": {"name": "find", "description": "Finds.",
        "parameters": {"type": "object", "properties": {}}}});
    (conversation, RenderOptions { tools: Some(json!([tool])), ..RenderOptions::default() })
}

/// Whether any message has calls, so that habits matter.
pub(super) fn has_calls(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.extra.contains_key("tool_calls"))
}

/// Returns the messages as a template with these habits expects them.
///
/// Fields that Ollama and Hugging Face name differently appear under both names: `thinking` also as
/// `reasoning_content`, `tool_name` also as `name`. Calls are `{"type": "function", "id", "function": {"name",
/// "arguments"}}`. A result gets the name and the id of its call, which it names by its id, else by its place.
pub(super) fn objects(messages: &[Message], habits: Habits) -> Vec<Value> {
    let mut called: Vec<Called> = Vec::new();
    // The first call that no result has come for, by the order of results.
    let mut next = 0;
    let mut objects = Vec::with_capacity(messages.len());
    for message in messages {
        let mut object = Map::new();
        object.insert("role".into(), message.role.clone().into());
        object.insert("content".into(), message.content.clone().into());
        for (key, value) in &message.extra {
            if key != "role" && key != "content" {
                object.insert(key.clone(), value.clone());
            }
        }
        if let Some(Value::Array(calls)) = message.extra.get("tool_calls") {
            next = called.len();
            let calls = calls.iter().map(|call| shown_call(call, habits, &mut called)).collect();
            object.insert("tool_calls".into(), Value::Array(calls));
            if message.content.is_empty() && habits.no_content {
                object.insert("content".into(), Value::Null);
            }
        }
        if message.role == "tool" {
            complete_result(&mut object, &called, &mut next);
        }
        for (ours, theirs) in [("thinking", "reasoning_content"), ("tool_name", "name")] {
            if let Some(value) = object.get(ours).cloned() {
                object.entry(theirs).or_insert(value);
            }
        }
        objects.push(Value::Object(object));
    }
    objects
}

/// A call in the form of Hugging Face; it is noted in `called`.
fn shown_call(call: &Value, habits: Habits, called: &mut Vec<Called>) -> Value {
    let function = call.get("function").unwrap_or(call);
    let id = call["id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    let shown_id = match &id {
        Some(id) if habits.short_ids => Some(short_id(id)),
        None if habits.short_ids => {
            Some(format!("call{:0width$}", called.len() % 100_000, width = SHORT_ID - 4))
        }
        id => id.clone(),
    };
    let arguments = match function.get("arguments") {
        None | Some(Value::Null) => json!({}),
        Some(arguments) => arguments.clone(),
    };
    let arguments = if habits.arguments_as_text { arguments.to_string().into() } else { arguments };
    let mut shown = Map::new();
    shown.insert("type".into(), "function".into());
    if let Some(id) = &shown_id {
        shown.insert("id".into(), id.clone().into());
    }
    shown.insert("function".into(), json!({"name": function["name"], "arguments": arguments}));
    called.push(Called { id, shown_id, name: function["name"].clone() });
    Value::Object(shown)
}

/// Nine letters and digits of an id: its end, which is what distinguishes ids.
fn short_id(id: &str) -> String {
    let characters: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let end = &characters[characters.len().saturating_sub(SHORT_ID)..];
    let short: String = end.iter().collect();
    format!("{short:0<SHORT_ID$}")
}

/// Adds to a result what it does not say of its call.
fn complete_result(result: &mut Map<String, Value>, called: &[Called], next: &mut usize) {
    let id = result.get("tool_call_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let by_id = id.and_then(|id| called.iter().rev().find(|call| call.id.as_deref() == Some(id)));
    let call = by_id.or_else(|| if id.is_none() { called.get(*next) } else { None });
    *next += 1;
    let Some(call) = call else { return };
    if let Some(id) = &call.shown_id {
        result.insert("tool_call_id".into(), id.clone().into());
    }
    result.entry("tool_name").or_insert_with(|| call.name.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Vec<Message> {
        let call =
            |name: &str| json!({"function": {"index": 0, "name": name, "arguments": {"b": 1, "a": "é"}}});
        let mut first = Message::new("assistant", "");
        first.extra.insert("tool_calls".into(), json!([call("f"), call("g")]));
        first.extra.insert("thinking".into(), "t".into());
        let mut second = Message::new("assistant", "And.");
        let mut with_id = call("h");
        with_id["id"] = "call_ab-12345678".into();
        second.extra.insert("tool_calls".into(), json!([with_id]));
        let mut by_id = Message::new("tool", "3");
        by_id.extra.insert("tool_call_id".into(), "call_ab-12345678".into());
        let mut named = Message::new("tool", "2");
        named.extra.insert("tool_name".into(), "x".into());
        vec![Message::new("user", "?"), first, Message::new("tool", "1"), named, second, by_id]
    }

    #[test]
    fn calls_and_results_as_templates_expect_them() {
        let objects = objects(&conversation(), Habits::default());
        assert_eq!(
            objects[1]["tool_calls"][0].to_string(),
            r#"{"type":"function","function":{"name":"f","arguments":{"b":1,"a":"é"}}}"#
        );
        assert_eq!((&objects[1]["content"], &objects[1]["reasoning_content"]), (&json!(""), &json!("t")));
        assert_eq!((&objects[2]["name"], objects[2].get("tool_call_id")), (&json!("f"), None));
        assert_eq!(objects[3]["name"], "x");
        assert_eq!(objects[4]["tool_calls"][0]["id"], "call_ab-12345678");
        assert_eq!(
            (&objects[5]["name"], &objects[5]["tool_call_id"]),
            (&json!("h"), &json!("call_ab-12345678"))
        );
    }

    #[test]
    fn the_other_habits() {
        let habits = Habits { arguments_as_text: true, no_content: true, short_ids: true };
        let objects = objects(&conversation(), habits);
        assert_eq!(objects[1]["content"], Value::Null);
        assert_eq!(objects[1]["tool_calls"][1]["id"], "call00001");
        assert_eq!(objects[1]["tool_calls"][0]["function"]["arguments"], r#"{"b":1,"a":"é"}"#);
        assert_eq!(objects[3]["tool_call_id"], "call00001");
        assert_eq!(objects[4]["content"], "And.");
        assert_eq!(objects[4]["tool_calls"][0]["id"], "b12345678");
        assert_eq!(objects[5]["tool_call_id"], "b12345678");
        assert_eq!(short_id("x"), "x00000000");
    }
}
