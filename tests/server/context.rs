//! Prompts that fill the window, prompts that do not fit, and answers that reach its end.

use serde_json::{Value, json};

use crate::fixture::{CONTEXT, Server, start};

/// Generates from a raw prompt of so many one-byte tokens.
async fn generate(server: &Server, prompt_len: usize, more: &Value) -> crate::fixture::Answer {
    let prompt: String = ('a'..='z').cycle().take(prompt_len).collect();
    let mut ask = json!({"model": "tiny", "prompt": prompt, "raw": true, "stream": false});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/api/generate", &ask).await
}

#[tokio::test]
async fn a_prompt_may_fill_the_last_cell() {
    let server = start().await;
    let full = generate(&server, CONTEXT, &json!({"truncate": false, "shift": false})).await.json();
    assert_eq!(full["prompt_eval_count"], CONTEXT);
    // The last token needs no cell: it is never computed.
    assert_eq!((full["eval_count"].as_u64(), full["done_reason"].as_str()), (Some(1), Some("length")));
    let over = generate(&server, CONTEXT + 1, &json!({"truncate": false})).await;
    assert_eq!(over.status, 400);
    assert!(over.error().starts_with("the prompt is longer than the context length currently available"));
    let over = generate(&server, CONTEXT + 1, &json!({"shift": false})).await;
    assert_eq!(over.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_cut() {
    let server = start().await;
    let cut = generate(&server, CONTEXT * 3, &json!({"options": {"num_predict": 1}})).await.json();
    // num_keep (4) tokens of the start, and about half of the rest.
    assert_eq!(cut["prompt_eval_count"], 4 + (CONTEXT - 4) / 2);
    let narrow =
        generate(&server, 100, &json!({"options": {"num_predict": 1, "num_ctx": 64, "num_keep": 0}})).await;
    assert_eq!(narrow.json()["prompt_eval_count"], 32);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_ends_at_the_end_of_the_window() {
    let server = start().await;
    let long = generate(&server, CONTEXT - 20, &json!({"shift": false})).await.json();
    assert_eq!((long["eval_count"].as_u64(), long["done_reason"].as_str()), (Some(21), Some("length")));
    let narrow = generate(&server, 50, &json!({"shift": false, "options": {"num_ctx": 60}})).await.json();
    assert_eq!((narrow["eval_count"].as_u64(), narrow["done_reason"].as_str()), (Some(11), Some("length")));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_may_shift_goes_on() {
    let server = start().await;
    let ask = json!({"options": {"num_predict": CONTEXT + 100, "temperature": 1.0, "seed": 5}});
    let long = generate(&server, CONTEXT - 20, &ask).await.json();
    assert_eq!(long["eval_count"], CONTEXT + 100);
    assert_eq!(
        (long["prompt_eval_count"].as_u64(), long["done_reason"].as_str()),
        (Some(492), Some("length"))
    );
    // The same on the second time, when the card still has what was written last.
    assert_eq!(generate(&server, CONTEXT - 20, &ask).await.json()["response"], long["response"]);
    server.stop().await;
}

#[tokio::test]
async fn old_messages_go_first_and_the_system_message_stays() {
    let server = start().await;
    let mut messages = vec![json!({"role": "system", "content": "S"})];
    for turn in 0..40 {
        messages.push(
            json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": "x".repeat(40)}),
        );
    }
    messages.push(json!({"role": "user", "content": "last"}));
    let mut ask =
        json!({"model": "tiny", "messages": messages, "stream": false, "options": {"num_predict": 1}});
    let fitted = server.post("/api/chat", &ask).await.json();
    let tokens = fitted["prompt_eval_count"].as_u64().unwrap();
    assert!((CONTEXT as u64 - 60..=CONTEXT as u64).contains(&tokens), "{tokens}");
    ask["truncate"] = json!(false);
    assert_eq!(server.post("/api/chat", &ask).await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_context_is_taken_up_again() {
    let server = start().await;
    let ask = json!({"model": "tiny", "prompt": "one", "stream": false, "options": {"num_predict": 5}});
    let first = server.post("/api/generate", &ask).await.json();
    let mut again = ask.clone();
    again["context"] = first["context"].clone();
    let second = server.post("/api/generate", &again).await.json();
    let (before, after) = (first["context"].as_array().unwrap(), second["context"].as_array().unwrap());
    assert_eq!(after[..before.len()], before[..]);
    again["context"] = json!([1, 99_999]);
    let refused = server.post("/api/generate", &again).await;
    assert_eq!(refused.status, 400);
    assert!(refused.error().contains("99999"));
    server.stop().await;
}

#[tokio::test]
async fn a_context_takes_the_place_of_the_models_history() {
    let server = start().await;
    let history = json!([{"role": "user", "content": "h"}, {"role": "assistant", "content": "i"}]);
    let create =
        json!({"model": "told", "from": "tiny", "messages": history, "system": "s", "stream": false});
    assert_eq!(server.post("/api/create", &create).await.status, 200);
    let mut ask = json!({"model": "told", "prompt": "x", "_debug_render_only": true});
    for (context, before) in [
        (json!([]), "<|turn|>system\ns\n<|turn|>user\nh\n<|turn|>assistant\ni\n"),
        (json!(null), "<|turn|>system\ns\n<|turn|>user\nh\n<|turn|>assistant\ni\n"),
        (json!([99, 99]), "cc<|turn|>system\ns\n"),
    ] {
        ask["context"] = context;
        let shown = server.post("/api/generate", &ask).await.json();
        let expected = format!("{before}<|turn|>user\nx\n<|turn|>assistant\n");
        assert_eq!(shown["_debug_info"]["rendered_template"], expected);
    }
    server.stop().await;
}
