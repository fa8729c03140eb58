//! From a vendor's model directory to a model of the store, without copying its weights.
//!
//! The model's directory gets links to the layer files, the head and the embedding table, which stay where their owner
//! has them, and files of its own for everything small: configuration, tokenizer, template, manifest. Removing the
//! model removes the links. The manifest has length, date and a sampled digest of every file linked to, so that a file
//! that is exchanged later is noticed when the model is opened or loaded (see `model::contents`).

mod text;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use self::text::{PackageText, read_text};
use super::super::changes::Changes;
use super::super::config::{Config, LayerPattern};
use super::super::layer_file::{FileHead, SYNTHETIC, read_head};
use super::super::manifest::{Custom, MANIFEST_FILE, Manifest, SCHEMA, SOURCE_KEY, THINK_KEY, WINDOW_KEY};
use super::super::model::Model;
use super::super::name::ModelName;
use super::super::store::Store;
use super::super::vendor::{Generation, Package, VendorError, sampling};
use super::documents::{self, pretty};
use super::staging::Staging;
use super::{ImportError, SetUp, set_up};
use crate::text::Family;

/// Context of a package that does not tell it: what most of the vendor's packages have at least.
const USUAL_CONTEXT: usize = 2047;

/// What registering a directory gave.
#[derive(Debug)]
pub struct Registered {
    /// The model.
    pub model: Arc<Model>,
    /// Choices made and parts left out, for people.
    pub notes: Vec<String>,
}

/// Makes the model `name` of `store` from the vendor's directory, or run script, `source`, with these `changes`.
pub(in crate::models) fn register(
    store: &Store,
    name: &ModelName,
    source: &Path,
    changes: &Changes,
) -> Result<Registered, ImportError> {
    let package = Package::open(source)?;
    let family = family(&package);
    let text = read_text(&package, family)?;
    let mut notes = package.notes.clone();
    notes.extend(text.notes.iter().cloned());
    if package.settings.bos == Some(false) && text.adds_bos {
        notes.push(
            "bos = false is ignored: the tokenizer begins every prompt as the model was trained".to_owned(),
        );
    }
    let mut parameters = Map::new();
    if let Some((path, bytes)) = &package.post_config {
        parameters = sampling::parameters(bytes).map_err(|reason| VendorError::File {
            path: path.clone(),
            reason: format!("{reason}; correct it or remove it"),
        })?;
    } else {
        let file = &package.settings.post_config;
        notes.push(format!("there is no {file}: requests sample with this program's defaults"));
    }
    let facts = Facts::read(&package, &mut notes)?;

    let SetUp { name, target, mut staging } = set_up(store, name)?;
    let config = link_weights(&mut staging, &package)?;
    for (file, bytes) in &text.files {
        staging.write(file, bytes)?;
    }
    for (file, bytes) in documents::configuration(config)? {
        staging.write(file, &bytes)?;
    }
    let mut manifest = manifest(&package, &text, &facts, parameters, &staging);
    changes.apply(&mut manifest);
    staging.write(MANIFEST_FILE, &pretty(&json!(manifest))?)?;
    let model = staging.complete(store, name, &target)?;
    if package.settings.think.is_some() && !model.capabilities().contains(&"thinking") {
        notes.push(
            "the package's setting for thinking is ignored: its chat template has no switch for it"
                .to_owned(),
        );
    }
    Ok(Registered { model, notes })
}

/// The model's family by all names that a package has for it.
fn family(package: &Package) -> Option<&'static Family> {
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let settings = &package.settings;
    let pattern = String::from(settings.layers.clone());
    let (weights, layers) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
    let names = [
        settings.model_name.clone().unwrap_or_default(),
        package.name.clone(),
        weights.to_owned(),
        file_name(&package.settings_file).unwrap_or_default(),
        settings.tokenizer_type.clone(),
        layers.to_owned(),
    ];
    Family::named(names.iter().map(String::as_str))
}

/// Puts links to the weights into the staging directory and returns the configuration with their names there.
fn link_weights(staging: &mut Staging, package: &Package) -> Result<Config, ImportError> {
    let settings = &package.settings;
    let own = ["config.json", "post_config.json", MANIFEST_FILE];
    let own = [own.as_slice(), &text::FILES].concat();
    let mut names = BTreeSet::new();
    let mut plain = |name: &str, otherwise: &str| {
        let name = name.rsplit('/').next().unwrap_or_default();
        // Names of files of our own, and names taken already, cannot be used again.
        let usable = !name.is_empty() && !own.contains(&name);
        let name = if usable && !names.contains(name) { name } else { otherwise };
        names.insert(name.to_owned());
        name.to_owned()
    };
    let pattern = plain(&String::from(settings.layers.clone()), "model_l%d_together.axmodel");
    let layers = LayerPattern::try_from(pattern)
        .or_else(|_| LayerPattern::try_from("model_l%d_together.axmodel".to_owned()))
        .map_err(ImportError::Internal)?;
    let head = plain(&settings.head, "model_post.axmodel");
    let embedding = plain(&settings.embedding, "model.embed_tokens.weight.bfloat16.bin");
    for (index, path) in package.layers.iter().enumerate() {
        staging.link(&layers.file_name(index), path)?;
    }
    staging.link(&head, &package.head)?;
    staging.link(&embedding, &package.embedding)?;
    Ok(Config {
        model_name: settings.model_name.clone().unwrap_or_else(|| package.name.clone()),
        tokenizer_type: settings.tokenizer_type.clone(),
        url_tokenizer_model: "tokenizer.json".to_owned(),
        template_filename_axmodel: layers,
        axmodel_num: settings.layer_count,
        filename_post_axmodel: head,
        filename_tokens_embed: embedding,
        tokens_embed_num: settings.vocab,
        tokens_embed_size: settings.hidden,
        post_config_path: "post_config.json".to_owned(),
        bos: false,
        eos: false,
    })
}

/// What the weight files and the package's names say of the model.
struct Facts {
    context: usize,
    kv_width: Option<usize>,
    /// Narrowest window of attention, in tokens; no narrower than the context.
    window: Option<usize>,
    /// Whether the layers or the head are without weights.
    is_synthetic: bool,
    weights: String,
    parameters: (u64, String),
}

impl Facts {
    fn read(package: &Package, notes: &mut Vec<String>) -> Result<Self, ImportError> {
        let path = &package.layers[0];
        let head = read_head(path).map_err(|reason| VendorError::File { path: path.clone(), reason })?;
        let output = read_head(&package.head)
            .map_err(|reason| VendorError::File { path: package.head.clone(), reason })?;
        let is_synthetic = [&head, &output]
            .iter()
            .any(|head| matches!(head, FileHead::Software(head) if head.is_synthetic()));
        let mut weights = None;
        let cache = match &head {
            FileHead::Vendor(head) => head.cache_shape(),
            FileHead::Software(head) => {
                weights = head.metadata.get("ax650.weights").map(|weights| weights.to_uppercase());
                let width = head.number("ax650.kv_heads").ok().zip(head.number("ax650.head_dim").ok());
                let width = width.and_then(|(heads, size)| heads.checked_mul(size));
                head.number("ax650.kv_len").ok().zip(width)
            }
        };
        let names = format!("{} {}", package.dir.display(), String::from(package.settings.layers.clone()))
            .to_lowercase();
        let context = cache.map(|(rows, _)| rows).or_else(|| named_context(&names));
        if context.is_none() {
            notes.push(format!(
                "the layer files do not say how long the context is; until the first load it is taken as {USUAL_CONTEXT}"
            ));
        }
        let context = context.unwrap_or(USUAL_CONTEXT);
        for (path, window) in &package.windows {
            let about = |source| VendorError::Settings { path: path.clone(), source };
            window.check(context).map_err(about)?;
        }
        let by_name = || if names.contains("int4") || names.contains("w4a16") { "W4A16" } else { "W8A16" };
        Ok(Self {
            context,
            kv_width: cache.map(|(_, width)| width),
            window: package.windows.iter().filter_map(|(_, window)| window.tokens).min(),
            is_synthetic,
            weights: weights.unwrap_or_else(|| by_name().to_owned()),
            parameters: named_parameters(&names),
        })
    }
}

/// The context in names such as `...-C128-P1152-CTX2047`, or `CTX12K`, which stands for 12 times 1024 less one.
fn named_context(names: &str) -> Option<usize> {
    let (_, rest) = names.rsplit_once("ctx")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number: usize = rest[..digits].parse().ok()?;
    let context =
        if rest[digits..].starts_with('k') { number.checked_mul(1024)?.checked_sub(1)? } else { number };
    (16..=1 << 20).contains(&context).then_some(context)
}

/// The number of parameters in names such as `qwen3-0.6b` or `smollm2-360m`, and its text.
fn named_parameters(names: &str) -> (u64, String) {
    let words = names.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
    let parse = |word: &str| {
        let (number, scale) = match (word.strip_suffix('b'), word.strip_suffix('m')) {
            (Some(number), _) => (number, 1e9),
            (_, Some(number)) => (number, 1e6),
            _ => return None,
        };
        let number: f64 = number.parse().ok().filter(|number| (0.01..1000.0).contains(number))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 10^4 and 10^12")]
        let count = (number * scale) as u64;
        Some((count, word.to_uppercase()))
    };
    words.filter_map(parse).next_back().unwrap_or_default()
}

fn manifest(
    package: &Package,
    text: &PackageText,
    facts: &Facts,
    parameters: Map<String, Json>,
    staging: &Staging,
) -> Manifest {
    let settings = &package.settings;
    let family = text.family.map_or("unknown", Family::architecture);
    let trained = package.description.get("max_position_embeddings").and_then(Json::as_u64);
    let trained = trained.and_then(|tokens| usize::try_from(tokens).ok()).unwrap_or(facts.context);
    let generation = match package.generation {
        Generation::B => "B",
        Generation::C => "C",
    };
    let mut model_info = Map::new();
    let mut set = |key: String, value: Json| drop(model_info.insert(key, value));
    set("general.architecture".into(), family.into());
    set("general.parameter_count".into(), facts.parameters.0.into());
    set(format!("{family}.block_count"), settings.layer_count.into());
    set(format!("{family}.context_length"), trained.into());
    set(format!("{family}.embedding_length"), settings.hidden.into());
    if let Some(width) = facts.kv_width {
        set("ax650.kv_dim".into(), width.into());
    }
    if let Some(tokens) = facts.window {
        set(format!("{family}{WINDOW_KEY}"), tokens.into());
    }
    if let Some(think) = settings.think {
        set(THINK_KEY.into(), think.into());
    }
    set("ax650.generation".into(), generation.into());
    set(SOURCE_KEY.into(), package.dir.to_string_lossy().into());
    Manifest {
        schema: SCHEMA,
        format: if facts.is_synthetic { SYNTHETIC } else { "axmodel" }.to_owned(),
        family: family.to_owned(),
        parameter_count: facts.parameters.0,
        parameter_size: facts.parameters.1.clone(),
        quantization_level: facts.weights.clone(),
        context_length: facts.context,
        trained_context: trained,
        embedding_length: settings.hidden,
        model_info,
        license: None,
        parameters,
        system: settings.system.clone(),
        custom: Custom::default(),
        files: staging.entries().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_context_and_size() {
        assert_eq!(named_context("qwen3-vl-4b-c128-p1152-ctx2047/x_l%d"), Some(2047));
        assert_eq!(named_context("qwen3.5-4b-ctx12k"), Some(12_287));
        assert_eq!(named_context("qwen2.5-1.5b-ctx-int8"), None);
        assert_eq!(named_context("qwen3"), None);
        assert_eq!(named_context("qwen3-ctx0k"), None);
        assert_eq!(named_parameters("/models/qwen3-0.6b-ax650"), (600_000_000, "0.6B".into()));
        assert_eq!(named_parameters("/home/b/smollm2-360m-instruct l%d"), (360_000_000, "360M".into()));
        assert_eq!(named_parameters("/models/model"), (0, String::new()));
    }
}
