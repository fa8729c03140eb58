//! Formats and tools on the routes of `OpenAI` and Anthropic: structure that a model with random weights cannot leave,
//! and calls in the words of each family.

use serde_json::{Value, json};

use crate::events::events;
use crate::fixture::{Server, start};
use crate::tools::write_scripted;

/// Offers tools, names the tags of calls, and renders only the last message.
const TEMPLATE: &str = "{{ messages[-1].content }}{% if false %}{{ tools }}<tool_call>{% endif %}";

const SCRIPT: &str = "Let me look.<tool_call>{\"name\": \"weather\", \"arguments\": {\"unit\": \"C\", \"city\": \"Zürich\"}}</tool_call>\
    <tool_call>{\"name\": \"time\", \"arguments\": {}}</tool_call>";

fn schema() -> Value {
    json!({
        "type": "object", "required": ["kind", "flag"], "additionalProperties": false,
        "properties": {"kind": {"enum": ["one", "two"]}, "flag": {"type": "boolean"}}
    })
}

fn with(mut ask: Value, more: &Value) -> Value {
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

/// Checks that a text is an object of [`schema`].
fn assert_fits(text: &Value) {
    let value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    let kind = value["kind"].as_str().unwrap();
    assert!(["one", "two"].contains(&kind) && value["flag"].is_boolean(), "{value}");
    assert_eq!(value.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn answers_have_the_form_that_was_asked_for() {
    let server = start().await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let chat = json!({"model": "tiny", "messages": messages, "seed": 5, "max_tokens": 200});
    let strict =
        json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema()}});
    let answer =
        server.post("/v1/chat/completions", &with(chat.clone(), &json!({"response_format": strict}))).await;
    let choice = answer.json()["choices"][0].clone();
    assert_fits(&choice["message"]["content"]);
    assert_eq!(choice["finish_reason"], "stop");
    let text = json!({"response_format": {"type": "text"}});
    assert_eq!(server.post("/v1/chat/completions", &with(chat, &text)).await.status, 200);

    let format = json!({"format": {"type": "json_schema", "name": "x", "schema": schema()}});
    let ask = json!({"model": "tiny", "input": "hello", "max_output_tokens": 200, "text": format});
    let answer = server.post("/v1/responses", &ask).await.json();
    assert_fits(&answer["output"][0]["content"][0]["text"]);
    assert_eq!(answer["text"], format);

    let format = json!({"format": {"type": "json_schema", "schema": schema()}});
    let ask = json!({"model": "tiny", "messages": messages, "max_tokens": 200, "output_config": format});
    assert_fits(&server.post("/v1/messages", &ask).await.json()["content"][0]["text"]);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_enforced_is_refused_if_strict() {
    let server = start().await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let schema = json!({"type": "array", "items": {"type": "boolean"}, "maxItems": 2, "uniqueItems": true});
    let of_text = |text: &Value| {
        let value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert!(value.is_array(), "{value}");
    };
    for strict in [true, false] {
        let format = json!({"name": "x", "strict": strict, "schema": schema});
        let ask = json!({"model": "tiny", "messages": messages, "max_tokens": 200,
            "response_format": {"type": "json_schema", "json_schema": format}});
        let chat = server.post("/v1/chat/completions", &ask).await;
        let format = with(format, &json!({"type": "json_schema"}));
        let ask =
            json!({"model": "tiny", "input": "hello", "max_output_tokens": 200, "text": {"format": format}});
        let response = server.post("/v1/responses", &ask).await;
        if strict {
            for answer in [chat, response] {
                assert_eq!(answer.status, 400);
                assert!(answer.text.contains("that items differ cannot be enforced"), "{}", answer.text);
            }
        } else {
            of_text(&chat.json()["choices"][0]["message"]["content"]);
            of_text(&response.json()["output"][0]["content"][0]["text"]);
        }
    }
    let ask = json!({"model": "tiny", "messages": messages, "format": schema, "stream": false});
    of_text(&server.post("/api/chat", &ask).await.json()["message"]["content"]);
    server.stop().await;
}

/// A tool in the form of each family.
fn chat_tools() -> Value {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
    json!([tool("weather"), tool("time")])
}

#[tokio::test]
async fn calls_in_chat_completions() {
    let server = start().await;
    write_scripted(&server, "caller", TEMPLATE, SCRIPT).await;
    let messages = json!([{"role": "user", "content": "x"}]);
    let ask = json!({"model": "caller", "messages": messages, "tools": chat_tools(), "temperature": 0});
    let choice = server.post("/v1/chat/completions", &ask).await.json()["choices"][0].clone();
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &json!("Let me look."))
    );
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let function = json!({"name": "weather", "arguments": "{\"unit\":\"C\",\"city\":\"Zürich\"}"});
    assert_eq!(
        (&calls[0]["type"], &calls[0]["index"], &calls[0]["function"]),
        (&json!("function"), &json!(0), &function)
    );
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    let streamed = server.post("/v1/chat/completions", &with(ask.clone(), &json!({"stream": true}))).await;
    let choices: Vec<Value> =
        events(&streamed).into_iter().map(|event| event.data["choices"][0].clone()).collect();
    let streamed: Vec<Value> = choices
        .iter()
        .flat_map(|choice| choice["delta"]["tool_calls"].as_array().cloned().unwrap_or_default())
        .collect();
    let functions = |calls: &[Value]| calls.iter().map(|call| call["function"].clone()).collect::<Vec<_>>();
    assert_eq!(functions(&streamed), functions(calls));
    assert!(choices.iter().any(|choice| choice["finish_reason"] == "tool_calls"));

    // The model does not get to see them.
    let none = server.post("/v1/chat/completions", &with(ask, &json!({"tool_choice": "none"}))).await.json();
    assert_eq!(none["choices"][0]["message"]["content"], SCRIPT);
    server.stop().await;
}

#[tokio::test]
async fn calls_in_messages() {
    let server = start().await;
    write_scripted(&server, "caller", TEMPLATE, SCRIPT).await;
    let tools = json!([{"name": "weather", "input_schema": {"type": "object"}}, {"name": "time", "input_schema": {"type": "object"}}]);
    let messages = json!([{"role": "user", "content": "x"}]);
    let ask =
        json!({"model": "caller", "max_tokens": 50, "messages": messages, "tools": tools, "temperature": 0});
    let whole = server.post("/v1/messages", &ask).await.json();
    assert_eq!(whole["stop_reason"], "tool_use");
    assert_eq!(whole["content"][0], json!({"type": "text", "text": "Let me look."}));
    let call = &whole["content"][1];
    assert_eq!(
        (&call["type"], &call["name"], call["input"].to_string().as_str()),
        (&json!("tool_use"), &json!("weather"), r#"{"unit":"C","city":"Zürich"}"#)
    );
    assert_eq!(whole["content"].as_array().unwrap().len(), 3);

    let streamed = events(&server.post("/v1/messages", &with(ask, &json!({"stream": true}))).await);
    let arguments: Vec<&str> =
        streamed.iter().filter_map(|event| event.data["delta"]["partial_json"].as_str()).collect();
    assert_eq!(arguments, [r#"{"unit":"C","city":"Zürich"}"#, "{}"]);
    let reason = streamed.iter().find_map(|event| event.data["delta"]["stop_reason"].as_str());
    assert_eq!(reason, Some("tool_use"));
    server.stop().await;
}

#[tokio::test]
async fn calls_in_responses() {
    let server = start().await;
    write_scripted(&server, "caller", TEMPLATE, SCRIPT).await;
    let tools = json!([{"type": "function", "name": "weather", "parameters": {"type": "object"}}, {"type": "function", "name": "time"}]);
    let ask = json!({"model": "caller", "input": "x", "tools": tools, "temperature": 0});
    let whole = server.post("/v1/responses", &ask).await.json();
    assert_eq!(whole["tools"], tools);
    let [text, first, second] = whole["output"].as_array().unwrap().as_slice() else { panic!("{whole}") };
    assert_eq!(text["content"][0]["text"], "Let me look.");
    assert_eq!(
        (&first["type"], &first["name"], &first["arguments"]),
        (&json!("function_call"), &json!("weather"), &json!("{\"unit\":\"C\",\"city\":\"Zürich\"}"))
    );
    assert!(second["call_id"].as_str().unwrap().starts_with("call_"));
    let streamed = events(&server.post("/v1/responses", &with(ask, &json!({"stream": true}))).await);
    let done: Vec<&Value> = streamed
        .iter()
        .filter(|event| event.name.as_deref() == Some("response.function_call_arguments.done"))
        .map(|event| &event.data["arguments"])
        .collect();
    assert_eq!(done, [&first["arguments"], &second["arguments"]]);
    server.stop().await;
}

/// Asks a model that would say anything for a call.
async fn forced(server: &Server, path: &str, ask: Value) -> Value {
    let answer = server.post(path, &ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_demanded_call_is_made() {
    let server = start().await;
    crate::fixture::write_model(server.root.path(), "random", TEMPLATE);
    let messages = json!([{"role": "user", "content": "x"}]);
    let function = json!({"name": "set", "parameters": schema()});
    let ask = json!({"model": "random", "messages": messages, "max_tokens": 300, "seed": 3});
    let tools = json!([{"type": "function", "function": function}]);
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "set"}})] {
        let more = json!({"tools": tools, "tool_choice": choice});
        let answer = forced(&server, "/v1/chat/completions", with(ask.clone(), &more)).await;
        let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
        assert_eq!(call["name"], "set", "{answer}");
        assert_fits(&call["arguments"]);
    }
    let tools = json!([{"name": "set", "input_schema": schema()}]);
    let more = json!({"tools": tools, "tool_choice": {"type": "any"}});
    let answer = forced(&server, "/v1/messages", with(ask, &more)).await;
    let call =
        answer["content"].as_array().unwrap().iter().find(|block| block["type"] == "tool_use").unwrap();
    assert_fits(&json!(call["input"].to_string()));
    server.stop().await;
}
