//! `/set parameter`: the sampling options of the protocol and their types.

use serde_json::{Map, Value, json};

/// Type of an option's value.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Number,
    Texts,
}

/// Name, type and meaning, in the order of the help text.
const PARAMETERS: [(&str, Kind, &str); 14] = [
    ("seed", Kind::Integer, "random number seed (-1: a new one each time)"),
    ("num_predict", Kind::Integer, "most tokens to make (-1: no limit)"),
    ("top_k", Kind::Integer, "pick from the K likeliest tokens"),
    ("top_p", Kind::Number, "pick from the likeliest tokens that make up this share"),
    ("min_p", Kind::Number, "least probability relative to the likeliest token"),
    ("typical_p", Kind::Number, "pick from the most typical tokens that make up this share"),
    ("num_ctx", Kind::Integer, "context length"),
    ("num_keep", Kind::Integer, "tokens kept when the context is full"),
    ("temperature", Kind::Number, "0: always the likeliest token; higher: more varied"),
    ("repeat_penalty", Kind::Number, "how strongly to avoid repetition"),
    ("repeat_last_n", Kind::Integer, "how far back to look for repetition"),
    ("presence_penalty", Kind::Number, "penalty for tokens that occurred"),
    ("frequency_penalty", Kind::Number, "penalty by how often a token occurred"),
    ("stop", Kind::Texts, "texts that end the answer"),
];

/// Sets an option from the words after `/set parameter`; returns what to tell the user.
pub(super) fn set(options: &mut Map<String, Value>, words: &[&str]) -> Result<String, String> {
    let [name, values @ ..] = words else {
        return Err(help());
    };
    let Some((name, kind, _)) = PARAMETERS.iter().find(|(known, ..)| known == name) else {
        return Err(format!("there is no parameter '{name}'\n{}", help()));
    };
    let value = match (kind, values) {
        (_, []) => return Err(format!("give a value: /set parameter {name} VALUE")),
        (Kind::Texts, texts) => json!(texts),
        (Kind::Integer, [text]) => {
            json!(text.parse::<i64>().map_err(|_| format!("{name} must be a whole number, not '{text}'"))?)
        }
        (Kind::Number, [text]) => {
            let number: f64 = text.parse().map_err(|_| format!("{name} must be a number, not '{text}'"))?;
            if !number.is_finite() {
                return Err(format!("{name} must be a finite number"));
            }
            json!(number)
        }
        (_, values) => return Err(format!("{name} takes one value, not {}", values.len())),
    };
    let told = format!("Set parameter '{name}' to '{}'", values.join("', '"));
    options.insert((*name).to_owned(), value);
    Ok(told)
}

/// All parameters, one a line.
pub(super) fn help() -> String {
    let mut text = "Parameters:".to_owned();
    for (name, kind, meaning) in PARAMETERS {
        let value = match kind {
            Kind::Integer => "<int>",
            Kind::Number => "<float>",
            Kind::Texts => "<text> ...",
        };
        let example = format!("{name} {value}");
        text.extend(["\n  /set parameter ", &format!("{example:<30} {meaning}")]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_get_their_type() {
        let mut options = Map::new();
        assert!(set(&mut options, &["temperature", "0.5"]).is_ok());
        assert!(set(&mut options, &["seed", "42"]).is_ok());
        assert!(set(&mut options, &["stop", "###", "END"]).is_ok());
        assert_eq!(Value::Object(options), json!({"temperature": 0.5, "seed": 42, "stop": ["###", "END"]}));
    }

    #[test]
    fn mistakes_are_named_and_change_nothing() {
        let mut options = Map::new();
        for words in
            [&["top_k", "many"][..], &["top_q", "1"], &["seed"], &["seed", "1", "2"], &["top_p", "nan"], &[]]
        {
            assert!(set(&mut options, words).is_err(), "{words:?}");
        }
        assert!(options.is_empty());
    }
}
