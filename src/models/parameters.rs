//! Parameters of a model: default options of requests, checked by name and type when they are set.
//!
//! A request with an option that nobody knows is answered all the same, as Ollama does, and `/api/create` keeps such a
//! name if it is one. A Modelfile is written by hand, and asked often once it is a model, so there a misspelt name is
//! an error.

use serde_json::{Number, Value};

/// What a parameter's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Integer,
    Boolean,
    Texts,
    /// No longer of any effect, in Ollama either; old Modelfiles have them.
    Retired,
}

const PARAMETERS: [(&str, Kind); 35] = [
    ("temperature", Kind::Float),
    ("top_p", Kind::Float),
    ("min_p", Kind::Float),
    ("typical_p", Kind::Float),
    ("repeat_penalty", Kind::Float),
    ("presence_penalty", Kind::Float),
    ("frequency_penalty", Kind::Float),
    ("top_k", Kind::Integer),
    ("seed", Kind::Integer),
    ("num_predict", Kind::Integer),
    ("num_ctx", Kind::Integer),
    ("num_keep", Kind::Integer),
    ("num_batch", Kind::Integer),
    ("num_gpu", Kind::Integer),
    ("main_gpu", Kind::Integer),
    ("num_thread", Kind::Integer),
    ("repeat_last_n", Kind::Integer),
    ("draft_num_predict", Kind::Integer),
    ("use_mmap", Kind::Boolean),
    ("stop", Kind::Texts),
    ("mirostat", Kind::Retired),
    ("mirostat_tau", Kind::Retired),
    ("mirostat_eta", Kind::Retired),
    ("tfs_z", Kind::Retired),
    ("penalize_newline", Kind::Retired),
    ("numa", Kind::Retired),
    ("low_vram", Kind::Retired),
    ("f16_kv", Kind::Retired),
    ("logits_all", Kind::Retired),
    ("vocab_only", Kind::Retired),
    ("use_mlock", Kind::Retired),
    ("embedding_only", Kind::Retired),
    ("num_gqa", Kind::Retired),
    ("rope_frequency_base", Kind::Retired),
    ("rope_frequency_scale", Kind::Retired),
];

/// Why a parameter cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// No parameter has that name.
    #[error("unknown parameter '{0}'")]
    Unknown(String),
    /// A value of the wrong type.
    #[error("option {name:?} must be {expected}")]
    Type {
        /// The parameter.
        name: String,
        /// What it must be, in the words of requests with a wrong option.
        expected: &'static str,
    },
}

/// Longest name of a parameter, in bytes.
const LONGEST: usize = 64;

/// Whether this or an earlier version of Ollama has a parameter of that name.
pub fn is_known(name: &str) -> bool {
    kind(name).is_ok()
}

/// Whether no version has a parameter of that name, but one might: of any other name a listing could not tell.
pub fn is_unknown(name: &str) -> bool {
    let is_name = (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_name && !is_known(name)
}

/// Checks a value as JSON has it. A single text where a list belongs becomes a list.
///
/// # Errors
///
/// [`ParameterError`] with the parameter's name.
pub fn check(name: &str, value: Value) -> Result<Value, ParameterError> {
    let (kind, expected) = kind(name)?;
    let is_right = match (kind, &value) {
        (Kind::Retired, _) => true,
        (Kind::Float, value) => value.is_number(),
        (Kind::Integer, Value::Number(number)) => return Ok(cut(number)),
        (Kind::Boolean, value) => value.is_boolean(),
        (Kind::Texts, Value::String(_)) => return Ok(Value::Array(vec![value])),
        (Kind::Texts, Value::Array(items)) => items.iter().all(Value::is_string),
        (Kind::Integer | Kind::Texts, _) => false,
    };
    is_right.then_some(value).ok_or_else(|| ParameterError::Type { name: name.to_owned(), expected })
}

/// Reads a value as a Modelfile has it; that of a list is one item of it.
///
/// # Errors
///
/// [`ParameterError`] with the parameter's name.
pub fn parse(name: &str, text: &str) -> Result<Value, ParameterError> {
    let (kind, expected) = kind(name)?;
    let value = match kind {
        Kind::Integer => whole(text),
        // Shown as it was written: 0 and not 0.0.
        Kind::Float => {
            whole(text).or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number))
        }
        Kind::Boolean => match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Texts | Kind::Retired => Some(Value::from(text)),
    };
    value.ok_or_else(|| ParameterError::Type { name: name.to_owned(), expected })
}

/// A number without what stands behind its point, as upstream reads it where it wants whole ones.
fn cut(number: &Number) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the largest")]
    let cut = number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64);
    cut.into()
}

fn whole(text: &str) -> Option<Value> {
    text.parse::<i64>().ok().map(Value::from)
}

/// Whether a Modelfile may give the parameter several times, for a list.
pub fn is_list(name: &str) -> bool {
    kind(name).is_ok_and(|(kind, _)| kind == Kind::Texts)
}

fn kind(name: &str) -> Result<(Kind, &'static str), ParameterError> {
    let found = PARAMETERS.iter().find(|(known, _)| *known == name);
    let (_, kind) = found.ok_or_else(|| ParameterError::Unknown(name.chars().take(80).collect()))?;
    let expected = match kind {
        Kind::Float => "of type float32",
        Kind::Integer => "of type integer",
        Kind::Boolean => "of type boolean",
        Kind::Texts | Kind::Retired => "of an array of strings",
    };
    Ok((*kind, expected))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_checked_by_name_and_type() {
        for (name, value) in [
            ("temperature", json!(0)),
            ("temperature", json!(0.5)),
            ("num_ctx", json!(4096)),
            ("use_mmap", json!(false)),
            ("stop", json!(["a", "b"])),
            ("mirostat", json!("anything")),
        ] {
            assert_eq!(check(name, value.clone()).unwrap(), value);
        }
        for (value, cut) in [(json!(4096.0), 4096), (json!(-1.5), -1), (json!(1e300), i64::MAX)] {
            assert_eq!(check("num_ctx", value).unwrap(), json!(cut));
        }
        assert_eq!(check("stop", json!("a")).unwrap(), json!(["a"]));
        for (name, value, text) in [
            ("temperatur", json!(0), "unknown parameter 'temperatur'"),
            ("temperature", json!("hot"), "option \"temperature\" must be of type float32"),
            ("seed", json!([1]), "option \"seed\" must be of type integer"),
            ("use_mmap", json!(1), "option \"use_mmap\" must be of type boolean"),
            ("stop", json!(["a", 1]), "option \"stop\" must be of an array of strings"),
        ] {
            assert_eq!(check(name, value).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn names_that_may_come_are_told_from_what_is_no_name() {
        let longest = "a".repeat(LONGEST);
        for name in ["heat", "a_1", &longest] {
            assert!(is_unknown(name) && !is_known(name), "{name}");
        }
        for name in ["seed", "", "Heat", "he at", "x\nnum_ctx 9", &format!("{longest}a"), "é"] {
            assert!(!is_unknown(name), "{name}");
        }
    }

    #[test]
    fn texts_become_values() {
        assert_eq!(parse("temperature", "0.5").unwrap(), json!(0.5));
        assert_eq!(parse("temperature", "1").unwrap(), json!(1));
        assert_eq!(parse("num_ctx", "4096").unwrap(), json!(4096));
        assert_eq!(parse("use_mmap", "true").unwrap(), json!(true));
        assert_eq!(parse("stop", "<|end|>").unwrap(), json!("<|end|>"));
        assert!(parse("temperature", "NaN").is_err() && parse("num_ctx", "4096.5").is_err());
        assert!(is_list("stop") && !is_list("seed") && !is_list("nothing"));
    }
}
