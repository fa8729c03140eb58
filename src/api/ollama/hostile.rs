//! Bodies that nobody would send on purpose, to the parsers of the native routes, as `openai::hostile` has them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::chat::ChatRequest;
use super::generate::GenerateRequest;
use super::{create, embed};
use crate::api::error::ApiError;
use crate::api::openai::hostile::{object, prompt_of, rendered, turns, value};

/// Embeddings look for the model first, and say 404 where there is none.
fn check<T>(parsed: Result<T, ApiError>) {
    if let Err(error) = parsed {
        assert!(matches!(error.status().as_u16(), 400 | 404), "{error}");
        assert!(!error.to_string().is_empty());
    }
}

fn check_all(body: &[u8]) {
    check(GenerateRequest::parse(body));
    check(ChatRequest::parse(body).map(|request| rendered(&request.ask)));
    check(embed::parse(body));
    check(embed::parse_one(body));
    check(create::read(body));
}

proptest! {
    #[test]
    fn any_body_is_taken_or_refused(body in object(value())) {
        check_all(body.to_string().as_bytes());
    }

    #[test]
    fn any_list_is_taken_or_refused(items in prop::collection::vec(object(value()), 1..5), one in object(value())) {
        let body = json!({"model": "m", "from": "n", "messages": items, "input": items, "tools": items,
            "parameters": one, "options": one, "info": one, "context": items, "license": items});
        check_all(body.to_string().as_bytes());
    }

    #[test]
    fn conversations_arrive_whole(turns in turns()) {
        let messages: Vec<Value> =
            turns.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
        let ask = ChatRequest::parse(json!({"model": "m", "messages": messages}).to_string().as_bytes()).unwrap().ask;
        prop_assert_eq!(rendered(&ask), prompt_of(&turns));
    }

    #[test]
    fn any_bytes_are_refused_or_taken(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check_all(&body);
    }
}
