//! Pieces of answers, and events read back, for the tests of the families that stream events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::inference::{AnswerCall, Delta, Done, Piece};
use crate::engine::{DoneReason, Summary};
use crate::text::ToolCall;

/// A piece with thoughts and text.
pub(crate) fn said(thinking: &str, content: &str) -> Piece {
    Piece::Delta(Delta { thinking: thinking.into(), content: content.into(), ..Delta::default() })
}

/// A piece with one call of `f`.
pub(crate) fn called(index: usize) -> Delta {
    let arguments = json!({"b": 1, "a": [2]}).as_object().unwrap().clone();
    let call = ToolCall { name: "f".into(), arguments };
    Delta { tool_calls: vec![AnswerCall { id: format!("call_{index}"), index, call }], ..Delta::default() }
}

/// The end of an answer of two tokens to a prompt of three.
pub(crate) fn done(reason: DoneReason, last: Delta) -> Piece {
    let summary = Summary {
        reason,
        load: Duration::ZERO,
        prompt_tokens: 3,
        reused_tokens: 1,
        prompt_eval: Duration::ZERO,
        eval_tokens: 2,
        eval: Duration::ZERO,
        total: Duration::ZERO,
        grammar: Duration::ZERO,
        tokens: Vec::new(),
    };
    Piece::Done(Done { last, summary, loaded_in: Duration::ZERO })
}

/// Name and data of each event of a stream.
pub(crate) fn events(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<(Option<String>, Value)> {
    let text = String::from_utf8(frames.into_iter().flatten().collect()).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "{text}");
    let read = |event: &str| {
        let (name, data) = match event.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: ").map(str::to_owned), data),
            None => (None, event),
        };
        let data = data.strip_prefix("data: ").unwrap();
        (name, serde_json::from_str(data).unwrap_or_else(|_| data.into()))
    };
    text.split_terminator("\n\n").map(read).collect()
}
