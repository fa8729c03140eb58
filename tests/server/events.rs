//! Server-sent events, read as strictly as the standard allows.

use serde_json::Value;

use crate::fixture::Answer;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// The `event` field.
    pub(crate) name: Option<String>,
    /// The `data` field as JSON; the text itself if it is none.
    pub(crate) data: Value,
}

/// The events of a streamed answer, with the headers that such an answer must have.
pub(crate) fn events(answer: &Answer) -> Vec<Event> {
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"), "{}", answer.text);
    assert_eq!(answer.header("x-accel-buffering"), "no");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert!(answer.text.ends_with("\n\n"), "the last event must be complete: {:?}", answer.text);
    answer.text.split_terminator("\n\n").map(event).collect()
}

fn event(block: &str) -> Event {
    let (mut name, mut data) = (None, None);
    for line in block.lines() {
        let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field in {line:?}"));
        let place = match field {
            "event" => &mut name,
            "data" => &mut data,
            other => panic!("unknown field {other:?}"),
        };
        assert!(place.replace(value.to_owned()).is_none(), "a field twice in {block:?}");
    }
    let data = data.unwrap_or_else(|| panic!("no data in {block:?}"));
    Event { name, data: serde_json::from_str(&data).unwrap_or(Value::String(data)) }
}
