//! Items and events of answers.

use serde_json::{Value, json};

use super::events::Items;
use super::request::ResponsesRequest;
use crate::api::inference::{Delta, Piece};
use crate::api::openai::testing::{called, done, events, said};
use crate::engine::{DoneReason, EngineError};

fn items(tools: &Value) -> Items {
    let body = json!({"model": "m", "input": "x", "tools": tools}).to_string();
    let request = ResponsesRequest::parse(body.as_bytes()).unwrap();
    Items::new(request.echo, request.grouped)
}

/// The events of an answer. Numbers and names are checked here.
fn written(tools: &Value, pieces: Vec<Piece>) -> Vec<Value> {
    let mut items = items(tools);
    let mut frames = vec![items.opening().unwrap()];
    frames.extend(pieces.into_iter().map(|piece| items.render(piece).unwrap()));
    let check = |(number, (name, data)): (usize, (Option<String>, Value))| {
        assert_eq!((name.as_deref(), &data["sequence_number"]), (data["type"].as_str(), &json!(number)));
        data
    };
    events(frames).into_iter().enumerate().map(check).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

#[test]
fn thoughts_and_a_message() {
    let end = done(DoneReason::Stop, Delta::default());
    let events = written(&json!([]), vec![said("h", ""), said("m", "ye"), said("", "s"), end]);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&events), expected);
    assert_eq!(
        (&events[0]["response"]["status"], &events[0]["response"]["usage"]),
        (&json!("in_progress"), &Value::Null)
    );
    let output = &events[14]["response"]["output"];
    let text = json!({"type": "output_text", "text": "yes", "annotations": [], "logprobs": []});
    let thought = json!([{"type": "summary_text", "text": "hm"}]);
    assert_eq!((&output[0]["summary"], &output[0]["encrypted_content"]), (&thought, &json!("hm")));
    assert_eq!((&output[1]["content"], &output[1]["status"]), (&json!([text]), &json!("completed")));
    assert_eq!(output[1]["id"], events[9]["item_id"]);
    assert_eq!((&events[6]["output_index"], &events[9]["output_index"]), (&json!(0), &json!(1)));
    assert_eq!(events[13]["item"], output[1]);
    let usage = json!({
        "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 5
    });
    assert_eq!(events[14]["response"]["usage"], usage);
    assert!(events[14]["response"]["completed_at"].is_i64());
}

#[test]
fn calls_after_a_text_keep_the_text_and_know_their_group() {
    let tools = json!([{"type": "namespace", "name": "", "tools": []}, {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]}]);
    let mut call = called(0);
    call.tool_calls[0].call.name = "n__f".into();
    let mut calls = called(1);
    calls.content = "\n".into();
    let end = done(DoneReason::Stop, calls);
    let events = written(&tools, vec![said("", "\n"), said("", "let me see"), Piece::Delta(call), end]);
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types(&events), expected);
    let added = &events[8]["item"];
    assert_eq!(
        (&added["status"], &added["arguments"], &added["namespace"]),
        (&json!("in_progress"), &json!(""), &json!("n"))
    );
    assert_eq!(events[4]["delta"], "\nlet me see");
    assert_eq!(events[9]["delta"], "{\"b\":1,\"a\":[2]}");
    let output = events[16]["response"]["output"].as_array().unwrap();
    assert_eq!(output.len(), 3);
    assert_eq!(
        (&output[1]["call_id"], &output[1]["name"], &output[1]["status"]),
        (&json!("call_0"), &json!("f"), &json!("completed"))
    );
    assert!(output[2].get("namespace").is_none());
}

#[test]
fn an_empty_answer_has_an_empty_message() {
    let events = written(&json!([]), vec![done(DoneReason::Length, Delta::default())]);
    let response = &events.last().unwrap()["response"];
    assert_eq!(
        (&response["status"], &response["output"][0]["content"][0]["text"]),
        (&json!("completed"), &json!(""))
    );
}

#[test]
fn a_failure_is_told_twice_for_two_kinds_of_clients() {
    let events = written(&json!([]), vec![said("", "ye"), Piece::Error(EngineError::Busy.into())]);
    let [.., failed, error] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (&failed["type"], &failed["response"]["status"]),
        (&json!("response.failed"), &json!("failed"))
    );
    assert!(failed["response"]["error"]["message"].as_str().unwrap().starts_with("server busy"));
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("api_error")));
}

#[test]
fn every_field_is_there() {
    let response = serde_json::to_value(items(&json!([])).into_response()).unwrap();
    let expected = json!({
        "object": "response", "completed_at": null, "incomplete_details": null, "model": "m", "previous_response_id": null,
        "instructions": null, "output": [], "error": null, "tools": [], "tool_choice": "auto", "truncation": "disabled",
        "parallel_tool_calls": true, "text": {"format": {"type": "text"}}, "top_p": 1.0, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "top_logprobs": 0, "temperature": 1.0, "reasoning": null, "max_output_tokens": null,
        "max_tool_calls": null, "store": false, "background": false, "service_tier": "default", "metadata": {},
        "safety_identifier": null, "prompt_cache_key": null
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(response.get(name), Some(value), "{name}");
    }
}
