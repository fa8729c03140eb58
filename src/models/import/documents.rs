//! The small files of a model directory: configuration, tokenizer, template, manifest.

use serde_json::{Map, Value as Json, json};

use super::super::config::{Config, LayerPattern};
use super::super::gguf::{GgufError, Header, Value};
use super::super::manifest::{Custom, FileEntry, Manifest, SCHEMA, parameter_size};
use super::super::quantise::Weights;
use super::ImportError;
use super::plan::Plan;
use crate::text::{GgufTokenizer, TokenId, adds_bos, build_tokenizer, end_token_ids};

/// Arrays up to this length are kept in `model_info`; longer ones are vocabularies.
const MAX_INFO_ARRAY: usize = 64;
/// Longest text kept in `model_info`.
const MAX_INFO_TEXT: usize = 4096;

/// Names of the weight files.
#[derive(Debug, Clone)]
pub(super) struct FileNames {
    pub(super) model_name: String,
    pub(super) layer: LayerPattern,
    pub(super) head: String,
    pub(super) embedding: String,
}

impl FileNames {
    /// File names in the vendor's manner, from the model's name.
    pub(super) fn new(model: &str) -> Result<Self, ImportError> {
        let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        let stem: String = model.to_ascii_lowercase().chars().map(keep).collect();
        let pattern = format!("{stem}_p128_l%d_together.axmodel");
        Ok(Self {
            model_name: model.to_owned(),
            layer: LayerPattern::try_from(pattern).map_err(ImportError::Internal)?,
            head: format!("{stem}_post.axmodel"),
            embedding: "model.embed_tokens.weight.bfloat16.bin".to_owned(),
        })
    }

    /// The configuration of a model with these files.
    pub(super) fn config(
        &self,
        tokenizer_type: &str,
        layers: usize,
        vocab: usize,
        hidden: usize,
        bos: bool,
    ) -> Config {
        Config {
            model_name: self.model_name.clone(),
            tokenizer_type: tokenizer_type.to_owned(),
            url_tokenizer_model: "tokenizer.json".to_owned(),
            template_filename_axmodel: self.layer.clone(),
            axmodel_num: layers,
            filename_post_axmodel: self.head.clone(),
            filename_tokens_embed: self.embedding.clone(),
            tokens_embed_num: vocab,
            tokens_embed_size: hidden,
            post_config_path: "post_config.json".to_owned(),
            bos,
            eos: false,
        }
    }
}

/// The text files, ready to be written: a vocabulary that cannot be used is found before any weight is.
#[derive(Debug)]
pub(super) struct TextFiles {
    files: Vec<(&'static str, Vec<u8>)>,
    adds_bos: bool,
}

impl TextFiles {
    pub(super) fn new(header: &Header<'_>, vocab: usize) -> Result<Self, ImportError> {
        let missing = |key: &str| GgufError::MissingKey(key.to_owned());
        let tokens = header.optional_strings("tokenizer.ggml.tokens")?;
        let tokens = tokens.ok_or_else(|| missing("tokenizer.ggml.tokens"))?;
        if tokens.len() > vocab {
            let reason = format!(
                "tokenizer.ggml.tokens has {} entries, but token_embd.weight {vocab} rows",
                tokens.len()
            );
            return Err(ImportError::Vocabulary(reason));
        }
        let model =
            header.optional_str("tokenizer.ggml.model")?.ok_or_else(|| missing("tokenizer.ggml.model"))?;
        let token_types = token_types(header)?;
        let merges = header.optional_strings("tokenizer.ggml.merges")?.unwrap_or_default();
        let parts = GgufTokenizer {
            model,
            pre: header.optional_str("tokenizer.ggml.pre")?.unwrap_or_default(),
            tokens: &tokens,
            token_types: &token_types,
            merges: &merges,
            bos: token_id(header, "tokenizer.ggml.bos_token_id", tokens.len())?,
            eos: token_id(header, "tokenizer.ggml.eos_token_id", tokens.len())?,
            add_bos: header.optional_bool("tokenizer.ggml.add_bos_token")?,
            add_eos: header.optional_bool("tokenizer.ggml.add_eos_token")?,
        };
        let tokenizer = build_tokenizer(&parts)?.to_string(false);
        let tokenizer = tokenizer.map_err(|error| ImportError::Vocabulary(error.to_string()))?;
        let adds_bos = adds_bos(&parts)?;
        let ends = end_ids(header, &parts)?;
        let text = |id: Option<TokenId>| id.and_then(|id| tokens.get(id as usize));
        let tokenizer_config = json!({
            "bos_token": text(parts.bos), "eos_token": text(parts.eos),
            "add_bos_token": adds_bos, "add_eos_token": parts.add_eos.unwrap_or(false),
        });
        let generation_config = json!({ "bos_token_id": parts.bos, "eos_token_id": ends });
        let mut files = vec![
            ("tokenizer.json", tokenizer.into_bytes()),
            ("tokenizer_config.json", pretty(&tokenizer_config)?),
            ("generation_config.json", pretty(&generation_config)?),
        ];
        if let Some(template) = header.optional_str("tokenizer.chat_template")? {
            files.push((super::super::model::CHAT_TEMPLATE_FILE, template.as_bytes().to_vec()));
        }
        Ok(Self { files, adds_bos })
    }

    /// Whether prompts begin with the beginning-of-sequence token.
    pub(super) fn adds_bos(&self) -> bool {
        self.adds_bos
    }

    /// Names and contents.
    pub(super) fn files(&self) -> &[(&'static str, Vec<u8>)] {
        &self.files
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

fn token_types(header: &Header<'_>) -> Result<Vec<i32>, ImportError> {
    let key = "tokenizer.ggml.token_type";
    let Some(array) = header.optional_array(key)? else { return Ok(Vec::new()) };
    let types = array.iter().map(|value| value.as_u64().and_then(|number| i32::try_from(number).ok()));
    types
        .collect::<Option<Vec<i32>>>()
        .ok_or_else(|| ImportError::Vocabulary(format!("{key} has entries that are not token types")))
}

fn token_id(header: &Header<'_>, key: &str, tokens: usize) -> Result<Option<TokenId>, ImportError> {
    match header.optional_u64(key)? {
        None => Ok(None),
        Some(id) if id < tokens as u64 => Ok(TokenId::try_from(id).ok()),
        Some(id) => Err(ImportError::Vocabulary(format!("{key} is {id}, but there are {tokens} tokens"))),
    }
}

/// All tokens that end an answer: those the file names, and those whose text is known to end a turn.
fn end_ids(header: &Header<'_>, parts: &GgufTokenizer<'_>) -> Result<Vec<TokenId>, ImportError> {
    let numbered = (0..).zip(parts.tokens.iter().map(String::as_str));
    let mut ids = end_token_ids(parts.eos, numbered);
    for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
        ids.extend(token_id(header, key, parts.tokens.len())?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// `config.json` and `post_config.json`.
pub(super) fn configuration(config: Config) -> Result<[(&'static str, Vec<u8>); 2], ImportError> {
    // The vendor's program reads every key and samples greedily with these.
    let post_config = json!({
        "enable_temperature": false, "temperature": 0.9,
        "enable_repetition_penalty": false, "repetition_penalty": 1.2, "penalty_window": 20,
        "enable_top_p_sampling": false, "top_p": 0.8,
        "enable_top_k_sampling": false, "top_k": 10,
    });
    let config = serde_json::to_value(config).map_err(|error| ImportError::Internal(error.to_string()))?;
    Ok([(super::super::model::CONFIG_FILE, pretty(&config)?), ("post_config.json", pretty(&post_config)?)])
}

/// The manifest, as the file would have it.
pub(super) fn manifest(
    header: &Header<'_>,
    plan: &Plan<'_>,
    weights: Weights,
    files: &[FileEntry],
) -> Result<Manifest, ImportError> {
    Ok(Manifest {
        schema: SCHEMA,
        format: "axmodel".to_owned(),
        family: plan.architecture.name().to_owned(),
        parameter_count: plan.parameter_count,
        parameter_size: parameter_size(plan.parameter_count),
        quantization_level: weights.level().to_owned(),
        context_length: plan.context,
        trained_context: plan.trained_context,
        embedding_length: plan.hidden,
        model_info: model_info(header, plan.parameter_count),
        license: header.optional_str("general.license")?.map(str::to_owned),
        parameters: Map::new(),
        system: None,
        custom: Custom::default(),
        files: files.to_vec(),
    })
}

/// The metadata as `/api/show` gives it: flat, long arrays emptied, name and template left out.
fn model_info(header: &Header<'_>, parameter_count: u64) -> Map<String, Json> {
    let mut info = Map::new();
    for (&key, value) in header.metadata() {
        if matches!(key, "general.name" | "tokenizer.chat_template") {
            continue;
        }
        let json = match value {
            Value::Array(array) if array.len() > MAX_INFO_ARRAY => Json::Array(Vec::new()),
            Value::Array(array) => array.iter().filter_map(|one| scalar(&one)).collect(),
            other => match scalar(other) {
                Some(json) => json,
                None => continue,
            },
        };
        info.insert(key.to_owned(), json);
    }
    info.insert("general.parameter_count".to_owned(), parameter_count.into());
    info
}

fn scalar(value: &Value<'_>) -> Option<Json> {
    match *value {
        Value::Unsigned(number) => Some(number.into()),
        Value::Signed(number) => Some(number.into()),
        Value::Float(number) => serde_json::Number::from_f64(number).map(Json::Number),
        Value::Bool(flag) => Some(flag.into()),
        Value::Bytes(bytes) if bytes.len() <= MAX_INFO_TEXT => {
            std::str::from_utf8(bytes).ok().map(Json::from)
        }
        Value::Bytes(_) | Value::Array(_) => None,
    }
}

/// JSON as people read it.
pub(super) fn pretty(value: &Json) -> Result<Vec<u8>, ImportError> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| ImportError::Internal(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}
