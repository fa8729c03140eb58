//! Request bodies, read the way Go's `encoding/json` reads them.
//!
//! Clients of Ollama lean on that decoder without knowing it: they send no content type, spell a field `Model`, send
//! `null` for "not set" and `4096.0` for an integer. serde's derive is stricter in each of these, so requests are taken
//! apart by hand: [`Fields`] holds one object with its names folded to lower case and gives each field out by type.
//!
//! Rules kept here: only the first JSON value of the body counts; unknown fields are ignored; `null` is the same as
//! absent; of two equal names the last wins; a float where an integer is expected is cut toward zero; half of a
//! surrogate pair is U+FFFD. Errors carry the decoder's own wording, because some tools show it to people who then
//! search for it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::error::ApiError;

#[cfg(test)]
pub(crate) mod record;
mod syntax;

/// One JSON object of a request, field names folded to lower case.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Name of the request or the object, for error texts (`GenerateRequest`).
    owner: &'static str,
    values: Map<String, Value>,
    /// Name under which tests record what is asked for.
    #[cfg(test)]
    record: Option<String>,
}

impl Fields {
    /// Reads the first JSON value of `body`, which must be an object (or `null`, which is an empty one).
    ///
    /// # Errors
    /// [`ApiError::MissingBody`] for nothing but white space, [`ApiError::BadRequest`] for broken JSON or another type.
    pub(crate) fn parse(owner: &'static str, body: &[u8]) -> Result<Self, ApiError> {
        let text = replace_lone_surrogates(String::from_utf8_lossy(body));
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        match values.next() {
            None => Err(ApiError::MissingBody),
            Some(Ok(value)) => Self::from_value(owner, value),
            Some(Err(error)) => Err(ApiError::BadRequest(syntax::message(&text, &error))),
        }
    }

    /// Takes an object that stood inside another one.
    pub(crate) fn from_value(owner: &'static str, value: Value) -> Result<Self, ApiError> {
        let values = match value {
            Value::Object(values) => values,
            Value::Null => Map::new(),
            other => {
                let kind = kind(&other);
                return Err(ApiError::BadRequest(format!(
                    "json: cannot unmarshal {kind} into Go value of type api.{owner}"
                )));
            }
        };
        let values: Map<_, _> =
            values.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        Ok(Self {
            owner,
            #[cfg(test)]
            record: values.get(record::FIELD).and_then(Value::as_str).map(str::to_owned),
            values,
        })
    }

    /// Takes a field out as it is; `None` when it is absent or `null`.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        #[cfg(test)]
        if let Some(record) = &self.record {
            record::note(record, name);
        }
        self.values.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a string field; absent is the empty string, as in Go.
    pub(crate) fn string(&mut self, name: &str) -> Result<String, ApiError> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.mismatch(name, &other, "string")),
        }
    }

    /// Takes a boolean field.
    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.mismatch(name, &other, "bool")),
        }
    }

    /// Takes an integer field; a float is cut toward zero.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(other) => integer(&other).map(Some).ok_or_else(|| self.mismatch(name, &other, "int")),
        }
    }

    /// Takes a number field.
    pub(crate) fn float(&mut self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(other) => other.as_f64().map(Some).ok_or_else(|| self.mismatch(name, &other, "float64")),
        }
    }

    /// Takes an object field apart in its turn; `owner` names it in error texts.
    pub(crate) fn nested(&mut self, name: &str, owner: &'static str) -> Result<Option<Self>, ApiError> {
        self.take(name).map(|value| Self::from_value(owner, value)).transpose()
    }

    /// Takes an array field; absent is empty.
    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, ApiError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.mismatch(name, &other, "[]interface {}")),
        }
    }

    /// Takes an object field with its names untouched; absent is empty.
    pub(crate) fn object(&mut self, name: &str) -> Result<Map<String, Value>, ApiError> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(self.mismatch(name, &other, "map[string]interface {}")),
        }
    }

    /// The error for a value of the wrong type, in the decoder's wording.
    pub(crate) fn mismatch(&self, name: &str, value: &Value, expected: &str) -> ApiError {
        ApiError::BadRequest(format!(
            "json: cannot unmarshal {} into Go struct field {}.{name} of type {expected}",
            kind(value),
            self.owner
        ))
    }
}

/// Writes `\ufffd` for every escape that is half of a surrogate pair without the other half, which serde refuses.
/// Clients that cut texts by UTF-16 units send them.
fn replace_lone_surrogates(text: Cow<'_, str>) -> Cow<'_, str> {
    let Some(first) = lone_surrogate(text.as_bytes(), 0) else { return text };
    let mut bytes = text.into_owned().into_bytes();
    let mut lone = Some(first);
    while let Some(at) = lone {
        bytes[at..at + 6].copy_from_slice(b"\\ufffd");
        lone = lone_surrogate(&bytes, at + 6);
    }
    // Hexadecimal digits took the place of hexadecimal digits: it is text as before.
    Cow::Owned(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Where the next such escape begins, looking from `at`, which is inside of none.
fn lone_surrogate(text: &[u8], mut at: usize) -> Option<usize> {
    // The code unit of an escape whose backslash is at `at`.
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == b'\\')?;
        at += match unit(at) {
            Some(0xd800..0xdc00) if matches!(unit(at + 6), Some(0xdc00..0xe000)) => 12,
            Some(0xd800..0xe000) => return Some(at),
            Some(_) => 6,
            // Another escape: its second character may be a backslash.
            None => 2,
        };
    }
}

/// An integer as Go clients may write it; `None` for anything but a number.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    // A float beyond the range saturates: `1e300` as a token limit means "no limit in practice".
    #[expect(clippy::cast_possible_truncation, reason = "cut toward zero and saturated on purpose")]
    number.as_i64().or_else(|| number.as_f64().map(|float| float as i64))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields {
        Fields::parse("GenerateRequest", body.as_bytes()).unwrap()
    }

    fn error(body: &[u8]) -> String {
        Fields::parse("GenerateRequest", body).unwrap_err().to_string()
    }

    #[test]
    fn names_fold_null_is_absent_and_the_last_of_two_wins() {
        let mut fields = fields(r#"{"Model":"a","STREAM":null,"model":"b","other":[{}],"raw":true}"#);
        assert_eq!(fields.string("model").unwrap(), "b");
        assert_eq!(fields.boolean("stream").unwrap(), None);
        assert_eq!(fields.boolean("raw").unwrap(), Some(true));
        assert_eq!(fields.string("system").unwrap(), "");
        assert_eq!(fields_of_twice().string("model").unwrap(), "second");
    }

    fn fields_of_twice() -> Fields {
        fields(r#"{"model":"first","model":"second"}"#)
    }

    #[test]
    fn only_the_first_value_of_the_body_counts() {
        let mut fields = fields("  {\"model\":\"a\"} ]]] trailing {\"model\":\"b\"}");
        assert_eq!(fields.string("model").unwrap(), "a");
        assert_eq!(fields_null().string("model").unwrap(), "");
    }

    fn fields_null() -> Fields {
        fields("null")
    }

    #[test]
    fn integers_may_be_floats() {
        let mut fields = fields(r#"{"a":4096.9,"b":-2.5,"c":1e300,"d":7}"#);
        assert_eq!(fields.integer("a").unwrap(), Some(4096));
        assert_eq!(fields.integer("b").unwrap(), Some(-2));
        assert_eq!(fields.integer("c").unwrap(), Some(i64::MAX));
        assert_eq!(fields.integer("d").unwrap(), Some(7));
    }

    #[test]
    fn numbers_and_objects() {
        let mut fields = fields(r#"{"t":1,"p":0.5,"bad":"1","o":{"Name":"x"},"list":[]}"#);
        assert_eq!((fields.float("t").unwrap(), fields.float("p").unwrap()), (Some(1.0), Some(0.5)));
        assert_eq!(fields.float("absent").unwrap(), None);
        assert_eq!(
            fields.float("bad").unwrap_err().to_string(),
            "json: cannot unmarshal string into Go struct field GenerateRequest.bad of type float64"
        );
        let mut inner = fields.nested("o", "Inner").unwrap().unwrap();
        assert_eq!(inner.string("name").unwrap(), "x");
        assert!(fields.nested("absent", "Inner").unwrap().is_none());
        assert!(fields.nested("list", "Inner").is_err());
    }

    #[test]
    fn broken_bodies_are_named() {
        assert_eq!(error(b""), "missing request body");
        assert_eq!(error(b" \r\n\t"), "missing request body");
        assert_eq!(error(b"{\"model\":\"a\""), "unexpected EOF");
        assert_eq!(error(b"{model}"), "invalid character 'm' looking for beginning of object key string");
        assert_eq!(error(b"[1]"), "json: cannot unmarshal array into Go value of type api.GenerateRequest");
        assert_eq!(
            fields(r#"{"stream":"yes"}"#).boolean("stream").unwrap_err().to_string(),
            "json: cannot unmarshal string into Go struct field GenerateRequest.stream of type bool"
        );
    }

    #[test]
    fn half_a_surrogate_pair_is_the_replacement_character() {
        for (written, read) in [
            (r"\ud83d", "\u{fffd}"),
            (r"a\uDC00b", "a\u{fffd}b"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ud83d\n\u0041", "\u{fffd}\nA"),
            (r"\ud83d\ude00\ude00", "\u{1f600}\u{fffd}"),
            (r"\\ud83d", r"\ud83d"),
            (r"\\\ud83d", "\\\u{fffd}"),
        ] {
            let body = format!(r#"{{"prompt":"{written}"}}"#);
            assert_eq!(fields(&body).string("prompt").unwrap(), read, "{written}");
        }
        for broken in [r#"{"prompt":"\ud83"#, r#"{"prompt":"\"#, r#"{"prompt":"\uzzzz"}"#] {
            assert!(Fields::parse("GenerateRequest", broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn hostile_bodies_are_errors_not_crashes() {
        let deep = "[".repeat(200_000);
        assert!(error(deep.as_bytes()).starts_with("invalid JSON: "));
        let mut fields = Fields::parse("ChatRequest", b"{\"model\":\"a\xff\xfeb\"}").unwrap();
        assert_eq!(fields.string("model").unwrap(), "a\u{fffd}\u{fffd}b");
    }
}
