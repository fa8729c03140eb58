//! Windows of attention: which models have one, by their settings and by the descriptions that their makers publish.

use serde_json::{Map, Value};

use super::settings::{SettingsError, is_on, shorten};

/// Kinds of layers: with full attention, and with attention to a window.
pub(super) const FULL: &str = "full_attention";
pub(super) const SLIDING: &str = "sliding_attention";

/// A window of attention: a token sees so many tokens before it and no more. Layers are computed with full attention,
/// which is the same as long as the context is no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The key that names it.
    key: &'static str,
    /// Its value, shortened.
    found: String,
    /// Its width; `None` if the keys name a window and not how wide it is.
    pub tokens: Option<usize>,
}

impl Window {
    /// The window of one object of a model's settings or description.
    ///
    /// Descriptions of Gemma 2, Gemma 3 and Phi-3 have a `sliding_window` and nothing that switches it on; those of
    /// Qwen2 and Qwen3 have `use_sliding_window: false` beside it. Newer ones name the kind of every layer, older ones
    /// of Gemma 3 every how many layers one has no window (fact: configurations of Hugging Face's `transformers`).
    pub(super) fn of(keys: &Map<String, Value>) -> Option<Self> {
        let is_sliding = |kind: &&Value| kind.as_str() == Some(SLIDING);
        let sliding = layer_types(keys).iter().find(is_sliding);
        let switch = keys.get("use_sliding_window").filter(|on| !on.is_null());
        let is_unused = switch.is_some_and(|on| !is_on(Some(on)));
        if is_unused && sliding.is_none() {
            return None;
        }
        let named = |key: &'static str| Some((key, keys.get(key).filter(|value| is_on(Some(value)))?));
        if let Some((key, value)) = named("sliding_window") {
            let tokens = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
            let tokens = tokens.and_then(|tokens| usize::try_from(tokens).ok());
            return Some(Self { key, found: shorten(value), tokens });
        }
        let pattern = ["sliding_window_pattern", "_sliding_window_pattern"].into_iter().find_map(named);
        // Every layer is one without a window.
        let pattern = pattern.filter(|(_, value)| value.as_u64() != Some(1));
        let (key, value) = sliding.map(|kind| ("layer_types", kind)).or(pattern)?;
        Some(Self { key, found: shorten(value), tokens: None })
    }

    /// Refuses a window that a context of so many tokens does not fit in.
    pub fn check(&self, context: usize) -> Result<(), SettingsError> {
        if self.tokens.is_some_and(|tokens| tokens >= context) {
            return Ok(());
        }
        Err(SettingsError::Unsupported {
            what: "a sliding window",
            key: self.key.to_owned(),
            found: self.found.clone(),
            reason: format!(
                "the package is made for a context of {context} tokens, and past the window a token would attend to \
                 more than the model was trained for"
            ),
        })
    }
}

/// The kinds of the layers, where the keys tell them.
pub(super) fn layer_types(keys: &Map<String, Value>) -> &[Value] {
    keys.get("layer_types").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::settings::check_supported;
    use super::*;

    /// The narrowest window of a description, as the makers publish it.
    fn window(description: &Value) -> Option<Window> {
        check_supported(description.as_object().unwrap()).unwrap()
    }

    #[test]
    fn windows_are_found_in_real_descriptions() {
        let gemma2 = json!({
            "architectures": ["Gemma2ForCausalLM"], "attn_logit_softcapping": 50.0, "cache_implementation": "hybrid",
            "final_logit_softcapping": 30.0, "hidden_size": 2304, "max_position_embeddings": 8192, "model_type": "gemma2",
            "num_hidden_layers": 26, "query_pre_attn_scalar": 256, "sliding_window": 4096
        });
        let gemma3 = json!({
            "architectures": ["Gemma3ForCausalLM"], "cache_implementation": "hybrid", "max_position_embeddings": 32768,
            "model_type": "gemma3_text", "num_hidden_layers": 26, "sliding_window": 512, "sliding_window_pattern": 6
        });
        let gemma3_with_pictures = json!({
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": {
                "hidden_size": 2560, "model_type": "gemma3_text", "num_hidden_layers": 34, "sliding_window": 1024
            }, "vision_config": {"model_type": "siglip_vision_model"}
        });
        let gemma3_by_layers = json!({
            "model_type": "gemma3_text", "_sliding_window_pattern": 6, "sliding_window": 512, "use_bidirectional_attention": false,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]
        });
        let phi3 = json!({
            "architectures": ["Phi3ForCausalLM"], "max_position_embeddings": 4096, "model_type": "phi3",
            "original_max_position_embeddings": 4096, "rope_scaling": null, "sliding_window": 2047
        });
        let mistral = json!({
            "architectures": ["MistralForCausalLM"], "max_position_embeddings": 32768, "model_type": "mistral",
            "sliding_window": 4096
        });
        for (description, tokens) in [
            (gemma2, 4096),
            (gemma3, 512),
            (gemma3_with_pictures, 1024),
            (gemma3_by_layers, 512),
            (phi3, 2047),
            (mistral, 4096),
        ] {
            let found = window(&description).unwrap();
            assert_eq!(found.tokens, Some(tokens), "{description}");
            // Up to its width it makes no difference.
            assert_eq!(found.check(tokens), Ok(()));
            let error = found.check(tokens + 1).unwrap_err().to_string();
            assert!(error.contains(&format!("sliding_window = {tokens}")), "{error}");
            assert!(error.contains("not supported"), "{error}");
        }
    }

    #[test]
    fn windows_that_are_not_used_do_not_count() {
        for description in [
            json!({
                "architectures": ["Qwen2ForCausalLM"], "max_position_embeddings": 32768, "max_window_layers": 28,
                "model_type": "qwen2", "sliding_window": 32768, "use_sliding_window": false
            }),
            json!({
                "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960, "max_window_layers": 36,
                "model_type": "qwen3", "sliding_window": null, "use_sliding_window": false
            }),
            json!({
                "model_type": "qwen3", "layer_types": ["full_attention", "full_attention"], "max_window_layers": 28,
                "sliding_window": null, "use_sliding_window": false
            }),
            // Mistral since 0.2.
            json!({"model_type": "mistral", "max_position_embeddings": 32768, "sliding_window": null}),
            json!({"model_type": "gemma3_text", "sliding_window_pattern": 1}),
            json!({"model_type": "llama"}),
        ] {
            assert_eq!(window(&description), None, "{description}");
        }
        assert_eq!(window(&json!({"sliding_window": 0})), None);
        // A flag of a script.
        assert_eq!(window(&json!({"sliding_window": "512"})).unwrap().tokens, Some(512));
    }

    #[test]
    fn a_window_without_a_width_is_never_wide_enough() {
        for description in [
            json!({"model_type": "gemma3_text", "sliding_window_pattern": 6}),
            json!({"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": false}),
            json!({"sliding_window": 4096, "text_config": {"sliding_window": true}}),
        ] {
            assert!(window(&description).unwrap().check(1).is_err(), "{description}");
        }
    }
}
