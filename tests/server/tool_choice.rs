//! `tool_choice` and strict tools: calls that come whatever the model would say. The weights are random.

use serde_json::{Value, json};

use crate::fixture::{Server, start, write_model};

const TEMPLATE: &str = "{{ messages[-1].content }}{% if tools %}[{{ tools | length }}]{% endif %}{% if false %}<tool_call>{% endif %}";

/// Two tools whose arguments are short, so that random weights come to their end.
fn tools(strict: bool) -> Value {
    let tool = |name: &str, values: Value| {
        let schema = json!({
            "type": "object", "properties": {"where": {"enum": values}}, "required": ["where"],
            "additionalProperties": false
        });
        json!({"type": "function", "function": {"name": name, "parameters": schema, "strict": strict}})
    };
    json!([tool("weather", json!(["Bern", "Rome"])), tool("time", json!(["UTC", "CET"]))])
}

/// The message of a whole answer and that of a streamed one put together.
async fn ask(server: &Server, more: &Value) -> [Value; 2] {
    let mut ask = json!({
        "model": "caller", "messages": [{"role": "user", "content": "x"}],
        "options": {"num_predict": 600, "temperature": 1.2}
    });
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask["stream"] = json!(false);
    let whole = server.post("/api/chat", &ask).await;
    assert_eq!(whole.status, 200, "{}", whole.text);
    let whole = whole.json();
    assert_eq!(whole["done_reason"], "stop", "{whole}");
    ask["stream"] = json!(true);
    let (mut content, mut calls) = (String::new(), Vec::new());
    for record in server.post("/api/chat", &ask).await.lines() {
        let message = &record["message"];
        content += message["content"].as_str().unwrap();
        let new = message["tool_calls"].as_array().cloned().unwrap_or_default();
        // Clients take a record with calls for nothing but calls.
        assert!(new.is_empty() || message["content"] == "", "{record}");
        calls.extend(new);
    }
    [whole["message"].clone(), json!({"content": content, "tool_calls": calls})]
}

fn assert_calls(message: &Value, names: &[&str]) {
    let calls = message["tool_calls"].as_array().unwrap_or_else(|| panic!("no calls in {message}"));
    assert!(!calls.is_empty() && message["content"] == "", "{message}");
    for (index, call) in calls.iter().enumerate() {
        let function = &call["function"];
        let name = function["name"].as_str().unwrap();
        assert!(names.contains(&name), "{call}");
        assert_eq!(function["index"], index);
        let places = if name == "weather" { ["Bern", "Rome"] } else { ["UTC", "CET"] };
        let arguments = function["arguments"].as_object().unwrap();
        assert_eq!(arguments.len(), 1, "{call}");
        assert!(places.contains(&arguments["where"].as_str().unwrap()), "{call}");
    }
}

#[tokio::test]
async fn a_call_that_is_demanded_comes() {
    let server = start().await;
    write_model(server.root.path(), "caller", TEMPLATE);
    for seed in 0..3 {
        let options = json!({"seed": seed, "temperature": 1.2, "num_predict": 4000});
        for (choice, names) in [
            (json!("required"), &["weather", "time"][..]),
            (json!({"type": "function", "function": {"name": "time"}}), &["time"]),
        ] {
            let more = json!({"tools": tools(false), "tool_choice": choice, "options": options});
            for message in ask(&server, &more).await {
                assert_calls(&message, names);
            }
        }
    }
    server.stop().await;
}

/// Numbers of any size, and values of which nothing is known, are read as what they are.
#[tokio::test]
async fn a_demanded_call_comes_whatever_its_arguments_are() {
    let server = start().await;
    write_model(server.root.path(), "caller", TEMPLATE);
    for (schema, is_right) in [
        (json!({"type": "number"}), Value::is_number as fn(&Value) -> bool),
        (json!({"type": "integer"}), Value::is_number),
        (json!({"type": "array", "maxItems": 2, "items": {"type": ["number", "null"]}}), Value::is_array),
        (json!({"enum": [1e300, -5, "x"]}), |value| {
            value.as_f64() == Some(1e300) || *value == -5 || *value == "x"
        }),
    ] {
        let parameters = json!({"type": "object", "properties": {"value": schema}, "required": ["value"]});
        let tool = json!({"type": "function", "function": {"name": "take", "parameters": parameters}});
        for seed in 0..2 {
            let options = json!({"seed": seed, "temperature": 1.2, "num_predict": 4000});
            // One call, which comes to its end.
            let choice = json!({"type": "function", "function": {"name": "take"}});
            let more = json!({"tools": [tool], "tool_choice": choice, "options": options});
            for message in ask(&server, &more).await {
                let calls =
                    message["tool_calls"].as_array().unwrap_or_else(|| panic!("no calls in {message}"));
                assert!(!calls.is_empty() && message["content"] == "", "{message}");
                for call in calls {
                    assert_eq!(call["function"]["name"], "take");
                    assert!(is_right(&call["function"]["arguments"]["value"]), "{schema}: {call}");
                }
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn tools_that_are_not_to_be_called_are_not_shown() {
    let server = start().await;
    write_model(server.root.path(), "caller", TEMPLATE);
    for (choice, prompt) in [(json!("none"), "x"), (json!("auto"), "x[2]"), (json!("required"), "x[2]")] {
        let ask = json!({
            "model": "caller", "messages": [{"role": "user", "content": "x"}], "tools": tools(false),
            "tool_choice": choice, "_debug_render_only": true
        });
        let shown = server.post("/api/chat", &ask).await.json();
        assert_eq!(shown["_debug_info"]["rendered_template"], prompt, "{choice}");
    }
    server.stop().await;
}

/// A template that shows tools and no marks: calls are a list of objects, and nothing but a bracket tells them from
/// text.
const PLAIN: &str = "{{ messages[-1].content }}{% if tools %}[{{ tools | length }}]{% endif %}";

#[tokio::test]
async fn strict_tools_are_followed_also_where_nothing_demands_a_call() {
    let server = start().await;
    write_model(server.root.path(), "plain", PLAIN);
    let ask = |seed: i64, limit: i64| {
        json!({
            "model": "plain", "messages": [{"role": "user", "content": "x"}], "tools": tools(true), "stream": false,
            "options": {"num_predict": limit, "temperature": 5, "top_k": 0, "top_p": 1, "seed": seed}
        })
    };
    let (mut calls, mut texts) = (0, 0);
    for seed in 0..3000 {
        // Most random answers begin as text does.
        let first = server.post("/api/chat", &ask(seed, 1)).await.json();
        match first["message"]["content"].as_str().unwrap().trim_start().chars().next() {
            Some('[') => {
                let answer = server.post("/api/chat", &ask(seed, 600)).await.json();
                assert_calls(&answer["message"], &["weather", "time"]);
                calls += 1;
            }
            Some(first) => {
                assert_ne!(first, '{', "seed {seed}");
                texts += 1;
            }
            None => {}
        }
        if calls > 0 && texts > 20 {
            break;
        }
    }
    assert!(calls > 0 && texts > 20, "{calls} calls, {texts} texts");
    server.stop().await;
}
