use serde_json::{Value, json};

use super::request::{CreateRequest, Material};

fn parse(body: &Value) -> Result<CreateRequest, String> {
    CreateRequest::parse(body.to_string().as_bytes()).map_err(|error| {
        assert_eq!(error.status().as_u16(), 400, "{error}");
        error.to_string()
    })
}

#[test]
fn everything_that_can_be_otherwise() {
    let ask = parse(&json!({
        "name": "Mine", "from": "tiny", "stream": false, "template": "{{ .Prompt }}", "system": "Be brief.",
        "license": ["MIT", "", "BSD"], "parameters": {"stop": "x", "temperature": 0, "seed": null, "heat": [1],
            "x\nnum_ctx 9": 1, "Seed": 2, "": 3},
        "messages": [{"role": "User", "content": "hi", "images": null}, {"role": "assistant", "content": null}],
        "info": {"model_family": "f", "context_length": 4096.0, "other": [1]}, "requires": "0.6.0", "adapters": {}
    }))
    .unwrap();
    assert_eq!((ask.name.to_string().as_str(), ask.streamed), ("Mine:latest", false));
    assert_eq!(ask.material, Material::Model(vec!["tiny".parse().unwrap()]));
    let changes = ask.changes;
    assert_eq!(Value::Object(changes.parameters), json!({"stop": ["x"], "temperature": 0, "heat": [1]}));
    assert_eq!(changes.licenses, ["MIT", "BSD"]);
    assert_eq!(
        changes.messages,
        [json!({"role": "user", "content": "hi"}), json!({"role": "assistant", "content": ""})]
    );
    assert_eq!(Value::Object(changes.info), json!({"model_family": "f", "context_length": 4096}));
    assert_eq!(changes.requires.unwrap(), "0.6.0");
}

#[test]
fn one_uploaded_file() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let ask = parse(&json!({"model": "m", "files": {"dir/x.gguf": digest}})).unwrap();
    assert_eq!(ask.material, Material::File("dir/x.gguf".into(), digest.parse().unwrap()));
    assert!(ask.streamed);
}

#[test]
fn what_cannot_be_made_is_refused() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (body, text) in [
        (json!({"model": "m"}), "neither 'from' or 'files' was specified"),
        (json!({"model": "a b", "from": "x"}), "invalid model name"),
        (json!({"from": "x"}), "invalid model name"),
        (json!({"model": "m", "from": "../x"}), "invalid model name"),
        (json!({"model": "m", "from": "/etc/passwd"}), "invalid model name"),
        (
            json!({"model": "m", "from": "x:cloud:local"}),
            "use either :local or :cloud, not both: \"x:cloud:local\"",
        ),
        (json!({"model": "m", "files": {}}), "no files provided to convert"),
        (json!({"model": "m", "files": {"x": ""}}), "invalid digest format"),
        (json!({"model": "m", "files": {"x": 1}}), "invalid digest format"),
        (json!({"model": "m", "files": {"/etc/passwd": digest}}), "file path must be relative"),
        (json!({"model": "m", "files": {"../x": digest}}), "file path must be relative"),
        (
            json!({"model": "m", "files": {"a": digest, "b": digest}}),
            "only one file can be converted: a model in GGUF format",
        ),
        (
            json!({"model": "m", "from": "x", "template": "{{ .Prompt"}),
            "template error: line 1: unclosed action",
        ),
        (
            json!({"model": "m", "from": "x", "parameters": {"seed": "1"}}),
            "option \"seed\" must be of type integer",
        ),
        (json!({"model": "m", "from": "x", "license": 1}), "license must be a string or a list of strings"),
        (
            json!({"model": "m", "from": "x", "info": {"base_name": 1}}),
            "info field \"base_name\" must be a string",
        ),
        (
            json!({"model": "m", "from": "x", "info": {"context_length": "1"}}),
            "info field \"context_length\" must be a number",
        ),
        (
            json!({"model": "m", "from": "x", "info": {"context_length": -1}}),
            "info field \"context_length\" must be a non-negative integer",
        ),
        (json!({"model": "m", "from": "x", "messages": [{"content": "x"}]}), "a message needs a role"),
        (json!({"model": "m", "from": "x", "remote_host": "h"}), "remote models are not supported"),
    ] {
        assert_eq!(parse(&body).unwrap_err(), text, "{body}");
    }
    for field in ["quantize", "quantization", "renderer", "parser"] {
        assert!(
            parse(&json!({"model": "m", "from": "x", field: "q4_K_M"})).unwrap_err().contains("supported")
        );
    }
    assert!(
        parse(&json!({"model": "m", "from": "x", "adapters": {"a": digest}}))
            .unwrap_err()
            .contains("adapter")
    );
}
