//! Tags between which families of models think.

/// The two tags of a family.
#[derive(Debug, PartialEq, Eq)]
pub struct ThinkingTags {
    /// Begins the thoughts.
    pub open: &'static str,
    /// Ends them.
    pub close: &'static str,
}

/// The first whose tags a template mentions counts; the first of all is the one of a template that mentions none.
static TAGS: &[ThinkingTags] = &[
    // Qwen3, DeepSeek-R1, SmolLM3, Granite 3.3, MiniCPM 4.1, MiMo and many more.
    ThinkingTags { open: "<think>", close: "</think>" },
    // Seed-OSS.
    ThinkingTags { open: "<seed:think>", close: "</seed:think>" },
    // Magistral, Ministral 3.
    ThinkingTags { open: "[THINK]", close: "[/THINK]" },
    // EXAONE Deep.
    ThinkingTags { open: "<thought>", close: "</thought>" },
    // Kimi-VL-Thinking.
    ThinkingTags { open: "◁think▷", close: "◁/think▷" },
    // Command R with thoughts.
    ThinkingTags { open: "<|START_THINKING|>", close: "<|END_THINKING|>" },
];

impl ThinkingTags {
    /// Returns the tags that a text mentions: a template without its comments.
    pub fn in_text(text: &str) -> Option<&'static Self> {
        TAGS.iter().find(|tags| text.contains(tags.open) || text.contains(tags.close))
    }

    /// Returns the tags of all families.
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        TAGS.iter()
    }

    /// Returns the tags that most families have.
    pub fn usual() -> &'static Self {
        &TAGS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_family_counts() {
        let open = |text: &str| ThinkingTags::in_text(text).map(|tags| tags.open);
        assert_eq!(open("{{ x.split('</think>')[-1] }}"), Some("<think>"));
        assert_eq!(open("{{ '[THINK]' }}"), Some("[THINK]"));
        assert_eq!(open("{{ '<seed:think>' }}"), Some("<seed:think>"));
        assert_eq!(open("a b"), None);
        assert_eq!(ThinkingTags::usual().close, "</think>");
    }
}
