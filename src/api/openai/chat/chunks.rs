//! From the pieces of an answer to the chunks of a stream.

use super::records::{ChatChunk, ChunkChoice, ChunkDelta, FINGERPRINT, Logprobs, Usage, finish_reason};
use crate::api::error::ApiError;
use crate::api::inference::{Delta, Done, Piece};
use crate::api::openai::error::ErrorEnvelope;
use crate::api::stream;

/// What ends every stream that ends well.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes the chunks of one answer: the first says who speaks, one of its own says why the answer ended, one more has
/// the usage if it is wanted.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// The same in every chunk.
    pub(crate) id: String,
    /// The same in every chunk.
    pub(crate) created: i64,
    /// As requested.
    pub(crate) model: String,
    /// Whether the usage is wanted.
    pub(crate) include_usage: bool,
    /// Whether a chunk has said who speaks.
    pub(crate) opened: bool,
    /// Whether the model has called tools.
    pub(crate) called: bool,
}

impl Chunks {
    /// What a piece looks like on the wire.
    pub(crate) fn render(&mut self, piece: Piece) -> Result<Vec<u8>, ApiError> {
        match piece {
            Piece::Delta(delta) => self.delta(delta),
            Piece::Done(done) => self.done(done),
            Piece::Error(error) => stream::event(None, &ErrorEnvelope::from(&error)),
        }
    }

    /// A piece with thoughts and more becomes two chunks, thoughts first: clients look at one or the other.
    fn delta(&mut self, delta: Delta) -> Result<Vec<u8>, ApiError> {
        let Delta { thinking, content, tool_calls, logprobs } = delta;
        self.called |= !tool_calls.is_empty();
        let mut logprobs = Logprobs::of(logprobs);
        let mut frame = Vec::new();
        let has_more = !content.is_empty() || !tool_calls.is_empty();
        if !thinking.is_empty() {
            let delta = ChunkDelta { reasoning: thinking, ..ChunkDelta::default() };
            frame.extend(self.chunk(delta, logprobs.take())?);
        }
        if has_more || frame.is_empty() {
            let tool_calls = tool_calls.into_iter().map(Into::into).collect();
            let delta = ChunkDelta { content: Some(content), tool_calls, ..ChunkDelta::default() };
            frame.extend(self.chunk(delta, logprobs)?);
        }
        Ok(frame)
    }

    fn done(&mut self, done: Done) -> Result<Vec<u8>, ApiError> {
        let mut frame = Vec::new();
        if !done.last.is_empty() || !self.opened {
            frame.extend(self.delta(done.last)?);
        }
        let reason = finish_reason(done.summary.reason, self.called);
        let choice = ChunkChoice { finish_reason: Some(reason), ..ChunkChoice::default() };
        frame.extend(stream::event(None, &self.record(vec![choice], None))?);
        if self.include_usage {
            let usage = Usage::from(&done.summary);
            frame.extend(stream::event(None, &self.record(Vec::new(), Some(usage)))?);
        }
        frame.extend(DONE);
        Ok(frame)
    }

    fn chunk(&mut self, mut delta: ChunkDelta, logprobs: Option<Logprobs>) -> Result<Vec<u8>, ApiError> {
        // Clients add the texts up and expect one in every chunk.
        delta.content.get_or_insert_default();
        if !self.opened {
            delta.role = Some("assistant");
            self.opened = true;
        }
        let choice = ChunkChoice { delta, logprobs, ..ChunkChoice::default() };
        stream::event(None, &self.record(vec![choice], None))
    }

    fn record(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>) -> ChatChunk {
        ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: FINGERPRINT,
            choices,
            usage,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::openai::testing::{called, done, events, said};
    use crate::engine::{DoneReason, EngineError, TokenLogprob};

    /// The data of what a chunk writer makes of these pieces.
    fn written(include_usage: bool, pieces: Vec<Piece>) -> Vec<Value> {
        let (id, model) = ("chatcmpl-1".to_owned(), "m".to_owned());
        let mut chunks = Chunks { id, created: 5, model, include_usage, opened: false, called: false };
        let frames = pieces.into_iter().map(|piece| chunks.render(piece).unwrap());
        events(frames).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn a_whole_stream() {
        let mut calls = called(0);
        calls.tool_calls.extend(called(1).tool_calls);
        let end = done(DoneReason::Stop, Delta::default());
        let events = written(true, vec![said("hm", "yes"), Piece::Delta(calls), end]);
        let deltas: Vec<&Value> = events[..4].iter().map(|event| &event["choices"][0]["delta"]).collect();
        assert_eq!(*deltas[0], json!({"role": "assistant", "content": "", "reasoning": "hm"}));
        assert_eq!(*deltas[1], json!({"content": "yes"}));
        let record = |index: usize| {
            let function = json!({"name": "f", "arguments": "{\"b\":1,\"a\":[2]}"});
            json!({"id": format!("call_{index}"), "index": index, "type": "function", "function": function})
        };
        assert_eq!(*deltas[2], json!({"content": "", "tool_calls": [record(0), record(1)]}));
        assert_eq!(*deltas[3], json!({}));
        let reasons: Vec<&Value> =
            events[..4].iter().map(|event| &event["choices"][0]["finish_reason"]).collect();
        assert_eq!(reasons, [&Value::Null, &Value::Null, &Value::Null, &json!("tool_calls")]);
        assert_eq!(events[4]["choices"], json!([]));
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
        assert_eq!((&events[4]["usage"], &events[5]), (&usage, &json!("[DONE]")));
        assert!(events[..4].iter().all(|event| event.get("usage").is_none()));
        assert!(events[..5].iter().all(|event| event["id"] == "chatcmpl-1" && event["created"] == 5));
    }

    #[test]
    fn an_empty_answer_opens_and_the_limit_outranks_calls() {
        let events = written(false, vec![done(DoneReason::Stop, Delta::default())]);
        assert_eq!(events.len(), 3);
        assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(events[1]["choices"][0]["finish_reason"], "stop");
        let events = written(false, vec![done(DoneReason::Length, called(0))]);
        assert_eq!(events[1]["choices"][0]["finish_reason"], "length");
    }

    #[test]
    fn probabilities_go_once_and_an_error_ends_it() {
        let alternative = TokenLogprob { id: 2, token: "b".into(), logprob: -2.0, top: Vec::new() };
        let token = TokenLogprob { id: 1, token: "é".into(), logprob: -0.5, top: vec![alternative] };
        let both =
            Delta { thinking: "t".into(), content: "c".into(), logprobs: vec![token], ..Delta::default() };
        let events = written(false, vec![Piece::Delta(both), Piece::Error(EngineError::Busy.into())]);
        let expected = json!({"content": [{
            "token": "é", "logprob": -0.5, "bytes": [195, 169],
            "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}]
        }]});
        assert_eq!(events[0]["choices"][0]["logprobs"], expected);
        assert!(events[1]["choices"][0].get("logprobs").is_none());
        assert_eq!((events.len(), &events[2]["error"]["type"]), (3, &json!("api_error")));
    }
}
