//! Ollama's routes, described.

use super::Version;
use super::cloud::{Recommendations, Status};
use super::embed::{EmbedResponse, EmbeddingsResponse};
use super::listing::{RunningModels, StoredModels};
use super::progress::Record;
use super::records::{ChatRecord, GenerateRecord};
use super::show::Shown;
use crate::api::error::NativeError;
use crate::api::openapi::operation::{NDJSON, Operation, TEXT};
use crate::api::openapi::requests::ollama::{
    ChatRequest, CopyRequest, CreateRequest, DeleteRequest, EmbedRequest, EmbeddingsRequest, GenerateRequest,
    ShowRequest, TransferRequest,
};

const DIGEST: &str = "^sha256[:-][0-9a-fA-F]{64}$";

/// Every path with its methods.
pub(crate) fn operations() -> Vec<Operation> {
    let of = |method, path, summary| Operation::new("ollama", method, path, summary).fails::<NativeError>();
    let get = |path, summary| of("get", path, summary);
    let post = |path, summary| of("post", path, summary);
    vec![
        get("/", "Whether the server is there").has_head().gives_text(TEXT),
        get("/api/version", "The version of Ollama whose routes these are").has_head().gives::<Version>(),
        get("/api/tags", "The models of the store").has_head().gives::<StoredModels>(),
        get("/api/ps", "The models on the card").gives::<RunningModels>(),
        post("/api/show", "Everything about a model").takes::<ShowRequest>().gives::<Shown>(),
        post("/api/generate", "Continues a prompt")
            .takes::<GenerateRequest>()
            .gives::<GenerateRecord>()
            .streams::<GenerateRecord>(NDJSON),
        post("/api/chat", "Continues a conversation")
            .takes::<ChatRequest>()
            .gives::<ChatRecord>()
            .streams::<ChatRecord>(NDJSON),
        post("/api/embed", "Turns texts into vectors").takes::<EmbedRequest>().gives::<EmbedResponse>(),
        post("/api/embeddings", "Turns a text into a vector, for older clients")
            .takes::<EmbeddingsRequest>()
            .gives::<EmbeddingsResponse>(),
        of("delete", "/api/delete", "Forgets a model")
            .takes::<DeleteRequest>()
            .gives_nothing("200", "It is gone"),
        post("/api/copy", "Gives a model a second name")
            .takes::<CopyRequest>()
            .gives_nothing("200", "It has the name"),
        post("/api/create", "Makes a model from another one, or from files")
            .takes::<CreateRequest>()
            .gives::<Record>()
            .streams::<Record>(NDJSON),
        post("/api/blobs/{digest}", "Uploads a file for a model that is to be made")
            .matches(DIGEST)
            .takes_bytes()
            .gives_nothing("200", "It was there")
            .gives_nothing("201", "It is there now"),
        of("head", "/api/blobs/{digest}", "Whether a file was uploaded")
            .matches(DIGEST)
            .gives_nothing("200", "It was"),
        post("/api/pull", "Downloads a model")
            .takes::<TransferRequest>()
            .gives::<Record>()
            .streams::<Record>(NDJSON),
        post("/api/push", "Uploads a model")
            .takes::<TransferRequest>()
            .gives::<Record>()
            .streams::<Record>(NDJSON),
        get("/api/status", "Whether Ollama's cloud is in use").gives::<Status>(),
        post("/api/me", "Who is signed in at Ollama's cloud: nobody"),
        post("/api/signout", "Signs out there"),
        of("delete", "/api/user/keys/{key}", "Signs out there, for older clients"),
        post("/api/experimental/web_search", "Searches the web: not without Ollama's cloud"),
        post("/api/experimental/web_fetch", "Fetches a page: not without Ollama's cloud"),
        get("/api/experimental/model-recommendations", "Models of Ollama's cloud: none")
            .gives::<Recommendations>(),
    ]
}
