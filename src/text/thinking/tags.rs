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
    /// Returns the tags that a template mentions outside of its comments.
    pub fn in_template(source: &str) -> Option<&'static Self> {
        let text = without_comments(source);
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

/// A template in Jinja or Go without its comments.
pub(crate) fn without_comments(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for (index, part) in source.split("{#").enumerate() {
        let kept = if index == 0 { part } else { part.split_once("#}").map_or("", |(_, rest)| rest) };
        text.push_str(kept);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_outside_of_comments() {
        let open = |source: &str| ThinkingTags::in_template(source).map(|tags| tags.open);
        assert_eq!(open("{{ x.split('</think>')[-1] }}"), Some("<think>"));
        assert_eq!(open("{#- <think> -#}{{ '[THINK]' }}"), Some("[THINK]"));
        assert_eq!(open("a {# <think> #} b"), None);
        assert_eq!(open("{{ '<seed:think>' }}"), Some("<seed:think>"));
        assert_eq!(open("{# <think>"), None);
        assert_eq!(ThinkingTags::usual().close, "</think>");
    }
}
