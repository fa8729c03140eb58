//! The routes in the manner of `OpenAI`, described.

use super::chat::records::{ChatChunk, ChatCompletion};
use super::completions::Completion;
use super::embeddings::EmbeddingList;
use super::error::ErrorEnvelope;
use super::models::{ModelList, ModelObject};
use super::responses::records::{Event, ResponseObject};
use crate::api::openapi::operation::{EVENTS, Operation};
use crate::api::openapi::requests::openai::{
    ChatCompletionRequest, CompletionRequest, EmbeddingRequest, ResponseRequest, TranscriptionRequest,
};

/// Every path with its methods.
pub(crate) fn operations() -> Vec<Operation> {
    let of = |method, path, summary| Operation::new("openai", method, path, summary).fails::<ErrorEnvelope>();
    let post = |path, summary| of("post", path, summary);
    vec![
        of("get", "/v1/models", "The models of the store").gives::<ModelList>(),
        of("get", "/v1/models/{model}", "One model").gives::<ModelObject>(),
        post("/v1/chat/completions", "Continues a conversation")
            .takes::<ChatCompletionRequest>()
            .gives::<ChatCompletion>()
            .streams::<ChatChunk>(EVENTS),
        post("/v1/completions", "Continues a prompt")
            .takes::<CompletionRequest>()
            .gives::<Completion>()
            .streams::<Completion>(EVENTS),
        post("/v1/responses", "Continues a conversation, item by item")
            .takes::<ResponseRequest>()
            .gives::<ResponseObject>()
            .streams::<Event>(EVENTS),
        post("/v1/embeddings", "Turns texts into vectors")
            .takes::<EmbeddingRequest>()
            .gives::<EmbeddingList>(),
        post("/v1/audio/transcriptions", "Turns speech into text: no model of this server hears")
            .takes_form::<TranscriptionRequest>(),
    ]
}
