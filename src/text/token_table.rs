//! The bytes of every token.
//!
//! A decoder that works on lists of tokens must be run again over the whole answer for each new token, or guess where
//! characters end. With the bytes of each token known once and for all, detokenising is appending. The table is read
//! off the tokenizer's own decoder, whose kinds are few.

use serde_json::Value;
use tokenizers::Tokenizer;

use super::{TextError, TokenId};

/// More tokens than any vocabulary has.
const MAX_TOKENS: TokenId = 1 << 22;

/// Bytes per token, in one arena.
#[derive(Debug)]
pub(crate) struct TokenTable {
    bytes: Vec<u8>,
    /// `ends[id]` is where the bytes of token `id` end; they begin where those of the token before end.
    ends: Vec<usize>,
    /// Whether the decoder drops one space at the very beginning of a text.
    strips_first_space: bool,
}

/// How a decoder turns the text of a token into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoder {
    /// Each character stands for one byte (GPT-2 alphabet).
    ByteLevel,
    /// A mark stands for a space, `<0xNN>` for a byte.
    SentencePiece { space: char, strips_first_space: bool },
}

impl TokenTable {
    /// Reads the table off a tokenizer.
    ///
    /// # Errors
    ///
    /// [`TextError::UnsupportedDecoder`] if its decoder is of a kind that is not known, [`TextError::Vocabulary`] if a
    /// token has an absurd number.
    pub(crate) fn new(tokenizer: &Tokenizer) -> Result<Self, TextError> {
        let decoder = Decoder::of(tokenizer)?;
        let added = tokenizer.get_added_tokens_decoder();
        let vocabulary = tokenizer.get_vocab(true);
        // The table is sized by the highest number, which is whatever the file says.
        if let Some((text, id)) = vocabulary.iter().find(|(_, id)| **id >= MAX_TOKENS) {
            return Err(TextError::Vocabulary(format!(
                "token {text:?} of tokenizer.json has the number {id}; it must be below {MAX_TOKENS}"
            )));
        }
        let count = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
        let mut texts: Vec<&str> = vec![""; count];
        for (text, &id) in &vocabulary {
            texts[id as usize] = text;
        }
        let mut bytes = Vec::with_capacity(count * 8);
        let mut ends = Vec::with_capacity(count);
        for (id, text) in (0..).zip(texts) {
            match added.get(&id) {
                Some(token) if token.special => {}
                Some(token) => bytes.extend_from_slice(token.content.as_bytes()),
                None => decoder.push_bytes(text, &mut bytes),
            }
            ends.push(bytes.len());
        }
        let strips_first_space = matches!(decoder, Decoder::SentencePiece { strips_first_space: true, .. });
        Ok(Self { bytes, ends, strips_first_space })
    }

    /// Returns the bytes of a token: none for special tokens and for rows of the head that no token uses.
    pub(crate) fn bytes(&self, id: TokenId) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..end]
    }

    /// Returns whether one space at the very beginning of a text is dropped.
    pub(crate) fn strips_first_space(&self) -> bool {
        self.strips_first_space
    }

    /// Returns one more than the highest token number.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

impl Decoder {
    fn of(tokenizer: &Tokenizer) -> Result<Self, TextError> {
        let Some(decoder) = tokenizer.get_decoder() else {
            return Err(TextError::UnsupportedDecoder("there is none".into()));
        };
        let json = serde_json::to_value(decoder)
            .map_err(|error| TextError::UnsupportedDecoder(error.to_string()))?;
        match json["type"].as_str() {
            Some("ByteLevel") => Some(Self::ByteLevel),
            Some("Metaspace") => {
                let space = single_char(&json["replacement"]);
                let strips_first_space = json["prepend_scheme"] != "never";
                space.map(|space| Self::SentencePiece { space, strips_first_space })
            }
            Some("Sequence") => Self::of_sequence(&json["decoders"]),
            _ => None,
        }
        .ok_or_else(|| TextError::UnsupportedDecoder(json.to_string()))
    }

    /// The chain that Llama, Mistral and Gemma conversions use; `None` if it has any other step.
    fn of_sequence(steps: &Value) -> Option<Self> {
        let mut space = None;
        let mut strips_first_space = false;
        for step in steps.as_array()? {
            match step["type"].as_str()? {
                "ByteLevel" if steps.as_array()?.len() == 1 => return Some(Self::ByteLevel),
                "Replace" if step["content"] == " " => space = Some(single_char(&step["pattern"]["String"])?),
                "ByteFallback" | "Fuse" => {}
                "Strip" if step["content"] == " " && step["start"] == 1 && step["stop"] == 0 => {
                    strips_first_space = true;
                }
                _ => return None,
            }
        }
        Some(Self::SentencePiece { space: space?, strips_first_space })
    }

    fn push_bytes(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::ByteLevel => {
                let start = out.len();
                for character in text.chars() {
                    let Some(byte) = byte_of_char(character) else {
                        // Not written in the alphabet: the text stands for itself.
                        out.truncate(start);
                        out.extend_from_slice(text.as_bytes());
                        return;
                    };
                    out.push(byte);
                }
            }
            Self::SentencePiece { space, .. } => {
                if let Some(byte) = byte_fallback(text) {
                    out.push(byte);
                } else {
                    let mut buffer = [0; 4];
                    for character in text.chars().map(|c| if c == space { ' ' } else { c }) {
                        out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    }
                }
            }
        }
    }
}

fn single_char(value: &Value) -> Option<char> {
    let mut characters = value.as_str()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// The byte that `<0xNN>` stands for.
fn byte_fallback(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// The byte that a character of the GPT-2 alphabet stands for.
///
/// Bytes that are printable in Latin-1 (except space, no-break space and soft hyphen) stand for themselves; the other
/// 68 are numbered from U+0100 on, in order of their value.
pub(crate) fn byte_of_char(character: char) -> Option<u8> {
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code) {
        return is_printable(byte).then_some(byte);
    }
    // The bytes without a printable form are 0x00-0x20, 0x7f-0xa0 and 0xad.
    match u8::try_from(code - 0x100).ok()? {
        index @ 0..=32 => Some(index),
        index @ 33..=66 => Some(index + (0x7f - 33)),
        67 => Some(0xad),
        _ => None,
    }
}

/// The character of the GPT-2 alphabet that stands for a byte; the reverse of [`byte_of_char`].
pub(crate) fn char_of_byte(byte: u8) -> char {
    let code = match byte {
        0..=32 => 0x100 + u32::from(byte),
        0x7f..=0xa0 => 0x121 + u32::from(byte - 0x7f),
        0xad => 0x143,
        printable => u32::from(printable),
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

#[cfg(test)]
mod tests {
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    #[test]
    fn the_alphabet_is_the_one_of_the_tokenizer() {
        let mut bytes: Vec<u8> =
            ByteLevel::alphabet().into_iter().map(|c| byte_of_char(c).unwrap()).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert!((0..=255).all(|byte| byte_of_char(char_of_byte(byte)) == Some(byte)));
        assert_eq!(byte_of_char('Ġ'), Some(b' '));
        assert_eq!(byte_of_char('Ċ'), Some(b'\n'));
        assert_eq!(byte_of_char('\u{144}'), None);
        assert_eq!(byte_of_char(' '), None);
    }

    #[test]
    fn byte_fallback_takes_exactly_two_hex_digits() {
        assert_eq!(byte_fallback("<0x0A>"), Some(10));
        assert_eq!(byte_fallback("<0xA>"), None);
        assert_eq!(byte_fallback("<0x0A"), None);
        assert_eq!(byte_fallback("<0x+1>"), None);
    }
}
