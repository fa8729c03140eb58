//! The layer files of a model directory: whether they fit the model and each other, and what they say.

use std::path::Path;

use super::super::config::Config;
use super::super::layer_file::{FORMAT, FileHead, SoftwareHead, read_head};
use super::super::manifest::Manifest;
use super::{LayerFiles, ModelError};

/// What the files say of the model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LayerFacts {
    /// Bytes of weights on a card.
    pub(super) weights: u64,
    /// Of these, those of the last file: while it is loaded, a PCIe card holds it twice.
    pub(super) last: u64,
    /// Bytes of keys and values of one conversation; 0 where the files do not tell.
    pub(super) cache: u64,
    /// Whether they are compiled for the NPU, and not made for the software card.
    pub(super) compiled: bool,
}

/// Checks the headers of all layers and the head against the configuration and against each other.
pub(super) fn check_layers(
    files: &LayerFiles,
    config: &Config,
    manifest: &Manifest,
) -> Result<LayerFacts, ModelError> {
    let bad = |path: &Path, reason| ModelError::File { path: path.to_owned(), reason };
    let mut heads = Vec::with_capacity(files.layers.len());
    for (index, path) in files.layers.iter().enumerate() {
        let head = read_head(path).map_err(|reason| bad(path, reason))?;
        check_layer(&head, heads.first(), index, config, manifest).map_err(|reason| bad(path, reason))?;
        heads.push(head);
    }
    let head = read_head(&files.head).map_err(|reason| bad(&files.head, reason))?;
    check_head(&head, heads.first(), config).map_err(|reason| bad(&files.head, reason))?;

    let mut sizes = LayerFacts { compiled: matches!(head, FileHead::Vendor(_)), ..LayerFacts::default() };
    let paths = files.layers.iter().chain([&files.head]);
    for (path, head) in paths.zip(heads.iter().chain([&head])) {
        let length = path.metadata().map_err(|source| ModelError::Io { path: path.clone(), source })?.len();
        let (weights, cache) = match head {
            FileHead::Vendor(head) => (length, head.cache_shape()),
            FileHead::Software(head) => {
                let number = |key| head.number(key).ok();
                let width = number("ax650.kv_heads").zip(number("ax650.head_dim"));
                let width = width.and_then(|(heads, size)| heads.checked_mul(size));
                // Files without weights name the bytes that the card counts for them.
                let weights = number("ax650.weight_bytes").map_or(length, |bytes| bytes as u64);
                (weights, number("ax650.kv_len").zip(width))
            }
        };
        sizes.weights = sizes.weights.saturating_add(weights);
        sizes.last = weights;
        let (rows, width) = cache.unwrap_or_default();
        // Keys and values, two bytes each.
        let cache = (rows as u64).saturating_mul(width as u64).saturating_mul(4);
        sizes.cache = sizes.cache.saturating_add(cache);
    }
    Ok(sizes)
}

fn check_layer(
    head: &FileHead,
    first: Option<&FileHead>,
    index: usize,
    config: &Config,
    manifest: &Manifest,
) -> Result<(), String> {
    check_same_kind(head, first)?;
    let FileHead::Software(head) = head else { return Ok(()) };
    let hidden = config.tokens_embed_size;
    head.expect("ax650.format", FORMAT)?;
    head.expect("ax650.kind", "layer")?;
    head.expect("ax650.layer", &index.to_string())?;
    head.expect("ax650.hidden", &hidden.to_string())?;
    head.expect("ax650.kv_len", &manifest.context_length.to_string())?;
    check_layer_shapes(head, hidden)?;
    match first {
        Some(FileHead::Software(first)) => check_alike(first, head),
        _ => Ok(()),
    }
}

fn check_head(head: &FileHead, first: Option<&FileHead>, config: &Config) -> Result<(), String> {
    check_same_kind(head, first)?;
    let FileHead::Software(head) = head else { return Ok(()) };
    let hidden = config.tokens_embed_size;
    head.expect("ax650.format", FORMAT)?;
    head.expect("ax650.kind", "head")?;
    head.expect("ax650.hidden", &hidden.to_string())?;
    head.expect("ax650.vocab", &config.tokens_embed_num.to_string())?;
    if head.is_synthetic() {
        return check_synthetic(head);
    }
    head.expect_shape("norm", &[hidden])?;
    head.expect_shape("weight", &[config.tokens_embed_num, hidden])
}

/// A card takes compiled files, the software card its own; a model cannot be made of both.
fn check_same_kind(head: &FileHead, first: Option<&FileHead>) -> Result<(), String> {
    match (first, head) {
        (Some(FileHead::Vendor(_)), FileHead::Software(_)) => {
            Err("is a layer file of the software card, but layer 0 is compiled for the NPU".to_owned())
        }
        (Some(FileHead::Software(_)), FileHead::Vendor(_)) => {
            Err("is compiled for the NPU, but layer 0 is a layer file of the software card".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_layer_shapes(head: &SoftwareHead, hidden: usize) -> Result<(), String> {
    let heads = head.number("ax650.heads")?;
    let kv_heads = head.number("ax650.kv_heads")?;
    let head_dim = head.number("ax650.head_dim")?;
    let intermediate = head.number("ax650.intermediate")?;
    let (Some(q), Some(kv)) = (heads.checked_mul(head_dim), kv_heads.checked_mul(head_dim)) else {
        return Err("has impossibly many heads".to_owned());
    };
    if head.is_synthetic() {
        return check_synthetic(head);
    }
    head.expect_shape("attn_norm", &[hidden])?;
    head.expect_shape("ffn_norm", &[hidden])?;
    for (name, rows, columns) in [
        ("q", q, hidden),
        ("k", kv, hidden),
        ("v", kv, hidden),
        ("o", hidden, q),
        ("gate", intermediate, hidden),
        ("up", intermediate, hidden),
        ("down", hidden, intermediate),
    ] {
        head.expect_shape(&format!("{name}.weight"), &[rows, columns])?;
        if head.shapes.contains_key(&format!("{name}.scale")) {
            head.expect_shape(&format!("{name}.scale"), &[rows])?;
        }
    }
    Ok(())
}

/// A file without weights names their bytes and has no tensors.
fn check_synthetic(head: &SoftwareHead) -> Result<(), String> {
    head.number("ax650.weight_bytes")?;
    if head.shapes.is_empty() {
        return Ok(());
    }
    Err("has tensors although it says that it has no weights".to_owned())
}

/// All layers of a model run with the same cache and the same groups.
fn check_alike(first: &SoftwareHead, head: &SoftwareHead) -> Result<(), String> {
    for key in [
        "ax650.architecture",
        "ax650.kv_heads",
        "ax650.head_dim",
        "ax650.chunk",
        "ax650.history",
        "ax650.weights",
    ] {
        let wanted =
            first.metadata.get(key).ok_or_else(|| format!("and layer 0 lack the metadata key {key}"))?;
        head.expect(key, wanted)?;
    }
    Ok(())
}
