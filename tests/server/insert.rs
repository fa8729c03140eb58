//! `suffix` and `template`: prompts in another layout than the model's own.

use serde_json::{Value, json};

use crate::fixture::{Server, start, write_model_naming};

const MARKS: [(u64, &str); 3] = [(200, "<|fim_prefix|>"), (201, "<|fim_suffix|>"), (202, "<|fim_middle|>")];

/// The prompt that a request comes to.
async fn prompt(server: &Server, more: &Value) -> String {
    let mut ask = json!({"model": "coder", "prompt": "def f(", "stream": false, "_debug_render_only": true});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = server.post("/api/generate", &ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["_debug_info"]["rendered_template"].as_str().unwrap().to_owned()
}

async fn start_with_coder() -> Server {
    let server = start().await;
    write_model_naming(server.root.path(), "coder", "U:{{ messages[-1].content }}", &MARKS, None);
    server
}

#[tokio::test]
async fn a_gap_is_filled_where_the_vocabulary_can_mark_it() {
    let server = start_with_coder().await;
    let shown = server.post("/api/show", &json!({"model": "coder"})).await.json();
    assert_eq!(shown["capabilities"], json!(["completion", "insert"]));
    let marked = "<|fim_prefix|>def f(<|fim_suffix|>):\n<|fim_middle|>";
    assert_eq!(prompt(&server, &json!({"suffix": "):\n"})).await, marked);
    // The system message has no place there; the context has.
    assert_eq!(prompt(&server, &json!({"suffix": "):\n", "system": "s"})).await, marked);
    let after = prompt(&server, &json!({"suffix": "):\n", "context": [104, 105]})).await;
    assert_eq!(after, format!("hi{marked}"));
    // Raw means raw, and no suffix means the template.
    assert_eq!(prompt(&server, &json!({"suffix": "):\n", "raw": true})).await, "def f(");
    assert_eq!(prompt(&server, &json!({"suffix": ""})).await, "U:def f(");
    let ask = json!({"model": "coder", "prompt": "a", "suffix": "b", "stream": false, "options": {"num_predict": 3}});
    let answer = server.post("/api/generate", &ask).await.json();
    assert_eq!((answer["eval_count"].as_u64(), answer["prompt_eval_count"].as_u64()), (Some(3), Some(5)));
    server.stop().await;
}

#[tokio::test]
async fn a_template_of_the_request_takes_the_place_of_the_models() {
    let server = start_with_coder().await;
    for (template, more, expected) in [
        (
            "{{ if .System }}[{{ .System }}]{{ end }}<{{ .Prompt }}>",
            json!({"system": "be brief"}),
            "[be brief]<def f(>",
        ),
        ("{{ .Prompt }}|{{ .Suffix }}", json!({"suffix": "end"}), "def f(|end"),
        (
            "{{- range .Messages }}{{ .Role }}:{{ .Content }};{{ end }}",
            json!({"system": "s"}),
            "system:s;user:def f(;",
        ),
        ("always the same", json!({}), "always the samedef f("),
    ] {
        let mut more = more;
        more["template"] = json!(template);
        if template == "always the same" {
            // Without a place for the prompt the template is all there is.
            assert!(prompt(&server, &more).await.starts_with("always the same"));
            continue;
        }
        assert_eq!(prompt(&server, &more).await, expected, "{template}");
    }
    server.stop().await;
}

/// A list that doubles itself forty times would take more memory than any machine has.
const DOUBLING: &str = "{% set n = namespace(x=[0]) %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}\
    {{ n.x | length }}";

#[tokio::test]
async fn jinja_in_requests_is_the_models_own_or_refused() {
    let server = start().await;
    let own = server.post("/api/show", &json!({"model": "tiny"})).await.json()["template"].clone();
    assert!(own.as_str().unwrap().contains("{%"), "{own}");
    let mut ask = json!({"model": "tiny", "prompt": "hi", "stream": false, "_debug_render_only": true});
    let plain = server.post("/api/generate", &ask).await.json()["_debug_info"].clone();
    ask["template"] = own.clone();
    let sent_back = server.post("/api/generate", &ask).await;
    assert_eq!((sent_back.status, &sent_back.json()["_debug_info"]), (200, &plain));
    let create =
        |template: &Value| json!({"model": "m", "from": "tiny", "template": template, "stream": false});
    assert_eq!(server.post("/api/create", &create(&own)).await.status, 200);

    ask["template"] = DOUBLING.into();
    let answer = server.post("/api/generate", &ask).await;
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("language of Go"), "{}", answer.text);
    let answer = server.post("/api/create", &create(&DOUBLING.into())).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().starts_with("template error: "), "{}", answer.text);
    server.stop().await;
}

#[tokio::test]
async fn a_broken_template_is_told() {
    let server = start_with_coder().await;
    for template in ["{{ if .Prompt }}", "{{ .Prompt", "{{ nonsense .Prompt }}"] {
        let ask = json!({"model": "coder", "prompt": "x", "template": template});
        let answer = server.post("/api/generate", &ask).await;
        assert_eq!(answer.status, 500, "{template}: {}", answer.text);
        assert!(answer.error().contains("template"), "{}", answer.text);
    }
    let ask = json!({"model": "tiny", "prompt": "x", "suffix": "y"});
    let answer = server.post("/api/generate", &ask).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.error(), "registry.ollama.ai/library/tiny:latest does not support insert");
    server.stop().await;
}
