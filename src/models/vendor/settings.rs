//! What a package says of itself: the keys of `config.json` or the flags of a run script, which have the same names.
//!
//! Values are taken as they are meant, `"1"` for true and `"36"` for 36, because flags are text. What we do not compute
//! is refused by the name of its key; what we leave out and could change an answer is noted. Keys about how the
//! vendor's program loads files and serves clients mean nothing here.
//! (Source of the keys: the vendor's runtime and its configuration page, <https://github.com/AXERA-TECH/ax-llm>.)

use serde_json::{Map, Value};

use super::super::config::{LayerPattern, MAX_HIDDEN, MAX_LAYERS, MAX_VOCAB};
use super::window::{FULL, SLIDING, Window, layer_types};

/// A package's settings, checked one by one but not yet against its files.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Name of the model; run scripts have none.
    pub model_name: Option<String>,
    /// Tokenizer family in the vendor's words; empty if not given, a number in run scripts.
    pub tokenizer_type: String,
    /// Tokenizer file, or the address of a tokenizer server.
    pub tokenizer: Option<String>,
    /// Names of the layer files.
    pub layers: LayerPattern,
    /// Number of layers.
    pub layer_count: usize,
    /// Final norm and output head.
    pub head: String,
    /// Embedding table.
    pub embedding: String,
    /// Rows of the embedding table.
    pub vocab: usize,
    /// Values in a row.
    pub hidden: usize,
    /// System message of conversations that bring none.
    pub system: Option<String>,
    /// File with the sampling defaults.
    pub post_config: String,
    /// Window of attention that these settings name.
    pub window: Option<Window>,
    /// Whether the model thinks aloud where a request does not say.
    pub think: Option<bool>,
    /// Whether a token begins every prompt, where the settings say so.
    pub bos: Option<bool>,
    /// What is left out, for people.
    pub notes: Vec<String>,
}

/// Why a package's settings cannot be used. The texts do not name the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A key that every package has is not there.
    #[error("lacks the key {0}; add it, or download the file again")]
    Missing(&'static str),
    /// A value is of the wrong type or out of range.
    #[error("has {key} = {found}, {wanted}")]
    Value {
        /// The key.
        key: String,
        /// Its value, shortened.
        found: String,
        /// What is needed.
        wanted: String,
    },
    /// The package needs something that is not computed.
    #[error("{what} ({key} = {found}) is not supported yet: {reason}")]
    Unsupported {
        /// What the key stands for.
        what: &'static str,
        /// The key.
        key: String,
        /// Its value, shortened.
        found: String,
        /// What would go wrong.
        reason: String,
    },
}

/// Keys that ask for something that is left out, and what is said about it.
const LEFT_OUT: &[(&[&str], &str)] = &[
    (
        &["vlm_type", "VLM_TYPE", "filename_image_encoder_axmodel", "filename_image_encoder_axmodedl"],
        "pictures and video are not supported yet; only the text part is registered",
    ),
    (
        &["filename_audio_encoder_axmodel_5s", "filename_audio_encoder_axmodel_30s"],
        "audio is not supported yet; only the text part is registered",
    ),
    (&["kvcache_path"], "stored key/value caches (kvcache/) are not used: prompts are computed"),
    (&["server_forced_prompt_text"], "server_forced_prompt_text is ignored: prompts are sent as they are"),
    (
        &["dynamic_load_enable", "dynamic_load_axmodel_layer"],
        "swapping layers in and out is not supported: the whole model has to fit on the card",
    ),
    (&["eos"], "eos is ignored: no token is put after a prompt"),
    (&["pad_token_id"], "pad_token_id is ignored: no token is ruled out, use a request's options for that"),
    (
        &["server_default_max_tokens", "server_max_output_tokens"],
        "server_default_max_tokens and server_max_output_tokens are ignored: a request limits its answer with num_predict",
    ),
];

/// Keys whose value, if it is not off, changes what a layer computes.
const NOT_COMPUTED: &[(&[&str], &str, &str)] = &[
    (
        &["full_attention_interval"],
        "linear attention",
        "its layers keep a state that is not a key/value cache",
    ),
    (&["num_kv_shared_layers"], "sharing of key/value caches between layers", "answers would be wrong"),
    (
        &["hidden_size_per_layer_input", "filename_tokens_embed_per_layer"],
        "per-layer embeddings",
        "answers would be wrong",
    ),
    (
        &["is_embedding", "embedding", "embedding_type", "EMBEDDING_TYPE"],
        "an embedding model",
        "it has no answers to generate",
    ),
    (&["is_image_generation", "image_model_dir"], "image generation", "it is not a language model"),
];

/// Values of `model_type` and `task_type` of packages that are no language models.
const OTHER_TASKS: &[&str] = &["image_generation", "embedding_gemma2"];

impl Settings {
    /// Reads the keys. They are those of `config.json`, or a script's flags as texts.
    pub fn read(keys: &Map<String, Value>) -> Result<Self, SettingsError> {
        let mut notes = Vec::new();
        let window = check_supported(keys)?;
        for (names, note) in LEFT_OUT {
            if names.iter().any(|name| is_on(keys.get(*name))) {
                notes.push((*note).to_owned());
            }
        }
        if keys.get("kv_cache_slots").and_then(number).is_some_and(|slots| slots > 1) {
            notes.push(
                "kv_cache_slots is ignored: OLLAMA_NUM_PARALLEL says how many conversations are kept"
                    .to_owned(),
            );
        }
        if devices(keys) > 1 {
            notes.push(
                "the model is spread over several cards by its settings; here one card holds all of it"
                    .to_owned(),
            );
        }
        let pattern = text(keys, "template_filename_axmodel")?;
        let shown = shorten(&Value::from(pattern.as_str()));
        let layers = LayerPattern::try_from(pattern).map_err(|_| SettingsError::Value {
            key: "template_filename_axmodel".to_owned(),
            found: shown,
            wanted: "but exactly one %d for the layer's number and no other % is needed".to_owned(),
        })?;
        let tokenizer = ["url_tokenizer_model", "filename_tokenizer_model"];
        Ok(Self {
            model_name: optional(keys, "model_name")?,
            tokenizer_type: optional(keys, "tokenizer_type")?.unwrap_or_default(),
            tokenizer: tokenizer.iter().find_map(|key| optional(keys, key).transpose()).transpose()?,
            layers,
            layer_count: count(keys, "axmodel_num", MAX_LAYERS)?,
            head: text(keys, "filename_post_axmodel")?,
            embedding: text(keys, "filename_tokens_embed")?,
            vocab: count(keys, "tokens_embed_num", MAX_VOCAB)?,
            hidden: count(keys, "tokens_embed_size", MAX_HIDDEN)?,
            system: optional(keys, "system_prompt")?,
            post_config: optional(keys, "post_config_path")?.unwrap_or_else(|| "post_config.json".to_owned()),
            window,
            think: think(keys)?,
            bos: keys.get("bos").filter(|bos| !bos.is_null()).map(|bos| is_on(Some(bos))),
            notes,
        })
    }

    /// Whether these keys are a runtime configuration of the vendor's program, and not a model's description as
    /// Hugging Face has it under the same file name.
    pub fn is_runtime(keys: &Map<String, Value>) -> bool {
        ["template_filename_axmodel", "filename_post_axmodel", "axmodel_num", "image_model_dir"]
            .iter()
            .any(|key| keys.contains_key(*key))
    }
}

/// Refuses what is not computed, be it written in `config.json` or in the model's description beside the tokenizer. A
/// window of attention is returned, the narrowest if there are several: whether it matters depends on the context.
pub fn check_supported(keys: &Map<String, Value>) -> Result<Option<Window>, SettingsError> {
    let nested = keys.get("text_config").and_then(Value::as_object);
    let refuse = |what, key: &str, value: &Value, reason: &str| {
        let (key, found) = (key.to_owned(), shorten(value));
        Err(SettingsError::Unsupported { what, key, found, reason: reason.to_owned() })
    };
    let mut window: Option<Window> = None;
    for keys in std::iter::once(keys).chain(nested) {
        for (names, what, reason) in NOT_COMPUTED {
            for name in *names {
                if let Some(value) = keys.get(*name).filter(|value| is_on(Some(value))) {
                    return refuse(what, name, value, reason);
                }
            }
        }
        for name in ["model_type", "task_type"] {
            if let Some(value) = keys.get(name)
                && value.as_str().is_some_and(|task| OTHER_TASKS.contains(&task))
            {
                return refuse("this kind of package", name, value, "it is not a language model");
            }
        }
        let known = |kind: &&Value| matches!(kind.as_str(), Some(FULL | SLIDING));
        if let Some(kind) = layer_types(keys).iter().find(|kind| !known(kind)) {
            let reason = "only layers that attend to the whole context are computed";
            return refuse("a model with layers of several kinds", "layer_types", kind, reason);
        }
        let both = window.into_iter().chain(Window::of(keys));
        window = both.min_by_key(|window| window.tokens);
    }
    Ok(window)
}

/// Whether a value switches something on: true, a number but 0, a text but an empty one, `none` or a number 0.
pub(super) fn is_on(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => {
            let text = text.trim();
            let off = ["", "0", "false", "none"].iter().any(|word| text.eq_ignore_ascii_case(word));
            !off
        }
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Bool(true) | Value::Object(_)) => true,
    }
}

/// How many cards the package names.
fn devices(keys: &Map<String, Value>) -> usize {
    match keys.get("devices") {
        Some(Value::Array(devices)) => devices.len(),
        Some(Value::String(list)) => list.split(',').count(),
        _ => 0,
    }
}

fn wrong(key: &str, value: &Value, wanted: String) -> SettingsError {
    SettingsError::Value { key: key.to_owned(), found: shorten(value), wanted }
}

fn optional(keys: &Map<String, Value>, key: &str) -> Result<Option<String>, SettingsError> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => {
            Err(wrong(key, &text.as_str().into(), "which has a NUL".to_owned()))
        }
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        // `tokenizer_type` is a number in some configurations.
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(wrong(key, other, "but a text is needed".to_owned())),
    }
}

fn text(keys: &Map<String, Value>, key: &'static str) -> Result<String, SettingsError> {
    optional(keys, key)?.ok_or(SettingsError::Missing(key))
}

fn count(keys: &Map<String, Value>, key: &'static str, limit: usize) -> Result<usize, SettingsError> {
    let value = keys.get(key).ok_or(SettingsError::Missing(key))?;
    let wanted = || format!("but a number from 1 to {limit} is needed");
    number(value).filter(|number| (1..=limit).contains(number)).ok_or_else(|| wrong(key, value, wanted()))
}

/// A whole number, or the text of one.
fn number(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64().and_then(|number| usize::try_from(number).ok()),
    }
}

/// Whether the model thinks by default; `enable_thinking` goes before `thinking_mode`, as in the vendor's program.
fn think(keys: &Map<String, Value>) -> Result<Option<bool>, SettingsError> {
    if let Some(enabled) = keys.get("enable_thinking").filter(|enabled| !enabled.is_null()) {
        return Ok(Some(is_on(Some(enabled))));
    }
    let mode = optional(keys, "thinking_mode")?;
    match mode.as_deref().map(str::trim) {
        None | Some("default") => Ok(None),
        Some("think") => Ok(Some(true)),
        Some("no_think") => Ok(Some(false)),
        Some(other) => {
            Err(wrong("thinking_mode", &other.into(), "but think, no_think or default is needed".to_owned()))
        }
    }
}

pub(super) fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 80 { text } else { text.chars().take(77).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Map<String, Value> {
        let keys = json!({
            "model_name": "AXERA-TECH/Qwen3-4B", "tokenizer_type": "Qwen3", "url_tokenizer_model": "qwen3_tokenizer.txt",
            "template_filename_axmodel": "qwen3_p128_l%d_together.axmodel", "axmodel_num": 36,
            "filename_post_axmodel": "qwen3_post.axmodel", "filename_tokens_embed": "embed.bin",
            "tokens_embed_num": 151_936, "tokens_embed_size": 2560, "use_mmap_load_embed": 1, "devices": [0],
            "sliding_window": 0, "layer_types": [], "is_embedding": false, "vlm_type": "None"
        });
        keys.as_object().unwrap().clone()
    }

    fn with(key: &str, value: Value) -> Result<Settings, SettingsError> {
        let mut keys = good();
        keys.insert(key.to_owned(), value);
        Settings::read(&keys)
    }

    #[test]
    fn reads_numbers_and_flags_alike() {
        let settings = Settings::read(&good()).unwrap();
        assert_eq!((settings.layer_count, settings.vocab, settings.hidden), (36, 151_936, 2560));
        assert_eq!(
            (settings.post_config.as_str(), settings.system, settings.notes),
            ("post_config.json", None, vec![])
        );
        assert_eq!(with("axmodel_num", json!("28")).unwrap().layer_count, 28);
        assert_eq!(with("tokenizer_type", json!(2)).unwrap().tokenizer_type, "2");
        assert_eq!(with("system_prompt", json!("  ")).unwrap().system, None);
        assert_eq!(with("bos", json!("0")).unwrap().bos, Some(false));
        assert_eq!(with("kv_cache_slots", json!(1)).unwrap().notes, Vec::<String>::new());
    }

    #[test]
    fn names_the_key_that_is_wrong() {
        for (key, value) in [
            ("template_filename_axmodel", json!("l%d_%n.axmodel")),
            ("template_filename_axmodel", json!("layer.axmodel")),
            ("axmodel_num", json!(0)),
            ("axmodel_num", json!("many")),
            ("tokens_embed_num", json!(1_u64 << 40)),
            ("tokens_embed_size", json!(-1)),
            ("filename_post_axmodel", json!(["a"])),
            ("filename_post_axmodel", json!("a\0b")),
            ("filename_tokens_embed", json!("")),
        ] {
            let error = with(key, value.clone()).unwrap_err().to_string();
            assert!(error.contains(key), "{key} = {value}: {error}");
        }
        let mut keys = good();
        keys.remove("tokens_embed_num");
        assert_eq!(Settings::read(&keys), Err(SettingsError::Missing("tokens_embed_num")));
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        for (key, value) in [
            ("full_attention_interval", json!(4)),
            ("layer_types", json!(["full_attention", "linear_attention"])),
            ("layer_types", json!(["sliding_attention", "chunked_attention"])),
            ("num_kv_shared_layers", json!("10")),
            ("hidden_size_per_layer_input", json!(256)),
            ("is_embedding", json!(true)),
            ("task_type", json!("image_generation")),
            ("text_config", json!({"full_attention_interval": 4})),
        ] {
            let error = with(key, value.clone()).unwrap_err();
            assert!(matches!(error, SettingsError::Unsupported { .. }), "{key} = {value}: {error}");
            assert!(error.to_string().contains("not supported"), "{error}");
        }
    }

    #[test]
    fn thinking_is_as_the_vendor_reads_it() {
        for (keys, wanted) in [
            (json!({}), None),
            (json!({"enable_thinking": false}), Some(false)),
            (json!({"enable_thinking": "1"}), Some(true)),
            (json!({"thinking_mode": "no_think"}), Some(false)),
            (json!({"thinking_mode": "default", "enable_thinking": null}), None),
            (json!({"thinking_mode": "no_think", "enable_thinking": true}), Some(true)),
        ] {
            let mut all = good();
            all.extend(keys.as_object().unwrap().clone());
            assert_eq!(Settings::read(&all).unwrap().think, wanted, "{keys}");
        }
        let error = with("thinking_mode", json!("often")).unwrap_err().to_string();
        assert!(error.contains("thinking_mode") && error.contains("no_think"), "{error}");
    }

    #[test]
    fn what_is_left_out_is_noted() {
        for (key, value, word) in [
            ("vlm_type", json!("Qwen3VL"), "pictures"),
            ("filename_image_encoder_axmodedl", json!("vit.axmodel"), "pictures"),
            ("kvcache_path", json!("./kvcache"), "kvcache"),
            ("devices", json!("0,1"), "several cards"),
            ("dynamic_load_enable", json!(true), "swapping"),
            ("eos", json!("1"), "eos"),
            ("pad_token_id", json!(151_643), "pad_token_id"),
            ("server_default_max_tokens", json!(512), "num_predict"),
            ("kv_cache_slots", json!(4), "OLLAMA_NUM_PARALLEL"),
        ] {
            let notes = with(key, value).unwrap().notes;
            assert!(notes.len() == 1 && notes[0].contains(word), "{key}: {notes:?}");
        }
    }
}
