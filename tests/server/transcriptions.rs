//! `/v1/audio/transcriptions`: forms, and what is missing from them.

use crate::fixture::{Answer, Server, start};
use crate::openai::error;

const PATH: &str = "/v1/audio/transcriptions";

/// Sends a form of these fields: what stands in their heads, and their values.
async fn form(server: &Server, fields: &[(&str, &str)]) -> Answer {
    let field = |(head, value): &(&str, &str)| {
        format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let body = fields.iter().map(field).collect::<String>() + "--edge--\r\n";
    let kind = [("content-type", "multipart/form-data; boundary=edge")];
    server.send_with("POST", PATH, &kind, body).await
}

#[tokio::test]
async fn what_is_missing_is_named_in_upstreams_order() {
    let server = start().await;
    let (model, file) = (("name=\"model\"", "tiny"), ("name=\"file\"; filename=\"a.wav\"", "RIFF"));
    for (fields, status, message) in [
        (&[][..], 400, "model is required"),
        (&[file], 400, "model is required"),
        (&[model], 400, "file is required: "),
        (&[model, ("name=\"file\"", "RIFF")], 400, "file is required: "),
        (&[model, (file.0, "")], 400, "audio file is empty"),
        (&[file, (model.0, "nope")], 404, "model 'nope' not found"),
        (&[file, (model.0, "a b")], 400, "invalid model name"),
        (&[model, file, ("name=\"language\"", "en")], 400, "\"tiny\" does not support audio"),
    ] {
        let answer = form(&server, fields).await;
        let error = error(&answer);
        let text = error["message"].as_str().unwrap();
        assert!(answer.status == status && text.starts_with(message), "{} {text}", answer.status);
    }
    for body in ["", "{}", "--edge"] {
        assert_eq!(server.send("POST", PATH, body).await.status, 400, "{body}");
    }
    assert_eq!(server.get(PATH).await.status, 405);
    server.stop().await;
}
