//! What a GGUF file will become, decided and checked before anything is written.
//!
//! Three architectures are computed by the card: `llama` (also SmolLM2), `qwen2` and `qwen3`. A file that needs
//! anything beyond them, a tensor, a rope scaling, a multiplier, is refused with its name: a model that is silently
//! computed differently from how it was trained is worse than an error.

use std::collections::BTreeSet;

use ax650_sim::compute::limits;

use super::super::config::{MAX_HIDDEN, MAX_LAYERS, MAX_VOCAB};
use super::super::gguf::{GgufError, Header, Tensor, Value};

/// Context of a model when none is asked for.
const DEFAULT_CONTEXT: usize = 4096;
/// More heads, or a longer trained context, than this is damage. What the card computes is checked apart.
const MAX_HEADS: usize = 4096;
const MAX_TRAINED_CONTEXT: usize = 1 << 30;

/// Why a GGUF file cannot become a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The header does not have what it must have.
    #[error(transparent)]
    Header(#[from] GgufError),
    /// The architecture is not one of ours.
    #[error("architecture {0:?} is not supported; supported are llama (also SmolLM2), qwen2 and qwen3")]
    Architecture(String),
    /// The model needs something that is not computed.
    #[error("{what} is not supported: {detail}")]
    Unsupported {
        /// The key or tensor.
        what: String,
        /// What it says and what would be supported.
        detail: String,
    },
    /// A number that cannot be true.
    #[error("metadata key {key:?} is {found}, {wanted}; the file is damaged or was badly converted")]
    Number {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What is possible.
        wanted: String,
    },
    /// A tensor that is needed is not there.
    #[error(
        "tensor {0:?} is missing; the file is incomplete: get or convert the file again, then run `ax650 create`"
    )]
    MissingTensor(String),
    /// A tensor has another shape than the metadata says.
    #[error(
        "tensor {name:?} has shape {found:?} but {wanted:?} is needed; the file is damaged or was badly converted"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Its dimensions, innermost first.
        found: Vec<usize>,
        /// The dimensions needed.
        wanted: Vec<usize>,
    },
    /// `--context` is not possible.
    #[error(
        "context {asked} is not possible: the model was trained with {trained} tokens; give 1 to {trained}"
    )]
    Context {
        /// What was asked for.
        asked: usize,
        /// What the model was trained with.
        trained: usize,
    },
}

/// Architectures that are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
}

impl Architecture {
    fn parse(name: &str) -> Result<Self, PlanError> {
        match name {
            "llama" => Ok(Self::Llama),
            "qwen2" => Ok(Self::Qwen2),
            "qwen3" => Ok(Self::Qwen3),
            other => Err(PlanError::Architecture(other.to_owned())),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// The vendor's word for it in `config.json`.
    pub(super) fn vendor_name(self) -> &'static str {
        match self {
            Self::Llama => "LLaMa",
            Self::Qwen2 => "Qwen2_5",
            Self::Qwen3 => "Qwen3",
        }
    }

    /// Which values of a head rope turns together. Llama's query and key weights are stored permuted in GGUF files, so
    /// that neighbours form a pair; Qwen's are not.
    pub(super) fn rope_pairs(self) -> &'static str {
        match self {
            Self::Llama => "interleaved",
            Self::Qwen2 | Self::Qwen3 => "halves",
        }
    }
}

/// A model, as numbers and tensors that were checked against each other.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) architecture: Architecture,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) intermediate: usize,
    pub(super) rms_eps: f64,
    pub(super) rope_theta: f64,
    /// Factor of linear rope scaling, if there is one.
    pub(super) rope_scale: Option<f64>,
    pub(super) vocab: usize,
    pub(super) trained_context: usize,
    pub(super) context: usize,
    pub(super) parameter_count: u64,
    pub(super) embedding: &'a Tensor<'a>,
    pub(super) output_norm: &'a Tensor<'a>,
    /// The embedding again where the two are tied.
    pub(super) output: &'a Tensor<'a>,
    pub(super) rope_factors: Option<&'a Tensor<'a>>,
    pub(super) layers: Vec<LayerPlan<'a>>,
}

/// Tensors of one layer.
#[derive(Debug)]
pub(super) struct LayerPlan<'a> {
    pub(super) attn_norm: &'a Tensor<'a>,
    pub(super) ffn_norm: &'a Tensor<'a>,
    /// `q`, `k`, `v`, `o`, `gate`, `up`, `down`, with our names.
    pub(super) weights: Vec<(&'static str, &'a Tensor<'a>)>,
    /// `q.bias`, `k.bias`, `v.bias`, or none.
    pub(super) biases: Vec<(&'static str, &'a Tensor<'a>)>,
    /// `q_norm`, `k_norm`, or none.
    pub(super) head_norms: Vec<(&'static str, &'a Tensor<'a>)>,
}

/// Reads numbers under the architecture's own prefix.
struct Keys<'h, 'a> {
    header: &'h Header<'a>,
    prefix: &'static str,
}

impl Keys<'_, '_> {
    fn key(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }

    fn optional_size(&self, suffix: &str, limit: usize) -> Result<Option<usize>, PlanError> {
        let key = self.key(suffix);
        let Some(found) = self.header.optional_u64(&key)? else { return Ok(None) };
        match usize::try_from(found) {
            Ok(value) if (1..=limit).contains(&value) => Ok(Some(value)),
            _ => {
                let wanted = format!("it must be from 1 to {limit}");
                Err(PlanError::Number { key, found: found.to_string(), wanted })
            }
        }
    }

    fn size(&self, suffix: &str, limit: usize) -> Result<usize, PlanError> {
        let found = self.optional_size(suffix, limit)?;
        Ok(found.ok_or_else(|| GgufError::MissingKey(self.key(suffix)))?)
    }

    fn positive(&self, suffix: &str, limit: f64) -> Result<Option<f64>, PlanError> {
        let key = self.key(suffix);
        match self.header.optional_f64(&key)? {
            Some(value) if !(value > 0.0 && value <= limit) => {
                let wanted = format!("it must be above 0 and at most {limit}");
                Err(PlanError::Number { key, found: value.to_string(), wanted })
            }
            other => Ok(other),
        }
    }
}

/// Finds tensors, and remembers which were asked for.
struct Tensors<'a> {
    header: &'a Header<'a>,
    used: BTreeSet<&'a str>,
}

impl<'a> Tensors<'a> {
    /// The tensor `name`, which must have the given dimensions, innermost first.
    fn need(&mut self, name: &str, wanted: &[usize]) -> Result<&'a Tensor<'a>, PlanError> {
        self.find(name, wanted)?.ok_or_else(|| PlanError::MissingTensor(name.to_owned()))
    }

    fn find(&mut self, name: &str, wanted: &[usize]) -> Result<Option<&'a Tensor<'a>>, PlanError> {
        let Some(tensor) = self.header.tensors().get(name) else { return Ok(None) };
        // Trailing dimensions of 1 say nothing.
        let significant = tensor.dimensions.iter().rposition(|&one| one != 1).map_or(1, |last| last + 1);
        if tensor.dimensions.get(..significant.max(wanted.len())) != Some(wanted) {
            let (name, found) = (name.to_owned(), tensor.dimensions.clone());
            return Err(PlanError::Shape { name, found, wanted: wanted.to_vec() });
        }
        self.used.insert(tensor.name);
        Ok(Some(tensor))
    }
}

impl<'a> Plan<'a> {
    /// Decides what the file becomes. `context` is what the user asked for.
    pub(super) fn new(header: &'a Header<'a>, context: Option<usize>) -> Result<Self, PlanError> {
        let name = header.optional_str("general.architecture")?;
        let name = name.ok_or_else(|| GgufError::MissingKey("general.architecture".to_owned()))?;
        let architecture = Architecture::parse(name)?;
        refuse_what_is_not_computed(header, architecture.name())?;
        let keys = Keys { header, prefix: architecture.name() };

        let layer_count = keys.size("block_count", MAX_LAYERS)?;
        let hidden = keys.size("embedding_length", MAX_HIDDEN)?;
        let heads = keys.size("attention.head_count", MAX_HEADS)?;
        let kv_heads = keys.optional_size("attention.head_count_kv", MAX_HEADS)?.unwrap_or(heads);
        let intermediate = keys.size("feed_forward_length", limits::MAX_SIZE)?;
        let head_dim = head_dim(&keys, hidden, heads, kv_heads)?;
        let trained_context = keys.size("context_length", MAX_TRAINED_CONTEXT)?;
        let rms_eps = keys.positive("attention.layer_norm_rms_epsilon", 1.0)?;
        let rms_eps =
            rms_eps.ok_or_else(|| GgufError::MissingKey(keys.key("attention.layer_norm_rms_epsilon")))?;
        let rope_theta = keys.positive("rope.freq_base", 1e12)?.unwrap_or(10_000.0);
        check_norm_and_rope(&keys, rms_eps, rope_theta)?;
        let context = choose_context(&keys, context, trained_context)?;

        let mut tensors = Tensors { header, used: BTreeSet::new() };
        let embedding = header.tensors().get("token_embd.weight");
        let vocab = embedding.ok_or_else(|| PlanError::MissingTensor("token_embd.weight".to_owned()))?.rows;
        if vocab > MAX_VOCAB {
            let detail = format!("{vocab} rows, at most {MAX_VOCAB} are possible");
            return Err(PlanError::Unsupported { what: "tensor \"token_embd.weight\"".to_owned(), detail });
        }
        let embedding = tensors.need("token_embd.weight", &[hidden, vocab])?;
        let output = tensors.find("output.weight", &[hidden, vocab])?.unwrap_or(embedding);
        let output_norm = tensors.need("output_norm.weight", &[hidden])?;
        let rope_factors = tensors.find("rope_freqs.weight", &[head_dim / 2])?;
        let mut plan = Self {
            architecture,
            hidden,
            heads,
            kv_heads,
            head_dim,
            intermediate,
            rms_eps,
            rope_theta,
            rope_scale: rope_scale(&keys)?,
            vocab,
            trained_context,
            context,
            parameter_count: header.tensors().values().fold(0, |sum, t| sum.saturating_add(t.elements())),
            embedding,
            output_norm,
            output,
            rope_factors,
            layers: Vec::new(),
        };
        for index in 0..layer_count {
            let layer = plan.layer(&mut tensors, index)?;
            plan.layers.push(layer);
        }
        match header.tensors().keys().find(|name| !tensors.used.contains(*name)) {
            None => Ok(plan),
            Some(name) => Err(PlanError::Unsupported {
                what: format!("tensor {name:?}"),
                detail: format!(
                    "a {} model of {layer_count} layers has no such tensor here",
                    architecture.name()
                ),
            }),
        }
    }

    fn layer(&self, tensors: &mut Tensors<'a>, index: usize) -> Result<LayerPlan<'a>, PlanError> {
        let (hidden, intermediate) = (self.hidden, self.intermediate);
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let name = |part: &str| format!("blk.{index}.{part}");
        let mut weights = Vec::new();
        for (ours, theirs, columns, rows) in [
            ("q", "attn_q.weight", hidden, q),
            ("k", "attn_k.weight", hidden, kv),
            ("v", "attn_v.weight", hidden, kv),
            ("o", "attn_output.weight", q, hidden),
            ("gate", "ffn_gate.weight", hidden, intermediate),
            ("up", "ffn_up.weight", hidden, intermediate),
            ("down", "ffn_down.weight", intermediate, hidden),
        ] {
            weights.push((ours, tensors.need(&name(theirs), &[columns, rows])?));
        }
        let mut biases = Vec::new();
        for (ours, theirs, rows) in
            [("q.bias", "attn_q.bias", q), ("k.bias", "attn_k.bias", kv), ("v.bias", "attn_v.bias", kv)]
        {
            // Qwen2 always has them. All three or none: a file with some of them lost the others.
            let needed = self.architecture == Architecture::Qwen2 || !biases.is_empty();
            match tensors.find(&name(theirs), &[rows])? {
                Some(bias) => biases.push((ours, bias)),
                None if needed => return Err(PlanError::MissingTensor(name(theirs))),
                None => {}
            }
        }
        let mut head_norms = Vec::new();
        if self.architecture == Architecture::Qwen3 {
            head_norms.push(("q_norm", tensors.need(&name("attn_q_norm.weight"), &[self.head_dim])?));
            head_norms.push(("k_norm", tensors.need(&name("attn_k_norm.weight"), &[self.head_dim])?));
        }
        Ok(LayerPlan {
            attn_norm: tensors.need(&name("attn_norm.weight"), &[hidden])?,
            ffn_norm: tensors.need(&name("ffn_norm.weight"), &[hidden])?,
            weights,
            biases,
            head_norms,
        })
    }
}

fn head_dim(keys: &Keys<'_, '_>, hidden: usize, heads: usize, kv_heads: usize) -> Result<usize, PlanError> {
    let wrong = |suffix: &str, found: usize, wanted: String| {
        Err(PlanError::Number { key: keys.key(suffix), found: found.to_string(), wanted })
    };
    if !heads.is_multiple_of(kv_heads) {
        let wanted = format!("it must divide the {heads} heads of attention.head_count");
        return wrong("attention.head_count_kv", kv_heads, wanted);
    }
    let head_dim = match keys.optional_size("attention.key_length", limits::MAX_SIZE)? {
        Some(length) => length,
        None if hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            return wrong("attention.head_count", heads, format!("it must divide the hidden size {hidden}"));
        }
    };
    let (step, most) = (limits::HEAD_DIM_STEP, limits::MAX_HEAD_DIM);
    if !head_dim.is_multiple_of(step) || head_dim > most {
        let detail = format!("only multiples of {step} up to {most} are computed");
        return Err(PlanError::Unsupported { what: format!("a head size of {head_dim}"), detail });
    }
    if heads * head_dim > limits::MAX_SIZE {
        let detail = format!("together they have more than {} channels", limits::MAX_SIZE);
        return Err(PlanError::Unsupported { what: format!("{heads} heads of {head_dim}"), detail });
    }
    // Values and rope may in principle have widths of their own; no model of these architectures uses that.
    for suffix in ["attention.value_length", "rope.dimension_count"] {
        if let Some(found) = keys.optional_size(suffix, limits::MAX_SIZE)?.filter(|&found| found != head_dim)
        {
            let detail = format!("it is {found}, but only the head size {head_dim} is computed");
            return Err(PlanError::Unsupported { what: format!("{:?}", keys.key(suffix)), detail });
        }
    }
    Ok(head_dim)
}

/// Refuses norms and rope whose numbers the card would not take. The card keeps the epsilon as f32.
fn check_norm_and_rope(keys: &Keys<'_, '_>, rms_eps: f64, rope_theta: f64) -> Result<(), PlanError> {
    let unsupported = |suffix: &str, detail: String| {
        Err(PlanError::Unsupported { what: format!("{:?}", keys.key(suffix)), detail })
    };
    #[expect(clippy::cast_possible_truncation, reason = "the card's own rounding is what is checked")]
    let rounded = rms_eps as f32;
    if rounded >= limits::RMS_EPS_BOUND {
        let detail = format!("it is {rms_eps}, it must be below {}", limits::RMS_EPS_BOUND);
        return unsupported("attention.layer_norm_rms_epsilon", detail);
    }
    if rope_theta < limits::MIN_ROPE_THETA {
        let detail = format!("it is {rope_theta}, it must be at least {}", limits::MIN_ROPE_THETA);
        return unsupported("rope.freq_base", detail);
    }
    Ok(())
}

fn choose_context(keys: &Keys<'_, '_>, asked: Option<usize>, trained: usize) -> Result<usize, PlanError> {
    let context = asked.unwrap_or(trained.min(DEFAULT_CONTEXT));
    if context == 0 || context > trained {
        return Err(PlanError::Context { asked: context, trained });
    }
    if context > limits::MAX_SIZE {
        let detail = format!("at most {0} tokens are computed; give --context {0} or less", limits::MAX_SIZE);
        return Err(PlanError::Unsupported { what: format!("a context of {context}"), detail });
    }
    // Within one window, sliding attention is full attention. 0 stands for no window.
    match keys.header.optional_u64(&keys.key("attention.sliding_window"))? {
        Some(window) if window != 0 && window < context as u64 => Err(PlanError::Unsupported {
            what: format!("{:?}", keys.key("attention.sliding_window")),
            detail: format!(
                "it is {window}, less than the context of {context}; give --context {window} or less"
            ),
        }),
        _ => Ok(context),
    }
}

/// The factor of linear rope scaling; everything beyond linear is refused.
fn rope_scale(keys: &Keys<'_, '_>) -> Result<Option<f64>, PlanError> {
    let key = keys.key("rope.scaling.type");
    let kind = keys.header.optional_str(&key)?;
    let factor = match keys.positive("rope.scaling.factor", 1e6)? {
        Some(factor) => Some(factor),
        None => keys.positive("rope.scale_linear", 1e6)?,
    };
    match kind {
        None | Some("linear") => Ok(factor),
        Some("none") => Ok(None),
        Some(other) => Err(PlanError::Unsupported {
            what: format!("{key:?}"),
            detail: format!(
                "it is {other:?}; supported are none, linear, and Llama 3's factors in rope_freqs.weight"
            ),
        }),
    }
}

fn refuse_what_is_not_computed(header: &Header<'_>, prefix: &str) -> Result<(), PlanError> {
    let unsupported = |what: &str, detail: &str| {
        Err(PlanError::Unsupported { what: format!("{what:?}"), detail: detail.to_owned() })
    };
    if let Some(kind) = header.optional_str("general.type")?.filter(|kind| *kind != "model") {
        return unsupported("general.type", &format!("it is {kind:?}, only whole models can be imported"));
    }
    if header.optional_u64("split.count")?.is_some_and(|count| count > 1) {
        return unsupported(
            "split.count",
            "the model is split over several files; join them with llama-gguf-split --merge",
        );
    }
    if header.optional_u64(&format!("{prefix}.expert_count"))?.is_some_and(|count| count > 0) {
        return unsupported(
            &format!("{prefix}.expert_count"),
            "mixtures of experts are not computed, only dense models",
        );
    }
    for suffix in [
        "attention.scale",
        "attention.clamp_kqv",
        "attention.max_alibi_bias",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "logit_scale",
        "embedding_scale",
        "residual_scale",
    ] {
        let key = format!("{prefix}.{suffix}");
        // 0 stands for "not set", and multiplying by 1 changes nothing; attention.scale replaces a factor instead.
        let neutral_values: &[f64] = if suffix.ends_with("_scale") { &[0.0, 1.0] } else { &[0.0] };
        let neutral = |value: &Value<'_>| matches!(value, Value::Float(v) if neutral_values.contains(v));
        if header.metadata().get(key.as_str()).is_some_and(|value| !neutral(value)) {
            return unsupported(&key, "the model needs a step that is not computed");
        }
    }
    Ok(())
}
