//! Splits an answer into what the model thinks aloud and what it says.
//!
//! Thinking families put their thoughts between two tags, mostly `<think>` and `</think>`, at the beginning of an
//! answer. The rules are Ollama's: the opening tag counts only before any other text, for afterwards it is something
//! the model talks about; white space before it, and at the start of either part, is dropped; a prompt that ends with
//! the opening tag makes the answer begin inside the thoughts. A closing tag before any other text ends thoughts that
//! were never written, as when the prompt told the model not to think and it closes them once more.

mod limit;
mod tags;

use super::{TextModel, Thoughts, TokenId};

pub use self::limit::ThoughtLimit;
pub use self::tags::ThinkingTags;

/// Tokens at the end of a prompt that are looked at for the opening tag: more than the tag and the white space after it
/// can be cut into.
const PROMPT_TAIL: usize = 16;

/// Splits one answer that arrives in pieces. What comes out does not depend on where the pieces were cut.
#[derive(Debug, Clone)]
pub struct ThinkingSplitter {
    tags: &'static ThinkingTags,
    place: Place,
    /// Text that cannot be assigned yet: white space that may go, or what may become a tag.
    held: String,
}

/// What a piece of an answer adds to the two parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// What the model thinks.
    pub thinking: String,
    /// What the model says.
    pub content: String,
}

/// Where in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before any text.
    Beginning,
    /// Between the tags; `begun` once something other than white space came.
    Thoughts { begun: bool },
    /// After the thoughts, with nothing but white space so far.
    Between,
    /// In the part that is meant for the reader.
    Content,
}

impl ThinkingSplitter {
    /// Returns a splitter for the answer to `prompt`.
    pub fn after(prompt: &[TokenId], text: &TextModel) -> Self {
        let tail = &prompt[prompt.len().saturating_sub(PROMPT_TAIL)..];
        let tags = text.thinking_tags().unwrap_or(ThinkingTags::usual());
        // A cut through a character at the start of the tail does not matter: only its end is looked at.
        let inside = text.spell_out(tail).is_ok_and(|tail| tail.trim_end().ends_with(tags.open));
        Self::new(tags, inside)
    }

    /// Returns a splitter; `inside` if the opening tag was the end of the prompt.
    pub fn new(tags: &'static ThinkingTags, inside: bool) -> Self {
        let place = if inside { Place::Thoughts { begun: false } } else { Place::Beginning };
        Self { tags, place, held: String::new() }
    }

    /// Returns whether the text so far ends within the thoughts.
    pub fn is_inside(&self) -> bool {
        matches!(self.place, Place::Thoughts { .. })
    }

    /// Returns what a grammar has to know of the thoughts before the part that it rules. Call it before any text came.
    pub fn thoughts(&self) -> Thoughts<'static> {
        Thoughts { open: self.tags.open, close: self.tags.close, begun: self.is_inside() }
    }

    /// Takes the next piece and returns what of all text so far can be assigned.
    pub fn push(&mut self, piece: &str) -> Parts {
        self.held.push_str(piece);
        let mut parts = Parts::default();
        while self.step(&mut parts) {}
        parts
    }

    /// Returns what was held back, once the answer is over.
    pub fn finish(&mut self) -> Parts {
        let rest = std::mem::take(&mut self.held);
        match self.place {
            Place::Thoughts { .. } => Parts { thinking: rest, content: String::new() },
            Place::Beginning | Place::Between | Place::Content => {
                Parts { thinking: String::new(), content: rest }
            }
        }
    }

    /// Moves to the next place if the held text reaches it; `false` when more text is needed.
    fn step(&mut self, parts: &mut Parts) -> bool {
        let ThinkingTags { open, close } = *self.tags;
        match self.place {
            Place::Beginning => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(open) {
                    self.held = rest.to_owned();
                    self.place = Place::Thoughts { begun: false };
                } else if let Some(rest) = text.strip_prefix(close) {
                    self.held = rest.to_owned();
                    self.place = Place::Between;
                } else if open.starts_with(text) || close.starts_with(text) {
                    return false;
                } else {
                    self.place = Place::Content;
                }
                true
            }
            Place::Thoughts { begun } => {
                if !begun {
                    self.held = self.held.trim_start().to_owned();
                    self.place = Place::Thoughts { begun: !self.held.is_empty() };
                }
                if let Some(at) = self.held.find(close) {
                    parts.thinking.push_str(&self.held[..at]);
                    self.held.drain(..at + close.len());
                    self.place = Place::Between;
                    return true;
                }
                let tail = self.held.split_off(self.held.len() - beginning_of(close, &self.held));
                parts.thinking.push_str(&std::mem::replace(&mut self.held, tail));
                false
            }
            Place::Between => {
                self.held = self.held.trim_start().to_owned();
                let begun = !self.held.is_empty();
                if begun {
                    self.place = Place::Content;
                }
                begun
            }
            Place::Content => {
                parts.content.push_str(&std::mem::take(&mut self.held));
                false
            }
        }
    }
}

/// Bytes at the end of `text` that may be the beginning of `tag`.
fn beginning_of(tag: &str, text: &str) -> usize {
    let is_beginning = |length: &usize| tag.is_char_boundary(*length) && text.ends_with(&tag[..*length]);
    (1..tag.len()).rev().find(is_beginning).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(inside: bool, pieces: &[&str]) -> (String, String) {
        let mut splitter = ThinkingSplitter::new(ThinkingTags::usual(), inside);
        let mut whole = Parts::default();
        let mut add = |parts: Parts| {
            whole.thinking.push_str(&parts.thinking);
            whole.content.push_str(&parts.content);
        };
        for piece in pieces {
            add(splitter.push(piece));
        }
        add(splitter.finish());
        (whole.thinking, whole.content)
    }

    #[test]
    fn thoughts_and_answer() {
        for (inside, text, thinking, content) in [
            (false, "<think>\nhm\n</think>\n\nYes. ", "hm\n", "Yes. "),
            (false, " \n <think> a </think>b", "a ", "b"),
            (true, "\nhm</think> Yes", "hm", "Yes"),
            (true, "never closed", "never closed", ""),
            (true, "cut </thi", "cut </thi", ""),
            (false, "<think></think>", "", ""),
            (false, "<think>\n\n</think>\n\nYes", "", "Yes"),
            (false, "</think>\n\nYes", "", "Yes"),
            (false, " plain", "", " plain"),
            (false, "a <think>b</think>", "", "a <think>b</think>"),
            (false, "<think>a</think>b</think><think>c", "a", "b</think><think>c"),
            (false, "<thin", "", "<thin"),
            (false, "<table>", "", "<table>"),
            (false, "  ", "", "  "),
            (false, "", "", ""),
        ] {
            assert_eq!(run(inside, &[text]), (thinking.to_owned(), content.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn nothing_waits_without_need() {
        let mut splitter = ThinkingSplitter::new(ThinkingTags::usual(), true);
        assert_eq!(splitter.push("a <b").thinking, "a <b");
        assert_eq!(splitter.push(" </th").thinking, " ");
        assert_eq!(splitter.push("e").thinking, "</the");
        assert_eq!(splitter.push("</think>  x"), Parts { thinking: String::new(), content: "x".into() });
        assert_eq!(splitter.push(" <").content, " <");
    }

    #[test]
    fn tags_of_several_bytes_a_character() {
        let tags = ThinkingTags::in_text("◁think▷").unwrap();
        let mut splitter = ThinkingSplitter::new(tags, false);
        assert_eq!(splitter.push("◁thi"), Parts::default());
        assert!(!splitter.is_inside());
        assert_eq!(splitter.push("nk▷ so◁").thinking, "so");
        assert!(splitter.is_inside());
        assert_eq!(splitter.push("/think▷</think>").content, "</think>");
        assert!(!splitter.is_inside());
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_parts(
            words in prop::collection::vec(
                prop::sample::select(vec!["<think>", "</think>", "<", "</", "think>", " ", "\n", "a", "é🙂"]), 0..12,
            ),
            cuts in prop::collection::vec(any::<bool>(), 100),
            inside in any::<bool>(),
        ) {
            let text = words.concat();
            let mut pieces = Vec::new();
            let mut start = 0;
            for ((at, _), cut) in text.char_indices().skip(1).zip(cuts) {
                if cut {
                    pieces.push(&text[start..at]);
                    start = at;
                }
            }
            pieces.push(&text[start..]);
            prop_assert_eq!(run(inside, &pieces), run(inside, &[&text]));
        }
    }
}
