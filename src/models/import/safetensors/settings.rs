//! What the small files of an encoder's directory say, and what of it is not computed.

use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value as Json;

use super::super::super::encoder::{Activation, EncoderConfig, Pooling};
use super::super::super::model::CONFIG_FILE;
use super::super::ImportError;
use super::{Source, missing};

/// The steps from a text to a vector, as sentence-transformers writes them down.
const MODULES_FILE: &str = "modules.json";
/// Settings of the first of these steps.
const SENTENCE_FILE: &str = "sentence_bert_config.json";

/// All settings, and what is to be told of them.
pub(super) struct Settings {
    pub(super) config: EncoderConfig,
    pub(super) notes: Vec<String>,
}

/// Types of models whose positions begin behind the mark of padding.
const ROBERTA: [&str; 3] = ["roberta", "xlm-roberta", "camembert"];

/// `config.json` of a BERT or a `RoBERTa`.
#[derive(Debug, Deserialize)]
struct BertConfig {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "norm_eps")]
    layer_norm_eps: f64,
    #[serde(default = "gelu")]
    hidden_act: String,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    /// Of a `RoBERTa` 1 where nothing else is said.
    #[serde(default = "one")]
    pad_token_id: usize,
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn norm_eps() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

/// An entry of `modules.json`.
#[derive(Debug, Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `sentence_bert_config.json`.
#[derive(Debug, Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

/// Reads the settings of the directory.
pub(super) fn read_settings(source: &Source) -> Result<Settings, ImportError> {
    let path = source.dir.join(CONFIG_FILE);
    let raw: Json = source.json(CONFIG_FILE)?.ok_or_else(|| missing(source, CONFIG_FILE))?;
    let refuse = |reason: String| ImportError::part(&path, &reason);
    let is_roberta = check_type(&raw).map_err(refuse)?;
    let bert: BertConfig = serde_json::from_value(raw)
        .map_err(|error| refuse(format!("is no configuration of a BERT: {error}")))?;
    let activation = check_bert(&bert).map_err(refuse)?;
    let sentence: SentenceConfig = source.json(SENTENCE_FILE)?.unwrap_or_default();
    if sentence.max_seq_length == Some(0) {
        let reason = "has max_seq_length = 0; a text has at least one token";
        return Err(ImportError::part(&source.dir.join(SENTENCE_FILE), reason));
    }
    let positions = bert.max_position_embeddings;
    let first_position = if is_roberta { bert.pad_token_id.saturating_add(1) } else { 0 };
    let longest = positions.saturating_sub(first_position);
    let mut notes = Vec::new();
    let config = EncoderConfig {
        hidden: bert.hidden_size,
        layers: bert.num_hidden_layers,
        heads: bert.num_attention_heads,
        intermediate: bert.intermediate_size,
        vocab: bert.vocab_size,
        positions,
        first_position,
        segments: bert.type_vocab_size,
        norm_eps: bert.layer_norm_eps,
        activation,
        prefix: String::new(),
        pooling: pooling(source, &mut notes)?,
        max_tokens: sentence.max_seq_length.unwrap_or(longest).min(longest),
        lower_case: sentence.do_lower_case,
    };
    config.check().map_err(|error| refuse(error.to_string()))?;
    Ok(Settings { config, notes })
}

/// Refuses other architectures by their names. True for a `RoBERTa`.
fn check_type(config: &Json) -> Result<bool, String> {
    let named = config["model_type"].as_str().or_else(|| {
        // Configurations of 2019 have no type; their classes are called after it.
        let class = config["architectures"][0].as_str()?;
        class.starts_with("Bert").then_some("bert")
    });
    match named {
        Some("bert") => Ok(false),
        Some(kind) if ROBERTA.contains(&kind) => Ok(true),
        Some(other) => Err(format!(
            "is of a model of type {:?}; of safetensors, text encoders of the types bert, roberta, xlm-roberta and camembert can be imported. Models that \
             generate text come as a .gguf file, or compiled for the NPU",
            other.chars().take(40).collect::<String>()
        )),
        None => Err("names no model_type; it is not the configuration of a model".to_owned()),
    }
}

fn check_bert(config: &BertConfig) -> Result<Activation, String> {
    let refuse = |key: &str, value: &str, known: &str| {
        let value: String = value.chars().take(40).collect();
        Err(format!("has {key} = {value:?}, which is not computed; supported: {known}"))
    };
    if let Some(kind) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
        return refuse("position_embedding_type", kind, "absolute");
    }
    if config.is_decoder {
        return refuse("is_decoder", "true", "false");
    }
    match config.hidden_act.as_str() {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => refuse("hidden_act", other, "gelu, gelu_new, gelu_pytorch_tanh, relu"),
    }
}

/// How rows become a vector, by the list of steps.
fn pooling(source: &Source, notes: &mut Vec<String>) -> Result<Pooling, ImportError> {
    let Some(modules) = source.json::<Vec<Module>>(MODULES_FILE)? else {
        notes.push(format!("there is no {MODULES_FILE}: vectors are the mean over all tokens"));
        return Ok(Pooling::Mean);
    };
    let path = source.dir.join(MODULES_FILE);
    let mut found = None;
    for module in &modules {
        let step = module.kind.rsplit('.').next().unwrap_or_default();
        match step {
            // Normalising is up to the request.
            "Transformer" | "Normalize" => {}
            "Pooling" => found = Some(read_pooling(source, &module.path)?),
            other => {
                let other: String = other.chars().take(40).collect();
                let reason = format!(
                    "has a step {other:?}, which is not computed; supported: Transformer, Pooling, Normalize"
                );
                return Err(ImportError::part(&path, &reason));
            }
        }
    }
    found.ok_or_else(|| ImportError::part(&path, "has no step Pooling: its vectors are no vectors of texts"))
}

fn read_pooling(source: &Source, folder: &str) -> Result<Pooling, ImportError> {
    if !Path::new(folder).components().all(|part| matches!(part, Component::Normal(_))) {
        let reason = format!("names {folder:?}, which leads out of the directory");
        return Err(ImportError::part(&source.dir.join(MODULES_FILE), &reason));
    }
    let name = format!("{folder}/{CONFIG_FILE}");
    let settings: Json = source.json(&name)?.ok_or_else(|| missing(source, &name))?;
    let mut on: Vec<&str> = settings
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| **value == Json::Bool(true))
        .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
        .collect();
    on.extend(settings["pooling_mode"].as_str());
    match on.as_slice() {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::Cls),
        ["lasttoken"] => Ok(Pooling::Last),
        other => {
            let reason = format!(
                "pools by {other:?}, which is not computed; supported: mean_tokens, cls_token, lasttoken"
            );
            Err(ImportError::part(&source.dir.join(name), &reason))
        }
    }
}
