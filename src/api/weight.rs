//! What a request body takes in memory when it is taken apart, known before that happens.
//!
//! A value is many times as large as its text: `0,` is 2 bytes of a body and 72 of a list, with room to grow twice
//! that. So a body of the allowed size could stand for gigabytes. Its values are counted while it arrives, by the
//! characters that stand between them, and what they will take is set aside before the first of them is made.

mod mend;

use self::mend::Mend;
use super::error::ApiError;

/// Bytes of a value in a list of many, with the list's room to grow and the least that a text of its own takes.
const VALUE_BYTES: usize = 192;
/// What a list takes besides its values, in values: it begins with room for four.
const LIST: usize = 2;
/// What an object takes besides its values, in values: it begins with room for four, and has a table of its names.
const OBJECT: usize = 3;
/// Most values of one body. A million numbers are more than any context holds.
const MAX_VALUES: usize = 1_400_000;
/// How often a text may be in memory: as it came, mended (see `fields`), without its escapes, as a value.
const COPIES: usize = 4;
/// Bytes more than one that a byte which is not UTF-8 takes in each copy but the first: it is mended to U+FFFD.
const MENDED: usize = 2;

/// The weight of a body that is read in pieces.
#[derive(Debug, Default)]
pub(crate) struct Weight {
    length: usize,
    mend: Mend,
    values: usize,
    place: Place,
}

/// Where in the JSON text the next byte stands.
#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Outside,
    Text,
    /// Right after a backslash in a text.
    Escape,
}

impl Weight {
    /// The weight of a whole body.
    ///
    /// # Errors
    /// As [`Weight::add`].
    pub(crate) fn of(body: &[u8]) -> Result<Self, ApiError> {
        let mut weight = Self::default();
        weight.add(body)?;
        Ok(weight)
    }

    /// Counts the next piece of the body.
    ///
    /// # Errors
    /// 400 for more values than a request can mean.
    pub(crate) fn add(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.length += piece.len();
        for &byte in piece {
            self.mend.push(byte);
            self.place = match (self.place, byte) {
                (Place::Outside, b'"') | (Place::Escape, _) => Place::Text,
                (Place::Text, b'"') => Place::Outside,
                (Place::Text, b'\\') => Place::Escape,
                (Place::Outside, _) => {
                    self.values += match byte {
                        // A value ends, or a name.
                        b',' | b':' => 1,
                        b'[' => LIST,
                        b'{' => OBJECT,
                        _ => 0,
                    };
                    Place::Outside
                }
                (Place::Text, _) => Place::Text,
            };
        }
        if self.values > MAX_VALUES {
            return Err(ApiError::BadRequest(format!(
                "request body has too many values: about {MAX_VALUES} are read"
            )));
        }
        Ok(())
    }

    /// Bytes of memory that the body and what is made of it take, at most.
    pub(crate) fn bytes(&self) -> usize {
        self.length * COPIES + self.mend.broken() * MENDED * (COPIES - 1) + self.values * VALUE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::body::MAX_BODY_BYTES;
    use crate::api::intake::{Intake, Memory};

    fn values(body: &str) -> usize {
        Weight::of(body.as_bytes()).unwrap().values
    }

    #[test]
    fn what_stands_in_texts_is_no_value() {
        assert_eq!(values(r#"{"a":[1,2],"b,[{":"\",\\"}"#), OBJECT + LIST + 4);
        assert_eq!(values(r#""[[[,,,"[[]]"#), 2 * LIST);
        let body = br#"{"a\"[":["\\",{}]}"#;
        let whole = Weight::of(body).unwrap().values;
        for at in 0..body.len() {
            let mut weight = Weight::of(&body[..at]).unwrap();
            weight.add(&body[at..]).unwrap();
            assert_eq!(weight.values, whole, "in two pieces at {at}");
        }
    }

    #[test]
    fn there_is_a_most() {
        let list = |count: usize| format!(r#"{{"x":[0{}]}}"#, ",0".repeat(count));
        let most = MAX_VALUES - OBJECT - LIST - 1;
        assert_eq!(values(&list(most)), MAX_VALUES);
        let error = Weight::of(list(most + 1).as_bytes()).unwrap_err();
        assert_eq!(error.status().as_u16(), 400);
        assert!(error.to_string().contains("too many values"), "{error}");
    }

    #[test]
    fn there_is_room_for_the_largest_text_with_the_most_values() {
        let largest = Weight { length: MAX_BODY_BYTES, values: MAX_VALUES, ..Weight::default() };
        let intake = Intake::new(1);
        assert!(intake.reserve(&mut Memory::default(), largest.bytes()).is_ok());
    }

    #[test]
    fn texts_weigh_what_their_copies_take() {
        assert_eq!(Weight::of(b"\"abcd\"").unwrap().bytes(), 24);
        assert_eq!(Weight::of(b"\"\xff\"").unwrap().bytes(), 18);
        assert_eq!(Weight::of("\"\u{f6}\u{65e5}\u{1f600}\"".as_bytes()).unwrap().bytes(), 4 * 11);
        assert_eq!(Weight::of(b"0,").unwrap().bytes(), 8 + VALUE_BYTES);
    }
}
