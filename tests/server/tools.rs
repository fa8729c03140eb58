//! Tools: what the model gets to see of them, and its calls apart from its words, streamed and whole.
//!
//! The model's weights are random. Its first token is called by the text that it is to say, and its second one ends the
//! answer: so it says just that.

use serde_json::{Value, json};

use crate::fixture::{Server, start, write_model, write_model_naming};

/// Offers tools, names the tags of calls, and renders only the last message.
const TEMPLATE: &str = "{{ messages[-1].content }}{% if false %}{{ tools }}<tool_call>{% endif %}";

/// Writes a model that answers "x" with `script` and nothing else.
pub(crate) async fn write_scripted(server: &Server, name: &str, template: &str, script: &str) {
    write_model(server.root.path(), "bare", "{{ messages[-1].content }}");
    let ask = json!({"model": "bare", "prompt": "x", "stream": false, "options": {"num_predict": 2}});
    let context = server.post("/api/generate", &ask).await.json()["context"].clone();
    let tokens: Vec<u64> = context.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let [prompt, first, second] = tokens[..] else { panic!("{tokens:?}") };
    assert!(prompt != first && first != second, "{tokens:?} cannot be named");
    write_model_naming(server.root.path(), name, template, &[(first, script)], Some(second));
}

fn tools() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "", "parameters": schema}});
    json!([tool("weather"), tool("time")])
}

/// The message and the last record of the answer to "x", whole and put together from a stream; both must be the same.
async fn ask(server: &Server, model: &str, more: &Value) -> (Value, Value) {
    let mut answers = Vec::new();
    for stream in [false, true] {
        let messages = json!([{"role": "user", "content": "x"}]);
        let mut ask = json!({"model": model, "messages": messages, "tools": tools(), "stream": stream});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = server.post("/api/chat", &ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let records = if stream { answer.lines() } else { vec![answer.json()] };
        let text = |field: &str| {
            records
                .iter()
                .map(|record| record["message"][field].as_str().unwrap_or_default())
                .collect::<String>()
        };
        let calls: Vec<Value> = records
            .iter()
            .flat_map(|record| record["message"]["tool_calls"].as_array().cloned().unwrap_or_default())
            .collect();
        let message = json!({"content": text("content"), "thinking": text("thinking"), "tool_calls": calls});
        answers.push((message, records.last().unwrap().clone()));
    }
    let (whole, last) = answers.swap_remove(0);
    let without_ids = |message: &Value| {
        let mut message = message.clone();
        for call in message["tool_calls"].as_array_mut().unwrap() {
            let id = call.as_object_mut().unwrap().shift_remove("id").unwrap();
            let id = id.as_str().unwrap().strip_prefix("call_").unwrap().as_bytes().to_vec();
            assert!(
                id.len() == 8 && id.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            );
        }
        message
    };
    assert_eq!(without_ids(&whole), without_ids(&answers[0].0));
    (without_ids(&whole), last)
}

#[tokio::test]
async fn calls_are_reported_apart_from_the_text_around_them() {
    let server = start().await;
    let script = "Let me look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"unit\": \"C\", \"city\": \"Zürich\"}}\n</tool_call>\n\
        <tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>\nThere.";
    write_scripted(&server, "caller", TEMPLATE, script).await;
    let (message, last) = ask(&server, "caller", &json!({})).await;
    assert_eq!(message["content"], "Let me look.\nThere.");
    assert_eq!(
        message["tool_calls"].to_string(),
        r#"[{"function":{"index":0,"name":"weather","arguments":{"unit":"C","city":"Zürich"}}},{"function":{"index":1,"name":"time","arguments":{}}}]"#
    );
    assert_eq!((&last["done_reason"], &last["eval_count"]), (&json!("stop"), &json!(2)));
    // Without tools there is nothing to call.
    let (message, _) = ask(&server, "caller", &json!({"tools": []})).await;
    assert_eq!(message, json!({"content": script, "thinking": "", "tool_calls": []}));
    server.stop().await;
}

#[tokio::test]
async fn thoughts_text_and_calls_of_one_answer() {
    let server = start().await;
    let script = "<think>\nthe weather?\n</think>\n\n<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}}</tool_call>";
    let template = format!("{TEMPLATE}{{% if false %}}<think>{{% endif %}}");
    write_scripted(&server, "caller", &template, script).await;
    for (think, thoughts) in [(true, "the weather?\n"), (false, "")] {
        let (message, _) = ask(&server, "caller", &json!({"think": think})).await;
        assert_eq!((&message["thinking"], &message["content"]), (&json!(thoughts), &json!("")));
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], json!({"city": "Bern"}));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_call_stays_text_and_what_is_cut_off_does_not_leak() {
    let server = start().await;
    for (script, content) in [
        (r#"{"name": "elsewhere", "arguments": {}}"#, r#"{"name": "elsewhere", "arguments": {}}"#),
        ("<tool_call>\nnothing\n</tool_call>", "\nnothing\n"),
        (r#"Well. <tool_call>{"name": "weather", "arg"#, "Well. "),
        ("a <b> c", "a <b> c"),
    ] {
        write_scripted(&server, "caller", TEMPLATE, script).await;
        let (message, _) = ask(&server, "caller", &json!({})).await;
        assert_eq!(message, json!({"content": content, "thinking": "", "tool_calls": []}), "{script}");
    }
    server.stop().await;
}

#[tokio::test]
async fn templates_see_tools_calls_and_results() {
    let server = start().await;
    let template = "{{ tools | tojson }}{% for m in messages %}|{{ m.role }} {{ m.content }}\
        {% for c in m.tool_calls or [] %}{{ c | tojson }}{% endfor %}{{ m.name }} {{ m.tool_call_id }}{% endfor %}";
    write_model(server.root.path(), "shower", template);
    let call =
        json!({"id": "call_1", "function": {"index": 0, "name": "weather", "arguments": {"city": "Bern"}}});
    let ask = json!({
        "model": "shower", "_debug_render_only": true, "tools": [tools()[0]], "messages": [
            {"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "content": "wet", "tool_call_id": "call_1"}]
    });
    let shown = server.post("/api/chat", &ask).await.json();
    let expected = concat!(
        r#"[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "#,
        r#""properties": {"city": {"type": "string"}}, "required": ["city"]}}}]|user ? "#,
        r#"|assistant {"type": "function", "id": "call_1", "function": {"name": "weather", "arguments": {"city": "Bern"}}} "#,
        "|tool wetweather call_1"
    );
    assert_eq!(shown["_debug_info"]["rendered_template"], expected);
    server.stop().await;
}

#[tokio::test]
async fn only_models_whose_template_knows_tools_offer_them() {
    let server = start().await;
    write_model(server.root.path(), "caller", TEMPLATE);
    let listed = server.get("/api/tags").await.json();
    for model in listed["models"].as_array().unwrap() {
        let shown = server.post("/api/show", &json!({"model": model["name"]})).await.json();
        let capabilities = if model["name"] == "caller:latest" {
            json!(["completion", "tools"])
        } else {
            json!(["completion"])
        };
        assert_eq!((&shown["capabilities"], &model["capabilities"]), (&capabilities, &capabilities));
    }
    let ask = json!({"model": "tiny", "messages": [{"role": "user", "content": "x"}], "tools": tools()});
    let refused = server.post("/api/chat", &ask).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.error(), "registry.ollama.ai/library/tiny:latest does not support tools");
    for (tools, status) in [(json!([{"type": "function"}]), 400), (json!(["f"]), 400), (json!(null), 200)] {
        let ask = json!({"model": "caller", "messages": [{"role": "user", "content": "x"}], "tools": tools,
            "stream": false, "options": {"num_predict": 1}});
        assert_eq!(server.post("/api/chat", &ask).await.status, status, "{tools}");
    }
    server.stop().await;
}
