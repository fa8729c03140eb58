//! From the pieces of an answer to the events of a stream.

use serde_json::{Map, Value};

use super::error::ErrorEnvelope;
use super::records::{Block, BlockDelta, Event, MessageObject, StopDelta, Usage, stop_reason};
use crate::api::error::ApiError;
use crate::api::inference::{AnswerCall, Delta, Done, Piece};
use crate::api::stream;

/// Writes the events of one answer: blocks one after the other, each begun, filled and closed before the next.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Place of the block that is open, or of the next one.
    index: usize,
    open: Option<Open>,
    called: bool,
}

/// What the open block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
}

impl Events {
    /// The event before everything else.
    pub(crate) fn opening(message: MessageObject) -> Result<Vec<u8>, ApiError> {
        let mut frame = Vec::new();
        write(&mut frame, &Event::MessageStart { message })?;
        Ok(frame)
    }

    /// What a piece looks like on the wire.
    pub(crate) fn render(&mut self, piece: Piece) -> Result<Vec<u8>, ApiError> {
        let mut frame = Vec::new();
        match piece {
            Piece::Delta(delta) => self.delta(&mut frame, delta)?,
            Piece::Done(done) => self.done(&mut frame, done)?,
            Piece::Error(error) => return stream::event(Some("error"), &ErrorEnvelope::from(&error)),
        }
        Ok(frame)
    }

    fn delta(&mut self, frame: &mut Vec<u8>, delta: Delta) -> Result<(), ApiError> {
        if !delta.thinking.is_empty() {
            self.open(frame, Open::Thinking)?;
            let delta = BlockDelta::Thinking { thinking: delta.thinking };
            write(frame, &Event::ContentBlockDelta { index: self.index, delta })?;
        }
        if !delta.content.is_empty() {
            self.open(frame, Open::Text)?;
            let delta = BlockDelta::Text { text: delta.content };
            write(frame, &Event::ContentBlockDelta { index: self.index, delta })?;
        }
        for call in delta.tool_calls {
            self.call(frame, call)?;
        }
        Ok(())
    }

    fn call(&mut self, frame: &mut Vec<u8>, call: AnswerCall) -> Result<(), ApiError> {
        self.close(frame)?;
        self.called = true;
        let index = self.index;
        let partial_json = Value::Object(call.call.arguments).to_string();
        let content_block = Block::ToolUse { id: call.id, name: call.call.name, input: Map::new() };
        write(frame, &Event::ContentBlockStart { index, content_block })?;
        let delta = BlockDelta::InputJson { partial_json };
        write(frame, &Event::ContentBlockDelta { index, delta })?;
        write(frame, &Event::ContentBlockStop { index })?;
        self.index += 1;
        Ok(())
    }

    fn done(&mut self, frame: &mut Vec<u8>, done: Done) -> Result<(), ApiError> {
        self.delta(frame, done.last)?;
        self.close(frame)?;
        let stop_reason = stop_reason(done.summary.reason, self.called);
        let (delta, usage) = (StopDelta { stop_reason }, Usage::from(&done.summary));
        write(frame, &Event::MessageDelta { delta, usage })?;
        write(frame, &Event::MessageStop {})
    }

    /// Sees to it that a block of this kind is open.
    fn open(&mut self, frame: &mut Vec<u8>, wanted: Open) -> Result<(), ApiError> {
        if self.open == Some(wanted) {
            return Ok(());
        }
        self.close(frame)?;
        self.open = Some(wanted);
        let content_block = match wanted {
            Open::Thinking => Block::Thinking { thinking: String::new(), signature: String::new() },
            Open::Text => Block::Text { text: String::new() },
        };
        write(frame, &Event::ContentBlockStart { index: self.index, content_block })
    }

    fn close(&mut self, frame: &mut Vec<u8>) -> Result<(), ApiError> {
        if self.open.take().is_some() {
            write(frame, &Event::ContentBlockStop { index: self.index })?;
            self.index += 1;
        }
        Ok(())
    }
}

fn write(frame: &mut Vec<u8>, event: &Event) -> Result<(), ApiError> {
    frame.extend(stream::event(Some(event.name()), event)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::openai::testing::{called, done, events, said};
    use crate::engine::{DoneReason, EngineError};

    fn written(pieces: Vec<Piece>) -> Vec<Value> {
        let mut writer = Events::default();
        let written = events(pieces.into_iter().map(|piece| writer.render(piece).unwrap()));
        let check = |(name, data): (Option<String>, Value)| {
            assert_eq!(name.as_deref(), data["type"].as_str());
            data
        };
        written.into_iter().map(check).collect()
    }

    #[test]
    fn blocks_are_opened_filled_and_closed_in_turn() {
        let end = done(DoneReason::Stop, called(0));
        let events = written(vec![said("h", ""), said("m", "ye"), said("", "s"), end]);
        let start = |index: usize, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
        let delta = |index: usize, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let stop = |index: usize| json!({"type": "content_block_stop", "index": index});
        let usage = json!({"input_tokens": 3, "output_tokens": 2});
        let expected = [
            start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
            delta(0, json!({"type": "thinking_delta", "thinking": "h"})),
            delta(0, json!({"type": "thinking_delta", "thinking": "m"})),
            stop(0),
            start(1, json!({"type": "text", "text": ""})),
            delta(1, json!({"type": "text_delta", "text": "ye"})),
            delta(1, json!({"type": "text_delta", "text": "s"})),
            stop(1),
            start(2, json!({"type": "tool_use", "id": "call_0", "name": "f", "input": {}})),
            delta(2, json!({"type": "input_json_delta", "partial_json": "{\"b\":1,\"a\":[2]}"})),
            stop(2),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}),
            json!({"type": "message_stop"}),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn an_empty_answer_has_no_blocks_and_an_error_ends_it() {
        let events = written(vec![done(DoneReason::Length, Delta::default())]);
        assert_eq!(events.len(), 2);
        assert_eq!(events[0]["delta"]["stop_reason"], "max_tokens");
        let events = written(vec![Piece::Error(EngineError::Busy.into())]);
        assert_eq!(
            (&events[0]["type"], &events[0]["error"]["type"]),
            (&json!("error"), &json!("overloaded_error"))
        );
    }
}
