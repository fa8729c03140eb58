//! The vendor's tokenizer file, read without trust: counts are compared with what is there before anything is sized by
//! them.
//!
//! Lines (facts: the vendor's converter and real files): `430 KIND`; three counts; as many numbers, of special tokens,
//! of tokens that end an answer, of tokens before every text; the number of tokens (for kind 3 also of merges, and in
//! newer files a number for the pre-tokenizer); the tokens; the merges.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// First number of the file.
const MAGIC: &str = "430";
/// Longest file that is read, in bytes; the longest known has 5 MB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// More tokens than any vocabulary has.
const MAX_TOKENS: usize = 1 << 22;
/// Marks a token that is written in base64 because of blanks in it.
const BASE64: &str = "base64";
const ENCODED: &str = "b64:";

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct VocabFile {
    /// Tokens that are no ordinary text. All numbers are below the number of tokens.
    pub specials: Vec<u32>,
    /// Tokens that end an answer.
    pub stops: Vec<u32>,
    /// Tokens before every text.
    pub prefix: Vec<u32>,
    /// The vocabulary.
    pub kind: Kind,
}

/// The vocabulary, by its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Type 0: pieces with score and type.
    SentencePiece {
        /// Number of pieces.
        tokens: usize,
    },
    /// Type 1: tokens as bytes; their number is their rank.
    Tiktoken {
        /// The bytes of every token.
        tokens: Vec<Vec<u8>>,
    },
    /// Type 2: words and parts of words.
    Bert,
    /// Type 3: byte-level tokens as text, and merges.
    HuggingFace {
        /// The text of every token, in the byte alphabet.
        tokens: Vec<String>,
        /// Merges, most important first, each `left right`.
        merges: Vec<String>,
        /// How text is cut: 0 not said, 1 Qwen3.5, 2 Qwen2, 3 GLM and Llama 3, 4 o200k.
        pre_tokenizer: u32,
    },
}

/// Why a file cannot be read. The text does not name the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VocabFileError {
    /// Nothing in it.
    #[error("is empty (0 bytes); download it again")]
    Empty,
    /// A git-lfs pointer instead of the file.
    #[error("is a git-lfs pointer and not the file itself; run `git lfs pull` in the directory")]
    LfsPointer,
    /// Does not begin as such a file does.
    #[error("is not a tokenizer file of the vendor: it does not begin with {MAGIC} and a kind from 0 to 3")]
    Magic,
    /// A line is missing or is not what it should be.
    #[error("is damaged in line {line}: {reason}; download it again")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads the bytes of a file.
pub fn parse(bytes: &[u8]) -> Result<VocabFile, VocabFileError> {
    if bytes.trim_ascii().is_empty() {
        return Err(VocabFileError::Empty);
    }
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(VocabFileError::LfsPointer);
    }
    let mut lines = Lines { rest: bytes, number: 0 };
    let first = lines.next_text().map_err(|_| VocabFileError::Magic)?;
    let mut words = first.split_ascii_whitespace();
    let (Some(MAGIC), Some(kind @ ("0" | "1" | "2" | "3"))) = (words.next(), words.next()) else {
        return Err(VocabFileError::Magic);
    };
    let [specials, stops, prefix] = lines.counts()?;
    let ids = lines.numbers()?;
    let wanted = specials.saturating_add(stops).saturating_add(prefix);
    if ids.len() != wanted {
        return Err(
            lines.wrong(format!("{} special tokens where the line before counts {wanted}", ids.len()))
        );
    }
    let (kind, tokens) = match kind {
        "0" => lines.sentence_piece()?,
        "1" => lines.tiktoken()?,
        "2" => (Kind::Bert, lines.token_count()?[0]),
        _ => lines.hugging_face()?,
    };
    if let Some(id) = ids.iter().find(|id| **id as usize >= tokens) {
        return Err(VocabFileError::Line { line: 3, reason: format!("token {id} of {tokens}") });
    }
    let (specials, rest) = ids.split_at(specials);
    let (stops, prefix) = rest.split_at(stops);
    Ok(VocabFile { specials: specials.into(), stops: stops.into(), prefix: prefix.into(), kind })
}

struct Lines<'a> {
    rest: &'a [u8],
    /// Of the line that was read last.
    number: usize,
}

impl<'a> Lines<'a> {
    fn wrong(&self, reason: impl Into<String>) -> VocabFileError {
        VocabFileError::Line { line: self.number, reason: reason.into() }
    }

    /// The next line without its end; `None` at the end of the file.
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line)
    }

    fn next_text(&mut self) -> Result<&'a str, VocabFileError> {
        let Some(line) = self.next() else {
            return Err(VocabFileError::Line {
                line: self.number + 1,
                reason: "the file ends before it".into(),
            });
        };
        std::str::from_utf8(line).map_err(|_| self.wrong("it is not text"))
    }

    /// All numbers of the next line.
    fn numbers(&mut self) -> Result<Vec<u32>, VocabFileError> {
        let text = self.next_text()?;
        let words = text.split_ascii_whitespace();
        words.map(|word| word.parse().map_err(|_| self.wrong(format!("{word:?} is no number")))).collect()
    }

    fn counts(&mut self) -> Result<[usize; 3], VocabFileError> {
        match self.numbers()?[..] {
            [specials, stops, prefix] => Ok([specials as usize, stops as usize, prefix as usize]),
            _ => Err(self.wrong("three counts are needed")),
        }
    }

    /// Number of tokens, and what stands behind it. Each token takes a line, so there cannot be more than bytes.
    fn token_count(&mut self) -> Result<Vec<usize>, VocabFileError> {
        let counts: Vec<usize> = self.numbers()?.into_iter().map(|count| count as usize).collect();
        match counts.first() {
            None => Err(self.wrong("the number of tokens is missing")),
            Some(&tokens) if tokens == 0 || tokens > MAX_TOKENS.min(self.rest.len()) => {
                Err(self.wrong(format!("{tokens} tokens cannot be in what follows")))
            }
            Some(_) => Ok(counts),
        }
    }

    /// The last line may be missing: the converter counts one piece of Gemma 3 too many.
    fn sentence_piece(&mut self) -> Result<(Kind, usize), VocabFileError> {
        let tokens = self.token_count()?[0];
        for index in 0..tokens {
            if self.rest.is_empty() && index + 1 == tokens {
                break;
            }
            let fields = self.next_text()?.split_ascii_whitespace().count();
            // The piece of an empty text is written as nothing.
            if !(2..=3).contains(&fields) {
                return Err(self.wrong("a piece, a score and a type are needed"));
            }
        }
        Ok((Kind::SentencePiece { tokens }, tokens))
    }

    fn tiktoken(&mut self) -> Result<(Kind, usize), VocabFileError> {
        let count = self.token_count()?[0];
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let text = self.next_text()?.trim_ascii();
            tokens.push(STANDARD.decode(text).map_err(|_| self.wrong(format!("it is no {BASE64}")))?);
        }
        Ok((Kind::Tiktoken { tokens }, count))
    }

    fn hugging_face(&mut self) -> Result<(Kind, usize), VocabFileError> {
        let counts = self.token_count()?;
        let (count, pre_tokenizer) = (counts[0], counts.get(2).copied().unwrap_or(0));
        let Some(&merge_count) = counts.get(1).filter(|merges| **merges <= self.rest.len()) else {
            return Err(self.wrong("the number of merges is missing, or more than the file can hold"));
        };
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let text = self.next_text()?;
            tokens.push(self.decoded(text)?);
        }
        let mut merges = Vec::with_capacity(merge_count);
        for index in 0..merge_count {
            let text = self.next_text()?.trim_end_matches('\r');
            // Copied from merges.txt with its first line, and with an empty last one.
            if (index == 0 && text.starts_with("#version")) || (text.is_empty() && index + 1 == merge_count) {
                continue;
            }
            let Some((left, right)) = text.split_once(' ') else {
                return Err(self.wrong("two parts of a merge are needed"));
            };
            merges.push(format!("{} {}", self.decoded(left)?, self.decoded(right)?));
        }
        let pre_tokenizer = u32::try_from(pre_tokenizer).unwrap_or(u32::MAX);
        Ok((Kind::HuggingFace { tokens, merges, pre_tokenizer }, count))
    }

    fn decoded(&self, text: &str) -> Result<String, VocabFileError> {
        let Some(encoded) = text.strip_prefix(ENCODED) else { return Ok(text.to_owned()) };
        let bytes = STANDARD.decode(encoded).map_err(|_| self.wrong(format!("it is no {BASE64}")))?;
        String::from_utf8(bytes).map_err(|_| self.wrong("it is not text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_byte_level_kinds() {
        let text = "430 3\n2 1 0\n3 4 4 \n5 3\na\nb\nab\n<|x|>\nb64:PHwgfD4=\n#version: 0.2\na b\nb64:YQ== b64:Yg==\n";
        let file = parse(text.as_bytes()).unwrap();
        assert_eq!((file.specials, file.stops, file.prefix), (vec![3, 4], vec![4], vec![]));
        let Kind::HuggingFace { tokens, merges, pre_tokenizer } = file.kind else { panic!() };
        assert_eq!(tokens, ["a", "b", "ab", "<|x|>", "<| |>"]);
        assert_eq!((merges, pre_tokenizer), (vec!["a b".to_owned(), "a b".to_owned()], 0));
        let file = parse(b"430 1\n0 0 1\n1 \n2\n/w==\nYQ==").unwrap();
        assert_eq!(file.prefix, [1]);
        assert_eq!(file.kind, Kind::Tiktoken { tokens: vec![vec![0xff], b"a".to_vec()] });
        let file = parse(b"430 3\n0 0 0\n\n2 0 4\na\nb\n").unwrap();
        assert!(matches!(file.kind, Kind::HuggingFace { pre_tokenizer: 4, .. }));
    }

    #[test]
    fn every_lie_is_found_and_named() {
        for (text, part) in [
            ("", "empty"),
            ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            ("431 3\n", "430"),
            ("430 7\n", "430"),
            ("430 3", "line 2"),
            ("430 3\n1 2\n", "three counts"),
            ("430 3\n4294967295 4294967295 1\n1\n", "counts"),
            ("430 3\n1 0 0\nx\n", "\"x\""),
            ("430 3\n0 0 0\n\n4000000 0\na\n", "4000000 tokens"),
            ("430 3\n0 0 0\n\n1 99\na\n", "merges"),
            ("430 3\n0 0 0\n\n2 1\na\nb\nab\n", "line 7"),
            ("430 3\n1 0 0\n9\n1 0\na\n", "token 9 of 1"),
            ("430 1\n0 0 0\n\n2\nYQ==\n", "line 6"),
            ("430 1\n0 0 0\n\n1\n?\n", "base64"),
            ("430 0\n0 0 0\n\n2\nYQ== 0 1\nx\n", "line 6"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        assert!(matches!(parse(b"430 0\n0 0 0\n\n2\nYQ== -1 1\n").unwrap().kind, Kind::SentencePiece { .. }));
    }
}
