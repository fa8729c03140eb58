//! Filling a gap: the tokens by which models of code are told what stands before it and after it.
//!
//! Such a model is trained on files whose middle was moved to the end, each part behind a token of its own. Which
//! tokens is a matter of the vocabulary and not of the chat template; a template in the language of Go may have a place
//! for the suffix all the same, and then that counts.

/// How one family marks the parts. (Facts: the makers' model cards.)
#[derive(Debug, PartialEq, Eq)]
pub struct FillInMiddle {
    before: &'static str,
    after: &'static str,
    middle: &'static str,
}

const FAMILIES: &[FillInMiddle] = &[
    // Qwen2.5-Coder, CodeGemma.
    FillInMiddle { before: "<|fim_prefix|>", after: "<|fim_suffix|>", middle: "<|fim_middle|>" },
    // StarCoder, Granite Code, SmolLM's relatives trained on code.
    FillInMiddle { before: "<fim_prefix>", after: "<fim_suffix>", middle: "<fim_middle>" },
    FillInMiddle { before: "<｜fim▁begin｜>", after: "<｜fim▁hole｜>", middle: "<｜fim▁end｜>" },
];

impl FillInMiddle {
    /// The marks that a vocabulary has.
    pub fn of_vocabulary(has: impl Fn(&str) -> bool) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| [family.middle, family.before, family.after].into_iter().all(&has))
    }

    /// The marks that the vocabulary of a `tokenizer.json` has, without taking it apart.
    pub fn of_tokenizer_file(json: &str) -> Option<&'static Self> {
        Self::of_vocabulary(|mark| json.contains(&format!("\"{mark}\"")))
    }

    /// The prompt for what stands between `prompt` and `suffix`.
    pub fn render(&self, prompt: &str, suffix: &str) -> String {
        [self.before, prompt, self.after, suffix, self.middle].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_marks_are_needed() {
        let family = FillInMiddle::of_vocabulary(|mark| mark.starts_with("<|fim_")).unwrap();
        assert_eq!(family.render("a(", ")\n"), "<|fim_prefix|>a(<|fim_suffix|>)\n<|fim_middle|>");
        assert_eq!(FillInMiddle::of_vocabulary(|mark| mark == "<|fim_middle|>"), None);
        let file = r#"{"added_tokens":[{"content":"<fim_prefix>"},{"content":"<fim_middle>"},{"content":"<fim_suffix>"}]}"#;
        assert!(FillInMiddle::of_tokenizer_file(file).is_some());
        assert_eq!(
            FillInMiddle::of_tokenizer_file(r#"{"added_tokens":[{"content":"<fim_prefix> "}]}"#),
            None
        );
    }
}
