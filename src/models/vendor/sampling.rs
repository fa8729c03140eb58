//! `post_config.json`: the sampling defaults of a package, in the words of requests.
//!
//! Every option has a switch; off means that the vendor's program does not do it, and with all of them off it takes the
//! most likely token. The keys that its older versions insist on are all optional here.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// Ranges of values that mean something (our choice; penalties as `OpenAI` has them). Below this repetition penalty the
/// likeliest continuation is to say the same for ever.
const TEMPERATURE: RangeInclusive<f64> = 0.0..=100.0;
const REPETITION: RangeInclusive<f64> = 0.01..=100.0;
const PENALTY: RangeInclusive<f64> = -2.0..=2.0;
/// Largest of the whole numbers: tokens of a vocabulary, or of a context.
const MAX_WHOLE: u64 = 1 << 24;

/// The options of requests that `text` amounts to.
///
/// Options that are on must be in the range that sampling makes sense of: they would be part of every request.
///
/// # Errors
///
/// What is wrong with the file, without naming it.
pub fn parameters(text: &[u8]) -> Result<Map<String, Value>, String> {
    let keys: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| format!("cannot be read: {error}"))?;
    let on = |switch: &str| match keys.get(switch) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(Value::Number(number)) => Ok(number.as_f64() != Some(0.0)),
        Some(other) => Err(format!("has {switch} = {other}, but true or false is needed")),
    };
    let number = |key: &str, range: RangeInclusive<f64>| match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) if value.as_f64().is_some_and(|number| range.contains(&number)) => {
            Ok(Some(value.clone()))
        }
        Some(other) => {
            let (least, most) = range.into_inner();
            Err(format!("has {key} = {other}, but a number from {least} to {most} is needed"))
        }
    };
    let whole = |key: &str| match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) if whole_number(value).is_some_and(|number| number <= MAX_WHOLE) => {
            Ok(whole_number(value).map(Value::from))
        }
        Some(other) => {
            Err(format!("has {key} = {other}, but a whole number from 0 to {MAX_WHOLE} is needed"))
        }
    };
    let mut options = Map::new();
    let mut set = |option: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(option.to_owned(), value);
        }
    };
    let (top_k, top_p) = (on("enable_top_k_sampling")?, on("enable_top_p_sampling")?);
    // A temperature alone: the vendor's program samples from all tokens, its older versions from none.
    if top_k || top_p || on("enable_temperature")? {
        let temperature = if on("enable_temperature")? { number("temperature", TEMPERATURE)? } else { None };
        set("temperature", temperature.or_else(|| Some(1.0.into())));
        // It does one of them, and top_p goes first; the other one is off, and not at this program's default.
        set("top_p", if top_p { number("top_p", 0.0..=1.0)? } else { Some(1.0.into()) });
        set("top_k", if top_k && !top_p { whole("top_k")? } else { Some(0.into()) });
    } else {
        set("temperature", Some(0.into()));
    }
    if on("enable_repetition_penalty")? {
        // The vendor takes the square root of the value before it uses it.
        let penalty = number("repetition_penalty", REPETITION)?.and_then(|value| value.as_f64());
        set("repeat_penalty", penalty.map(|penalty| penalty.sqrt().into()));
        set("repeat_last_n", whole("penalty_window")?);
    } else {
        set("repeat_penalty", Some(1.0.into()));
    }
    for option in ["frequency_penalty", "presence_penalty"] {
        set(option, number(option, PENALTY)?.filter(|value| value.as_f64() != Some(0.0)));
    }
    Ok(options)
}

/// A whole number, also where it is written as 10.0.
fn whole_number(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..1e15).contains(number));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 10^15")]
    value.as_u64().or_else(|| Some(float()? as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn most_packages_are_greedy() {
        let shipped = json!({
            "enable_temperature": false, "temperature": 0.9, "enable_repetition_penalty": false,
            "repetition_penalty": 1.2, "penalty_window": 20, "enable_top_p_sampling": false, "top_p": 0.8,
            "enable_top_k_sampling": false, "top_k": 10
        });
        let greedy = json!({"temperature": 0, "repeat_penalty": 1.0});
        assert_eq!(Value::Object(parameters(shipped.to_string().as_bytes()).unwrap()), greedy);
        assert_eq!(Value::Object(parameters(b"{}").unwrap()), greedy);
    }

    #[test]
    fn what_is_on_is_taken_over() {
        let keys = json!({
            "enable_temperature": true, "temperature": 0.7, "enable_top_k_sampling": 1, "top_k": 10,
            "enable_repetition_penalty": true, "repetition_penalty": 1.44, "penalty_window": 20,
            "presence_penalty": 0.5, "frequency_penalty": 0
        });
        let found = Value::Object(parameters(keys.to_string().as_bytes()).unwrap());
        let wanted = json!({
            "temperature": 0.7, "top_p": 1.0, "top_k": 10, "repeat_penalty": 1.2, "repeat_last_n": 20, "presence_penalty": 0.5
        });
        assert_eq!(found, wanted);
        // top_p goes before top_k.
        let both =
            json!({"enable_top_k_sampling": true, "top_k": 1, "enable_top_p_sampling": true, "top_p": 0.8});
        let found = Value::Object(parameters(both.to_string().as_bytes()).unwrap());
        assert_eq!(found, json!({"temperature": 1.0, "top_p": 0.8, "top_k": 0, "repeat_penalty": 1.0}));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (switch, key, value) in [
            ("enable_temperature", "temperature", json!(-3)),
            ("enable_temperature", "temperature", json!(1e9)),
            ("enable_top_p_sampling", "top_p", json!(7)),
            ("enable_top_p_sampling", "top_p", json!(-0.1)),
            ("enable_top_k_sampling", "top_k", json!(10.5)),
            ("enable_top_k_sampling", "top_k", json!(-1)),
            ("enable_repetition_penalty", "repetition_penalty", json!(0)),
            ("enable_repetition_penalty", "penalty_window", json!(u64::MAX)),
            ("enable_temperature", "presence_penalty", json!(-40)),
        ] {
            let error = parameters(json!({switch: true, key: value}).to_string().as_bytes()).unwrap_err();
            assert!(error.contains(&format!("{key} = {value}")), "{key} = {value}: {error}");
        }
        // What is off is not used, whatever it says.
        assert!(parameters(br#"{"temperature": -3, "top_p": 7, "top_k": "x"}"#).is_ok());
    }

    #[test]
    fn a_wrong_type_is_named() {
        for text in [
            "",
            "[]",
            r#"{"enable_temperature": "yes"}"#,
            r#"{"enable_temperature": true, "temperature": "hot"}"#,
        ] {
            assert!(parameters(text.as_bytes()).is_err(), "{text}");
        }
    }
}
