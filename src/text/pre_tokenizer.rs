//! How a text is cut into words before merging, by the name in `tokenizer.ggml.pre`.
//!
//! A GGUF file names its pre-tokenizer instead of containing it. The patterns are facts of the vocabularies; the names
//! are those of llama.cpp (`llama-vocab.cpp`). A name that is not here is refused: cut differently, a prompt becomes
//! tokens the model has never seen together, and nothing would say so.

use tokenizers::{
    PreTokenizerWrapper, SplitDelimiterBehavior,
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::TextError;

/// One way of cutting, and the defaults that come with its name.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    names: &'static [&'static str],
    /// Applied one after the other; what a pattern matches and what lies between become pieces of their own.
    patterns: &'static [&'static str],
    /// Whether a word that is a token is taken as it is, without merging.
    pub(crate) ignore_merges: bool,
    /// Whether a text begins with the beginning-of-sequence token if the file does not say.
    pub(crate) adds_bos: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

const KNOWN: &[PreTokenizer] = &[
    plain(&["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat"], &[GPT2]),
    plain(
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
        &[r"\p{N}", GPT2],
    ),
    plain(&["qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "kormo"], &[QWEN2]),
    plain(&["qwen35"], &[QWEN35]),
    plain(&["gpt-4o"], &[O200K]),
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        patterns: &[LLAMA3],
        ignore_merges: true,
        adds_bos: true,
    },
    plain(&["smaug-bpe", "dbrx", "chatglm-bpe", "glm4"], &[LLAMA3]),
    PreTokenizer { names: &["tekken"], patterns: &[TEKKEN], ignore_merges: true, adds_bos: true },
    plain(&["deepseek-coder"], &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\u{d7ff}]+", r"\p{N}"]),
    plain(&["deepseek-v3", "hunyuan-dense"], &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3]),
    plain(&["falcon"], &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"]),
    // What llama.cpp falls back to; some early files say so outright.
    plain(&["default"], &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
];

const fn plain(names: &'static [&'static str], patterns: &'static [&'static str]) -> PreTokenizer {
    PreTokenizer { names, patterns, ignore_merges: false, adds_bos: false }
}

impl PreTokenizer {
    /// Returns the pre-tokenizer of that name; an empty name is "default", as in llama.cpp.
    ///
    /// # Errors
    ///
    /// [`TextError::UnknownPreTokenizer`] if the name is not known.
    pub(crate) fn named(name: &str) -> Result<&'static Self, TextError> {
        let wanted = if name.is_empty() { "default" } else { name };
        KNOWN
            .iter()
            .find(|known| known.names.contains(&wanted))
            .ok_or_else(|| TextError::UnknownPreTokenizer(name.to_owned()))
    }

    /// Returns the cutting followed by the translation to the byte alphabet.
    pub(crate) fn build(&self) -> Result<Sequence, TextError> {
        let mut steps = Vec::with_capacity(self.patterns.len() + 1);
        for pattern in self.patterns {
            let split =
                Split::new(SplitPattern::Regex((*pattern).into()), SplitDelimiterBehavior::Isolated, false)
                    .map_err(|error| TextError::Vocabulary(format!("pattern {pattern}: {error}")))?;
            steps.push(PreTokenizerWrapper::from(split));
        }
        steps.push(ByteLevel::new(false, true, false).into());
        Ok(Sequence::new(steps))
    }
}

/// All known names, for the error message.
pub(crate) fn known_names() -> String {
    let names: Vec<&str> = KNOWN.iter().flat_map(|known| known.names).copied().collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

    use super::*;

    fn cut(name: &str, text: &str) -> Vec<String> {
        let mut pieces = PreTokenizedString::from(text);
        PreTokenizer::named(name).unwrap().build().unwrap().pre_tokenize(&mut pieces).unwrap();
        pieces
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, (start, end), _)| text[start..end].to_owned())
            .collect()
    }

    #[test]
    fn digits_are_cut_as_each_family_does() {
        assert_eq!(cut("gpt-2", "a 1234 b"), ["a", " 1234", " b"]);
        assert_eq!(cut("smollm", "a 1234"), ["a", " ", "1", "2", "3", "4"]);
        assert_eq!(cut("qwen2", "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(cut("llama-bpe", "a 12345"), ["a", " ", "123", "45"]);
        assert_eq!(cut("default", "a1234."), ["a", "123", "4", "."]);
        assert_eq!(cut("deepseek-v3", "x12345中文"), ["x", "123", "45", "中文"]);
    }

    #[test]
    fn contractions_and_spaces() {
        assert_eq!(cut("gpt-2", "I'LL don't"), ["I", "'", "LL", " don", "'t"]);
        assert_eq!(cut("qwen2", "I'LL don't"), ["I", "'LL", " don", "'t"]);
        assert_eq!(cut("qwen2", "a  \n\n  b"), ["a", "  \n\n", " ", " b"]);
        assert_eq!(cut("smollm", "a  \n\n  b"), ["a", "  \n\n ", " b"]);
        assert_eq!(cut("tekken", "HelloWorld"), ["Hello", "World"]);
    }

    #[test]
    fn every_pattern_compiles_and_names_are_unique() {
        let mut names: Vec<&str> = KNOWN.iter().flat_map(|known| known.names).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for known in KNOWN {
            known.build().unwrap();
        }
    }

    #[test]
    fn an_unknown_name_is_refused_by_name() {
        let error = PreTokenizer::named("made-up").unwrap_err().to_string();
        assert!(error.contains("\"made-up\"") && error.contains("smollm"), "{error}");
        assert!(PreTokenizer::named("").is_ok());
    }
}
