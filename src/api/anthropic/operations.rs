//! The routes in the manner of Anthropic, described.

use super::error::ErrorEnvelope;
use super::records::{Event, MessageObject};
use crate::api::openapi::operation::{EVENTS, Operation};
use crate::api::openapi::requests::anthropic::MessagesRequest;

/// Every path with its methods.
pub(crate) fn operations() -> Vec<Operation> {
    let of = |path, summary| Operation::new("anthropic", "post", path, summary).fails::<ErrorEnvelope>();
    vec![
        of("/v1/messages", "Continues a conversation")
            .takes::<MessagesRequest>()
            .gives::<MessageObject>()
            .streams::<Event>(EVENTS),
        of("/v1/messages/count_tokens", "Not there: the usage of an answer tells how long its prompt was"),
    ]
}
