//! From the pieces of an answer to the items of a response, and to the events that tell of them.
//!
//! An answer that is not streamed takes the same way; its events go nowhere.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::records::{Event, Numbered, OutputItem, OutputText, ResponseError, ResponseObject, Usage};
use super::request::Echo;
use super::tools::Grouped;
use crate::api::error::ApiError;
use crate::api::inference::{AnswerCall, Delta, Done, Piece};
use crate::api::openai::error::ErrorEnvelope;
use crate::api::{id, stream, time};

/// Identifiers are numbers below this.
const IDS: u64 = 999_999;

/// Collects the items of one answer, one after the other.
#[derive(Debug)]
pub(super) struct Items {
    response: ResponseObject,
    grouped: Grouped,
    open: Option<Open>,
    /// White space that is worth a message only if more follows.
    blank: String,
    called: bool,
    /// Number of the next event.
    sequence: usize,
    /// Events that have not been sent yet.
    frame: Vec<u8>,
}

/// The item that is not complete yet.
#[derive(Debug)]
struct Open {
    kind: Kind,
    id: String,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
}

impl Items {
    /// An answer that has just begun.
    pub(super) fn new(echo: Echo, grouped: Grouped) -> Self {
        let id = format!("resp_{}", id::number(IDS));
        let response = ResponseObject::begun(id, time::unix(SystemTime::now()), echo);
        Self {
            response,
            grouped,
            open: None,
            blank: String::new(),
            called: false,
            sequence: 0,
            frame: Vec::new(),
        }
    }

    /// The events before everything else.
    pub(super) fn opening(&mut self) -> Result<Vec<u8>, ApiError> {
        for kind in ["response.created", "response.in_progress"] {
            self.tell_response(kind)?;
        }
        Ok(std::mem::take(&mut self.frame))
    }

    /// What a piece looks like on the wire.
    pub(super) fn render(&mut self, piece: Piece) -> Result<Vec<u8>, ApiError> {
        match piece {
            Piece::Delta(delta) => self.add(delta)?,
            Piece::Done(done) => self.complete(done)?,
            Piece::Error(error) => self.fail(&error)?,
        }
        Ok(std::mem::take(&mut self.frame))
    }

    /// The answer as it is now.
    pub(super) fn into_response(self) -> ResponseObject {
        self.response
    }

    /// Takes a piece of the answer.
    pub(super) fn add(&mut self, delta: Delta) -> Result<(), ApiError> {
        let Delta { thinking, content, tool_calls, logprobs: _ } = delta;
        if !thinking.is_empty() {
            let (item_id, output_index) = self.open(Kind::Reasoning, &thinking)?;
            let event = Event::ThinkingDelta { item_id, output_index, summary_index: 0, delta: thinking };
            self.tell("response.reasoning_summary_text.delta", event)?;
        }
        self.say(&content)?;
        tool_calls.into_iter().try_for_each(|call| self.call(call))
    }

    /// Takes more of what the model says. White space before and between calls is not worth a message.
    fn say(&mut self, content: &str) -> Result<(), ApiError> {
        let is_open = self.open.as_ref().is_some_and(|open| open.kind == Kind::Message);
        if !is_open && content.trim().is_empty() {
            self.blank.push_str(content);
            return Ok(());
        }
        let delta = std::mem::take(&mut self.blank) + content;
        if delta.is_empty() {
            return Ok(());
        }
        let (item_id, output_index) = self.open(Kind::Message, &delta)?;
        let (content_index, logprobs) = (0, Vec::new());
        let event = Event::TextDelta { item_id, output_index, content_index, delta, logprobs };
        self.tell("response.output_text.delta", event)
    }

    /// Takes the end of the answer. One that says and calls nothing has an empty message.
    pub(super) fn complete(&mut self, done: Done) -> Result<(), ApiError> {
        self.add(done.last)?;
        let is_message = |open: &Open| open.kind == Kind::Message;
        let has_said = self.called || self.open.as_ref().is_some_and(is_message) || self.has_message();
        if !has_said {
            let blank = std::mem::take(&mut self.blank);
            self.open(Kind::Message, &blank)?;
        }
        self.close()?;
        self.response.status = "completed";
        self.response.completed_at = Some(time::unix(SystemTime::now()));
        self.response.usage = Some(Usage::from(&done.summary));
        self.tell_response("response.completed")
    }

    fn has_message(&self) -> bool {
        self.response.output.iter().any(|item| matches!(item, OutputItem::Message { .. }))
    }

    /// Takes the failure of an answer that has begun.
    fn fail(&mut self, error: &ApiError) -> Result<(), ApiError> {
        let (code, message) = ("server_error", error.to_string());
        self.response.status = "failed";
        self.response.error = Some(ResponseError { code, message: message.clone() });
        self.tell_response("response.failed")?;
        let mut envelope = json!(ErrorEnvelope::from(error));
        let mut error = envelope["error"].take();
        error["code"] = code.into();
        self.tell("error", Event::Failure { code, message, param: None, error })
    }

    fn call(&mut self, call: AnswerCall) -> Result<(), ApiError> {
        self.close()?;
        self.called = true;
        self.blank.clear();
        let (item_id, output_index) = (format!("fc_{}_{}", id::number(IDS), call.index), self.index());
        let (namespace, name) = match self.grouped.get(&call.call.name) {
            Some((group, name)) => (Some(group.clone()), name.clone()),
            None => (None, call.call.name),
        };
        let arguments = Value::Object(call.call.arguments).to_string();
        let item = |status, arguments| OutputItem::FunctionCall {
            id: item_id.clone(),
            status,
            call_id: call.id.clone(),
            name: name.clone(),
            namespace: namespace.clone(),
            arguments,
        };
        let (begun, complete) = (item("in_progress", String::new()), item("completed", arguments.clone()));
        self.tell("response.output_item.added", Event::Item { output_index, item: begun })?;
        let event =
            Event::ArgumentsDelta { item_id: item_id.clone(), output_index, delta: arguments.clone() };
        self.tell("response.function_call_arguments.delta", event)?;
        let event =
            Event::ArgumentsDone { item_id: item_id.clone(), output_index, name: name.clone(), arguments };
        self.tell("response.function_call_arguments.done", event)?;
        self.finish_item(complete)
    }

    /// Adds a text to the open item of this kind, which is begun if there is none. Its identifier and place come back.
    fn open(&mut self, kind: Kind, text: &str) -> Result<(String, usize), ApiError> {
        let output_index = self.index();
        if let Some(open) = self.open.as_mut().filter(|open| open.kind == kind) {
            open.text.push_str(text);
            return Ok((open.id.clone(), output_index));
        }
        self.close()?;
        let (output_index, number) = (self.index(), id::number(IDS));
        let id = match kind {
            Kind::Reasoning => format!("rs_{number}"),
            Kind::Message => format!("msg_{number}"),
        };
        let item = match kind {
            Kind::Reasoning => OutputItem::Reasoning {
                id: id.clone(),
                summary: Vec::new(),
                encrypted_content: String::new(),
            },
            Kind::Message => {
                let (status, role) = ("in_progress", "assistant");
                OutputItem::Message { id: id.clone(), status, role, content: Vec::new() }
            }
        };
        self.tell("response.output_item.added", Event::Item { output_index, item })?;
        if kind == Kind::Message {
            let part = OutputText::new(String::new());
            let event = Event::Part { item_id: id.clone(), output_index, content_index: 0, part };
            self.tell("response.content_part.added", event)?;
        }
        self.open = Some(Open { kind, id: id.clone(), text: text.to_owned() });
        Ok((id, output_index))
    }

    /// Completes the open item, if there is one.
    fn close(&mut self) -> Result<(), ApiError> {
        let Some(Open { kind, id, text }) = self.open.take() else { return Ok(()) };
        let (item_id, output_index) = (id.clone(), self.index());
        if kind == Kind::Reasoning {
            let event = Event::ThinkingDone { item_id, output_index, summary_index: 0, text: text.clone() };
            self.tell("response.reasoning_summary_text.done", event)?;
            return self.finish_item(OutputItem::reasoning(id, text));
        }
        let (content_index, logprobs) = (0, Vec::new());
        let event = Event::TextDone { item_id, output_index, content_index, text: text.clone(), logprobs };
        self.tell("response.output_text.done", event)?;
        let part = OutputText::new(text.clone());
        let event = Event::Part { item_id: id.clone(), output_index, content_index, part };
        self.tell("response.content_part.done", event)?;
        self.finish_item(OutputItem::message(id, text))
    }

    fn finish_item(&mut self, item: OutputItem) -> Result<(), ApiError> {
        let event = Event::Item { output_index: self.index(), item: item.clone() };
        self.response.output.push(item);
        self.tell("response.output_item.done", event)
    }

    /// Place of the open item, or of the next one.
    fn index(&self) -> usize {
        self.response.output.len()
    }

    fn tell_response(&mut self, kind: &str) -> Result<(), ApiError> {
        self.tell(kind, Event::Response { response: Box::new(self.response.clone()) })
    }

    #[expect(clippy::needless_pass_by_value, reason = "events are made to be told")]
    fn tell(&mut self, kind: &str, event: Event) -> Result<(), ApiError> {
        let event = Numbered { kind, sequence_number: self.sequence, event: &event };
        self.frame.extend(stream::event(Some(kind), &event)?);
        self.sequence += 1;
        Ok(())
    }
}
