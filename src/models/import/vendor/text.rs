//! The text side of a vendor's package, as the files that a model of the store has.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::super::super::model::CHAT_TEMPLATE_FILE;
use super::super::super::vendor::{Package, TokenizerSource, VendorError};
use super::super::ImportError;
use super::super::documents::pretty;
use crate::text::vendor_vocab::{self, read};
use crate::text::{Family, GgufTokenizer, TextError, TextModel, TokenId, build_tokenizer, template_of};

/// Longest tokenizer file that is read, in bytes.
const MAX_TOKENIZER_BYTES: u64 = read::MAX_FILE_BYTES;
/// Longest of the small files, in bytes.
const MAX_SMALL_BYTES: u64 = 4 << 20;
/// Token types in GGUF's numbers.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Names of all files that come from here.
pub(super) const FILES: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "generation_config.json", CHAT_TEMPLATE_FILE];

/// Everything about a model's text.
pub(super) struct PackageText {
    /// Names and contents.
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    /// By name, else by vocabulary.
    pub(super) family: Option<&'static Family>,
    /// Whether the tokenizer puts a token before every text.
    pub(super) adds_bos: bool,
    /// For people.
    pub(super) notes: Vec<String>,
}

/// What a tokenizer source amounts to.
struct Parts {
    tokenizer: Tokenizer,
    /// `tokenizer_config.json`.
    config: Map<String, Value>,
    /// `generation_config.json`.
    generation: Map<String, Value>,
    end_ids: Vec<TokenId>,
    template: Option<String>,
}

/// Reads a package's tokenizer and template, and completes them by what is known of the family.
pub(super) fn read_text(
    package: &Package,
    family: Option<&'static Family>,
) -> Result<PackageText, ImportError> {
    let (path, parts) = match &package.tokenizer {
        TokenizerSource::Folder(dir) => (dir, folder(package, dir, family)?),
        TokenizerSource::Text(path) => (path, vendor_file(package, path, family)?),
    };
    let Parts { tokenizer, mut config, mut generation, mut end_ids, template } = parts;
    let family = family.or_else(|| Family::of_vocabulary(|token| tokenizer.token_to_id(token).is_some()));
    let mut notes = Vec::new();

    let ends = family.map(Family::ends).unwrap_or_default();
    end_ids.extend(ends.iter().filter_map(|text| tokenizer.token_to_id(text)));
    match generation.get("eos_token_id") {
        Some(Value::Array(ids)) => end_ids.extend(ids.iter().filter_map(token_id)),
        Some(id) => end_ids.extend(token_id(id)),
        None => {}
    }
    end_ids.sort_unstable();
    end_ids.dedup();
    generation.insert("eos_token_id".to_owned(), json!(end_ids));
    let bos = family.and_then(Family::bos).filter(|bos| tokenizer.token_to_id(bos).is_some());
    if let Some(bos) = bos
        && config.get("bos_token").is_none_or(Value::is_null)
    {
        config.insert("bos_token".to_owned(), bos.into());
    }
    // A template goes into a file of its own; in the configuration it would be there twice.
    config.remove("chat_template");
    let template = template.or_else(|| {
        let family = family?;
        notes.push(format!("the package has no chat template; that of the family {} is used", family.name()));
        Some(family.template())
    });
    if template.is_none() {
        notes.push(
            "the package has no chat template and its family is not known: messages are joined as they are; put the \
             model's chat_template.jinja beside its tokenizer to change that"
                .to_owned(),
        );
    }
    let about = |source| VendorError::Text { path: path.clone(), source };
    let json = tokenizer.to_string(false).map_err(|error| about(TextError::Vocabulary(error.to_string())))?;
    let adds_bos = check(tokenizer, &config, &generation, package.settings.vocab).map_err(about)?;
    let mut files = vec![
        ("tokenizer.json", json.into_bytes()),
        ("tokenizer_config.json", pretty(&Value::Object(config))?),
        ("generation_config.json", pretty(&Value::Object(generation))?),
    ];
    files.extend(template.map(|template| (CHAT_TEMPLATE_FILE, template.into_bytes())));
    Ok(PackageText { files, family, adds_bos, notes })
}

/// Opens the text side as it will be opened later, and compares the vocabulary with the embedding table. Tells whether
/// a token is put before every text.
fn check(
    tokenizer: Tokenizer,
    config: &Map<String, Value>,
    generation: &Map<String, Value>,
    rows: usize,
) -> Result<bool, TextError> {
    let value = |map: &Map<String, Value>| Value::Object(map.clone());
    let text = TextModel::from_parts(tokenizer, &value(config), &value(generation), None)?;
    if text.vocab_len() <= rows {
        return Ok(!text.encode("", true)?.is_empty());
    }
    Err(TextError::Vocabulary(format!(
        "it has {} tokens, but the embedding table {rows} rows (tokens_embed_num); it belongs to another model",
        text.vocab_len()
    )))
}

fn token_id(value: &Value) -> Option<TokenId> {
    value.as_u64().and_then(|id| TokenId::try_from(id).ok())
}

/// A tokenizer file of the vendor's own format. Files of Hugging Face beside it are used, too.
fn vendor_file(
    package: &Package,
    path: &Path,
    family: Option<&'static Family>,
) -> Result<Parts, ImportError> {
    let bytes = package.read(path, MAX_TOKENIZER_BYTES)?.unwrap_or_default();
    let file = read::parse(&bytes)
        .map_err(|error| VendorError::File { path: path.to_owned(), reason: error.to_string() })?;
    let built = vendor_vocab::build(&file, family)
        .map_err(|source| VendorError::Text { path: path.to_owned(), source })?;
    let dir = path.parent().unwrap_or(&package.dir);
    let mut config = object(package, &dir.join("tokenizer_config.json"))?;
    if let Some(bos) = built.bos {
        config.insert("bos_token".to_owned(), bos.into());
    }
    Ok(Parts {
        tokenizer: built.tokenizer,
        template: template(package, dir, &config)?,
        config,
        generation: object(package, &dir.join("generation_config.json"))?,
        end_ids: built.end_ids,
    })
}

/// A folder as Hugging Face has it.
fn folder(package: &Package, dir: &Path, family: Option<&'static Family>) -> Result<Parts, ImportError> {
    let config = object(package, &dir.join("tokenizer_config.json"))?;
    let path = dir.join("tokenizer.json");
    let about = |source| VendorError::Text { path: dir.to_owned(), source };
    let tokenizer = match package.read(&path, MAX_TOKENIZER_BYTES)? {
        Some(bytes) if bytes.is_empty() => {
            let reason = "is empty (0 bytes); download it again".to_owned();
            return Err(VendorError::File { path, reason }.into());
        }
        Some(bytes) => Tokenizer::from_bytes(&bytes).map_err(|error| {
            about(TextError::Vocabulary(format!("tokenizer.json cannot be read: {error}")))
        })?,
        None => pair(package, dir, family, &config)?,
    };
    let template = template(package, dir, &config)?;
    let generation = object(package, &dir.join("generation_config.json"))?;
    Ok(Parts { tokenizer, config, generation, end_ids: Vec::new(), template })
}

/// `vocab.json` and `merges.txt`, with the added tokens of the configuration.
fn pair(
    package: &Package,
    dir: &Path,
    family: Option<&'static Family>,
    config: &Map<String, Value>,
) -> Result<Tokenizer, ImportError> {
    let about = |source| VendorError::Text { path: dir.to_owned(), source };
    let broken = |reason: &str| about(TextError::Vocabulary(reason.to_owned()));
    let vocab = object_of(package, &dir.join("vocab.json"), MAX_TOKENIZER_BYTES)?;
    let merges = package.read(&dir.join("merges.txt"), MAX_TOKENIZER_BYTES)?.unwrap_or_default();
    let merges = String::from_utf8(merges).map_err(|_| broken("merges.txt is not text"))?;
    let merges: Vec<String> = merges
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    let mut tokens: Vec<(usize, String, i32)> = Vec::with_capacity(vocab.len());
    let mut add = |id: Option<u64>, text: &str, kind| {
        // As many as the embedding table has rows; more is found when the vocabulary is checked.
        let id = id.and_then(|id| usize::try_from(id).ok()).filter(|id| *id < 1 << 22);
        id.map(|id| tokens.push((id, text.to_owned(), kind)))
    };
    for (text, id) in &vocab {
        add(id.as_u64(), text, NORMAL)
            .ok_or_else(|| broken("vocab.json has entries that are no token numbers"))?;
    }
    for (text, id) in &object(package, &dir.join("added_tokens.json"))? {
        add(id.as_u64(), text, CONTROL)
            .ok_or_else(|| broken("added_tokens.json has entries that are no token numbers"))?;
    }
    let added = config.get("added_tokens_decoder").and_then(Value::as_object);
    for (id, token) in added.into_iter().flatten() {
        let kind = if token["special"].as_bool().unwrap_or(true) { CONTROL } else { USER_DEFINED };
        if let Some(text) = token["content"].as_str() {
            add(id.parse().ok(), text, kind);
        }
    }
    let count = tokens.iter().map(|(id, ..)| id + 1).max().unwrap_or(0);
    let (mut texts, mut types) = (vec![String::new(); count], vec![UNUSED; count]);
    for (id, text, kind) in tokens {
        texts[id] = text;
        types[id] = kind;
    }
    let pre = family.map(Family::pre_tokenizer).filter(|pre| !pre.is_empty()).ok_or_else(|| {
        broken("vocab.json and merges.txt do not say how text is cut into words, and the model's family is not known; add its tokenizer.json")
    })?;
    let bos = config.get("bos_token").and_then(|bos| bos.as_str().or_else(|| bos["content"].as_str()));
    let bos = bos
        .and_then(|bos| texts.iter().position(|text| text == bos))
        .and_then(|id| TokenId::try_from(id).ok());
    let parts = GgufTokenizer {
        model: "gpt2",
        pre,
        tokens: &texts,
        token_types: &types,
        merges: &merges,
        bos,
        eos: None,
        add_bos: Some(config.get("add_bos_token").and_then(Value::as_bool).unwrap_or(false)),
        add_eos: Some(false),
    };
    Ok(build_tokenizer(&parts).map_err(about)?)
}

/// The template file, else the one in the tokenizer's configuration, else that of the processor, which packages with
/// pictures have (Qwen2.5-VL).
fn template(
    package: &Package,
    dir: &Path,
    config: &Map<String, Value>,
) -> Result<Option<String>, ImportError> {
    if let Some(bytes) = package.read(&dir.join(CHAT_TEMPLATE_FILE), MAX_SMALL_BYTES)? {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return Ok(Some(text).filter(|text| !text.trim().is_empty()));
    }
    if let Some(found) = config.get("chat_template").and_then(template_of) {
        return Ok(Some(found));
    }
    let processor = object(package, &dir.join("chat_template.json"))?;
    Ok(processor.get("chat_template").and_then(template_of))
}

fn object(package: &Package, path: &Path) -> Result<Map<String, Value>, ImportError> {
    object_of(package, path, MAX_SMALL_BYTES)
}

/// A JSON object in a file; an empty one if the file is not there.
fn object_of(package: &Package, path: &Path, limit: u64) -> Result<Map<String, Value>, ImportError> {
    let Some(bytes) = package.read(path, limit)? else { return Ok(Map::new()) };
    serde_json::from_slice(&bytes).map_err(|error| {
        let reason = format!("is broken ({error}); download it again");
        VendorError::File { path: path.to_owned(), reason }.into()
    })
}
