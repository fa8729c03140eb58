//! A description of the routes for programs (`/openapi.json`) and for people (`/docs`).
//!
//! It is made from the types that serve: schemas of answers are derived from the structs that are written out. Requests
//! are taken apart by hand ([`super::fields`] has the reasons), so theirs are derived from the structs in [`requests`],
//! which hold what those readers read. Tests see to it: they record what the readers ask for, and send every field with
//! a wrong type and expect it to be noticed.
//!
//! The page needs nothing but this server: one file, no libraries, nothing from elsewhere.

pub(crate) mod operation;
pub(crate) mod requests;

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use serde_json::{Map, Value, json};

use self::operation::Operation;
use super::AppState;
use super::body::BARE_JSON;

const PAGE: &str = include_str!("openapi/page.html");
/// The page runs its own script and asks this server; nothing else may be loaded into it.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The description as it is sent; made once.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document(super::operations()).to_string());

/// Every path with its methods.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    vec![("/openapi.json", routing::get(description)), ("/docs", routing::get(page))]
}

/// Those paths, described.
pub(crate) fn operations() -> Vec<Operation> {
    let get = |path, summary| Operation::new("ax650", "get", path, summary);
    vec![
        get("/openapi.json", "Describes the routes for programs").has_head().gives_object(),
        get("/docs", "Describes the routes for people").has_head().gives_text("text/html"),
    ]
}

async fn description() -> Response {
    ([BARE_JSON], DOCUMENT.as_str()).into_response()
}

async fn page() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE).into_response()
}

fn document(operations: Vec<Operation>) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for operation in operations {
        let head = operation.head();
        for operation in [Some(operation), head].into_iter().flatten() {
            let (path, method) = (operation.path, operation.method);
            let item = paths.entry(path).or_insert_with(|| json!({}));
            item[method] = operation.into_json(&mut schemas);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ax650",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Language models on the Axera AX650N / AX8850 NPU, for clients of Ollama, OpenAI and Anthropic. \
                Content types of requests are not looked at; unknown fields are ignored; null is the same as absent.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        // Keys are asked for only where the owner has set some.
        "security": [{}, {"bearer": []}, {"key": []}],
    })
}

#[cfg(test)]
mod tests;
