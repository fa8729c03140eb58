//! How long a model stays loaded after its last request, in the forms Ollama's clients send.
//!
//! A number means seconds, a string means a Go duration (`5m`, `1h30m`, `300ms`), anything negative means
//! forever, zero means unload as soon as the answer is out. The error texts are those of Go's `time` package and
//! of Ollama's decoder, because clients show them to people and some match on them.

use std::time::Duration;

use serde_json::Value;

/// How long a model stays loaded once its last running request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// Never unloaded for being idle.
    Forever,
    /// Unloaded when this much time passes without a request; zero unloads at once.
    For(Duration),
}

/// Why a `keep_alive` value was refused. The texts are what Ollama answers (HTTP 400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeepAliveError {
    /// The text is not a sequence of decimal numbers with units, or is out of range.
    #[error("time: invalid duration {0}")]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {0}")]
    MissingUnit(String),
    /// A unit that Go does not know, such as `d`.
    #[error("time: unknown unit {unit} in duration {text}")]
    UnknownUnit {
        /// The unit, quoted.
        unit: String,
        /// The whole text, quoted.
        text: String,
    },
    /// A JSON value that is neither number nor string.
    #[error("Unsupported type: '{0}'")]
    UnsupportedType(&'static str),
    /// A server setting that is neither a duration nor a whole number of seconds.
    #[error(
        "invalid keep-alive {0}: use a duration such as 5m or 1h30m, a number of seconds, or -1 for forever"
    )]
    Setting(String),
}

impl Default for KeepAlive {
    /// Five minutes, Ollama's default.
    fn default() -> Self {
        Self::For(Duration::from_mins(5))
    }
}

impl KeepAlive {
    /// Unload as soon as the running requests have ended.
    pub const NOW: Self = Self::For(Duration::ZERO);

    /// Whether the model is to be unloaded as soon as nothing runs on it.
    pub fn is_now(self) -> bool {
        self == Self::NOW
    }

    /// Reads the `keep_alive` field of a request. An absent field is the caller's business; `null` is refused here.
    pub fn parse_json(value: &Value) -> Result<Self, KeepAliveError> {
        match value {
            Value::Number(number) => Ok(Self::from_seconds(number.as_f64().unwrap_or(f64::MAX))),
            Value::String(text) => Self::parse_duration(text),
            Value::Bool(_) => Err(KeepAliveError::UnsupportedType("bool")),
            Value::Array(_) => Err(KeepAliveError::UnsupportedType("[]interface {}")),
            Value::Object(_) => Err(KeepAliveError::UnsupportedType("map[string]interface {}")),
            Value::Null => Err(KeepAliveError::UnsupportedType("nil")),
        }
    }

    /// Reads a Go duration: an optional sign, then one or more decimal numbers each with a unit out of `ns`, `us`,
    /// `ms`, `s`, `m`, `h`. Negative means forever. `"0"` is the only number that needs no unit.
    pub fn parse_duration(text: &str) -> Result<Self, KeepAliveError> {
        let nanos = go_duration_nanos(text)?;
        Ok(u64::try_from(nanos).map_or(Self::Forever, |nanos| Self::For(Duration::from_nanos(nanos))))
    }

    /// Reads a server setting (`OLLAMA_KEEP_ALIVE`, a command line flag): a Go duration or a whole number of seconds.
    pub fn parse_setting(text: &str) -> Result<Self, KeepAliveError> {
        let text = text.trim().trim_matches(['"', '\'']);
        if let Ok(seconds) = text.parse::<i64>() {
            return Ok(u64::try_from(seconds).map_or(Self::Forever, |s| Self::of(Duration::from_secs(s))));
        }
        Self::parse_duration(text).map_err(|_| KeepAliveError::Setting(go_quote(text)))
    }

    /// Seconds as JSON has them: fractions count, negative is forever, and so is more than a duration can hold.
    fn from_seconds(seconds: f64) -> Self {
        if seconds < 0.0 {
            return Self::Forever;
        }
        Duration::try_from_secs_f64(seconds).map_or(Self::Forever, Self::of)
    }

    /// What Go's durations cannot hold, some 292 years, is forever: the date of such an end could not be written.
    fn of(duration: Duration) -> Self {
        if i64::try_from(duration.as_nanos()).is_ok() { Self::For(duration) } else { Self::Forever }
    }
}

impl std::str::FromStr for KeepAlive {
    type Err = KeepAliveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_setting(text)
    }
}

/// The signed nanoseconds of a Go duration.
fn go_duration_nanos(text: &str) -> Result<i64, KeepAliveError> {
    let invalid = || KeepAliveError::Invalid(go_quote(text));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    // Summed in i128: each part is below 2^63 * 3.6e12 and there are fewer parts than bytes in the text.
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after_whole) = digits(rest);
        let (fraction, after_fraction) = after_whole.strip_prefix('.').map_or(("", after_whole), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end =
            after_fraction.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after_fraction.len());
        let (unit, tail) = after_fraction.split_at(unit_end);
        if unit.is_empty() {
            return Err(KeepAliveError::MissingUnit(go_quote(text)));
        }
        let scale = unit_nanos(unit)
            .ok_or_else(|| KeepAliveError::UnknownUnit { unit: go_quote(unit), text: go_quote(text) })?;
        let part = scaled(whole, fraction, scale).ok_or_else(invalid)?;
        total += part;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = tail;
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_nanos(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        // Go takes the micro sign, the Greek letter mu and plain u.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `whole.fraction` units in nanoseconds, the fraction truncated; `None` when it does not fit.
fn scaled(whole: &str, fraction: &str, scale: i64) -> Option<i128> {
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // No unit is longer than 3.6e12 ns, so digits past the 18th cannot change a nanosecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let mut extra = 0;
    if !fraction.is_empty() {
        let denominator = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        extra = i128::from(fraction.parse::<i64>().ok()?) * i128::from(scale) / denominator;
    }
    Some(i128::from(whole) * i128::from(scale) + extra)
}

/// Text in double quotes the way Go's `time` package prints it: non-ASCII and control bytes as `\xNN`.
fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => {
                quoted.push_str("\\x");
                quoted.extend(
                    [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
                );
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secs(seconds: u64) -> KeepAlive {
        KeepAlive::For(Duration::from_secs(seconds))
    }

    #[test]
    fn numbers_are_seconds_and_negative_is_forever() {
        assert_eq!(KeepAlive::parse_json(&json!(10)), Ok(secs(10)));
        assert_eq!(KeepAlive::parse_json(&json!(0)), Ok(KeepAlive::NOW));
        assert_eq!(KeepAlive::parse_json(&json!(0.5)), Ok(KeepAlive::For(Duration::from_millis(500))));
        assert_eq!(KeepAlive::parse_json(&json!(-1)), Ok(KeepAlive::Forever));
        assert_eq!(KeepAlive::parse_json(&json!(-0.5)), Ok(KeepAlive::Forever));
        for seconds in [1e10, 3e11, 1e13, 1e300] {
            assert_eq!(KeepAlive::parse_json(&json!(seconds)), Ok(KeepAlive::Forever), "{seconds}");
        }
        assert_eq!(KeepAlive::parse_json(&json!(9e9)), Ok(secs(9_000_000_000)));
        assert_eq!(KeepAlive::parse_setting("99999999999999"), Ok(KeepAlive::Forever));
    }

    #[test]
    fn strings_are_go_durations() {
        for (text, expected) in [
            ("0", KeepAlive::NOW),
            ("0s", KeepAlive::NOW),
            ("300ms", KeepAlive::For(Duration::from_millis(300))),
            ("10s", secs(10)),
            ("5m", secs(300)),
            ("1h30m", secs(5400)),
            ("1.5h", secs(5400)),
            (".5m", secs(30)),
            ("24h", secs(86400)),
            ("1h1m1s", secs(3661)),
            ("7us", KeepAlive::For(Duration::from_micros(7))),
            ("7\u{b5}s", KeepAlive::For(Duration::from_micros(7))),
            ("+1s", secs(1)),
            ("-1m", KeepAlive::Forever),
            ("-1s", KeepAlive::Forever),
            ("-0s", KeepAlive::NOW),
        ] {
            assert_eq!(KeepAlive::parse_json(&json!(text)), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refusals_have_the_texts_clients_know() {
        for (value, text) in [
            (json!("10"), r#"time: missing unit in duration "10""#),
            (json!("-1"), r#"time: missing unit in duration "-1""#),
            (json!("1."), r#"time: missing unit in duration "1.""#),
            (json!("abc"), r#"time: invalid duration "abc""#),
            (json!(""), r#"time: invalid duration """#),
            (json!("-"), r#"time: invalid duration "-""#),
            (json!("."), r#"time: invalid duration ".""#),
            (json!("9999999999h"), r#"time: invalid duration "9999999999h""#),
            (json!("99999999999999999999s"), r#"time: invalid duration "99999999999999999999s""#),
            (json!("1d"), r#"time: unknown unit "d" in duration "1d""#),
            (json!("1h2x"), r#"time: unknown unit "x" in duration "1h2x""#),
            (json!("5\u{e9}"), r#"time: unknown unit "\xc3\xa9" in duration "5\xc3\xa9""#),
            (json!(true), "Unsupported type: 'bool'"),
            (json!([1]), "Unsupported type: '[]interface {}'"),
            (json!({"a": 1}), "Unsupported type: 'map[string]interface {}'"),
        ] {
            let error = KeepAlive::parse_json(&value).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn settings_take_bare_seconds_too() {
        assert_eq!(KeepAlive::parse_setting("10"), Ok(secs(10)));
        assert_eq!(KeepAlive::parse_setting("-1"), Ok(KeepAlive::Forever));
        assert_eq!(KeepAlive::parse_setting(" \"5m\" "), Ok(secs(300)));
        assert!(KeepAlive::parse_setting("soon").unwrap_err().to_string().contains("\"soon\""));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,24}") {
            KeepAlive::parse_duration(&text).ok();
        }

        #[test]
        fn number_like_texts_never_panic(text in "[-+]?([0-9]{0,22}(\\.[0-9]{0,22})?(ns|us|ms|s|m|h|d)?){0,4}") {
            KeepAlive::parse_duration(&text).ok();
        }
    }
}
