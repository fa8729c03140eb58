//! Modelfiles: what a new model is to be made of, and what is to be otherwise.
//!
//! Facts (Ollama's parser): a line is a command and its value; commands may be written in any case; `#` begins a
//! comment at the start of a line. A value in quotes or in three of them ends with those and may have several lines,
//! without any escapes; one without quotes ends with its line. `PARAMETER` has a name before its value, `MESSAGE` a
//! role.

use serde_json::{Value, json};

use super::changes::Changes;
use super::parameters::{self, ParameterError};

/// Largest Modelfile that is read, in bytes.
pub const MAX_MODELFILE_BYTES: usize = 4 << 20;

/// The roles that a message may have.
pub const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// A Modelfile that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Modelfile {
    /// What the model is made of: the name of a model, or a path.
    pub from: String,
    /// What is to be otherwise.
    pub changes: Changes,
}

/// Why a text is no Modelfile that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelfileError {
    /// Larger than any real one.
    #[error("the Modelfile is larger than {MAX_MODELFILE_BYTES} bytes")]
    TooLarge,
    /// Nothing to make the model of.
    #[error("no FROM line; begin the Modelfile with FROM and a model's name or a path")]
    NoFrom,
    /// A line that cannot be used.
    #[error("line {line}: {problem}")]
    Line {
        /// Number of the line that the command begins on, from 1.
        line: usize,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What can be wrong with a command of a Modelfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No such command.
    #[error(
        "unknown command {0:?}; command must be one of \"from\", \"license\", \"template\", \"system\", \"parameter\", \
         \"message\", \"requires\""
    )]
    Command(String),
    /// A command that says how Ollama converts or runs a model, which is settled here when it is compiled.
    #[error("{0} is not supported: {1}")]
    Unsupported(&'static str, &'static str),
    /// A command without a value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// Quotes that nothing closes.
    #[error("the quotes are never closed")]
    Quotes,
    /// A second `FROM`.
    #[error("there is a FROM already")]
    SecondFrom,
    /// A message of a role that a history does not have.
    #[error("message role must be one of \"system\", \"user\", or \"assistant\", not {0:?}")]
    Role(String),
    /// A parameter that cannot be set.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

impl Modelfile {
    /// Reads the text of a Modelfile.
    ///
    /// # Errors
    ///
    /// [`ModelfileError`] with the line.
    pub fn parse(text: &str) -> Result<Self, ModelfileError> {
        if text.len() > MAX_MODELFILE_BYTES {
            return Err(ModelfileError::TooLarge);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader { rest: text, line: 1 };
        let (mut from, mut changes) = (None, Changes::default());
        while let Some((line, command)) = reader.command() {
            let fail = |problem| ModelfileError::Line { line, problem };
            let command = command.to_ascii_lowercase();
            match command.as_str() {
                "from" if from.is_some() => return Err(fail(Problem::SecondFrom)),
                "from" => match reader.value("FROM").map_err(fail)? {
                    name if name.trim().is_empty() => return Err(fail(Problem::NoValue("FROM"))),
                    name => from = Some(name),
                },
                "template" => changes.template = Some(reader.value("TEMPLATE").map_err(fail)?),
                "system" => changes.system = Some(reader.value("SYSTEM").map_err(fail)?),
                "license" => changes.licenses.push(reader.value("LICENSE").map_err(fail)?),
                "requires" => changes.requires = Some(reader.value("REQUIRES").map_err(fail)?),
                "parameter" => reader.parameter(&mut changes).map_err(fail)?,
                "message" => changes.messages.push(reader.message().map_err(fail)?),
                _ => return Err(fail(unsupported(&command))),
            }
        }
        Ok(Self { from: from.ok_or(ModelfileError::NoFrom)?, changes })
    }
}

fn unsupported(command: &str) -> Problem {
    match command {
        "adapter" => Problem::Unsupported("ADAPTER", "an adapter is merged before a model is compiled"),
        "renderer" => Problem::Unsupported("RENDERER", "models here have templates; give one with TEMPLATE"),
        "parser" => Problem::Unsupported("PARSER", "how answers are read follows from the model's template"),
        "draft" => Problem::Unsupported("DRAFT", "there are no draft models here"),
        other => Problem::Command(other.chars().take(40).collect()),
    }
}

struct Reader<'a> {
    rest: &'a str,
    /// Number of the line that `rest` begins in.
    line: usize,
}

impl<'a> Reader<'a> {
    /// Takes `bytes` of the rest.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    /// The next command and its line, past blank lines and comments.
    fn command(&mut self) -> Option<(usize, &'a str)> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if !self.rest.starts_with('#') {
                break;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(end);
        }
        let line = self.line;
        let word = self.word();
        (!word.is_empty()).then_some((line, word))
    }

    /// The next word of this line.
    fn word(&mut self) -> &'a str {
        self.skip_blanks();
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn skip_blanks(&mut self) {
        let end = self.rest.find(|c: char| !c.is_whitespace() || c == '\n').unwrap_or(self.rest.len());
        self.take(end);
    }

    /// The value of a command: what stands in its quotes, or the rest of its line.
    fn value(&mut self, command: &'static str) -> Result<String, Problem> {
        self.skip_blanks();
        for quotes in ["\"\"\"", "\""] {
            if self.rest.starts_with(quotes) {
                return self.quoted(quotes);
            }
        }
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let value = self.take(end).trim();
        if value.is_empty() { Err(Problem::NoValue(command)) } else { Ok(value.to_owned()) }
    }

    /// A value in quotes. They end it where nothing but blanks follows on their line: without escapes, a value may have
    /// quotes inside.
    fn quoted(&mut self, quotes: &str) -> Result<String, Problem> {
        let mut end = quotes.len();
        while let Some(found) = self.rest[end..].find(quotes) {
            end += found;
            // Of more than three in a row the last ones close.
            let row = self.rest[end..].len() - self.rest[end..].trim_start_matches('"').len();
            let close = end + row - quotes.len();
            let after = self.rest[close + quotes.len()..].trim_start_matches([' ', '\t', '\r']);
            if after.is_empty() || after.starts_with('\n') {
                let value = self.rest[quotes.len()..close].to_owned();
                self.take(self.rest.len() - after.len());
                return Ok(value);
            }
            end += row;
        }
        Err(Problem::Quotes)
    }

    fn parameter(&mut self, changes: &mut Changes) -> Result<(), Problem> {
        let name = self.word().to_ascii_lowercase();
        if name.is_empty() {
            return Err(Problem::NoValue("PARAMETER"));
        }
        let value = parameters::parse(&name, &self.value("PARAMETER")?)?;
        match changes.parameters.get_mut(&name) {
            Some(Value::Array(items)) => items.push(value),
            _ if parameters::is_list(&name) => {
                changes.parameters.insert(name, Value::Array(vec![value]));
            }
            _ => {
                changes.parameters.insert(name, value);
            }
        }
        Ok(())
    }

    fn message(&mut self) -> Result<Value, Problem> {
        let role = self.word().to_ascii_lowercase();
        if !ROLES.contains(&role.as_str()) {
            return Err(Problem::Role(role.chars().take(40).collect()));
        }
        Ok(json!({"role": role, "content": self.value("MESSAGE")?}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Modelfile::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_command() {
        let text = "# made by hand\r\nFROM smollm2:135m\r\n\nparameter temperature 0.5\nPARAMETER stop <|a|>\n\
            PARAMETER stop \"b c\"\nPARAMETER num_ctx 2048\nTEMPLATE \"\"\"{{ if .System }}\"{{ .System }}\"{{ end }}\n\
            {{ .Prompt }}\"\"\"\nSYSTEM   You are a \"pirate\".  \nLicense \"MIT\"\nLICENSE \"\"\"two\n# lines\"\"\"\n\
            MESSAGE user \"hi\nthere\"\nMessage ASSISTANT ho\n  # the end\nREQUIRES 0.6.0";
        let read = Modelfile::parse(text).unwrap();
        let changes = read.changes;
        assert_eq!(read.from, "smollm2:135m");
        assert_eq!(
            Value::Object(changes.parameters),
            json!({"temperature": 0.5, "stop": ["<|a|>", "b c"], "num_ctx": 2048})
        );
        assert_eq!(changes.template.unwrap(), "{{ if .System }}\"{{ .System }}\"{{ end }}\n{{ .Prompt }}");
        assert_eq!(changes.system.unwrap(), "You are a \"pirate\".");
        assert_eq!(changes.licenses, ["MIT", "two\n# lines"]);
        assert_eq!(
            changes.messages,
            [json!({"role": "user", "content": "hi\nthere"}), json!({"role": "assistant", "content": "ho"})]
        );
        assert_eq!(changes.requires.unwrap(), "0.6.0");
    }

    #[test]
    fn quotes() {
        let system = |value: &str| {
            Modelfile::parse(&format!("FROM x\nSYSTEM {value}")).unwrap().changes.system.unwrap()
        };
        assert_eq!(system("\"\""), "");
        assert_eq!(system("\"\"\"\"\"\""), "");
        assert_eq!(system("\"\"\"\"a\"\"\"\""), "\"a\"");
        assert_eq!(system("\"say \"hi\" to all\""), "say \"hi\" to all");
        assert_eq!(system("\"\"\"a \"\"\" b\"\"\""), "a \"\"\" b");
        assert_eq!(system("it's \"half\" quoted"), "it's \"half\" quoted");
        assert_eq!(system("\"\"\"\nline\n\"\"\"  \n# end"), "\nline\n");
    }

    #[test]
    fn mistakes_are_told_by_line() {
        for (text, message) in [
            ("", "no FROM line; begin the Modelfile with FROM and a model's name or a path"),
            ("# only\nSYSTEM x", "no FROM line; begin the Modelfile with FROM and a model's name or a path"),
            ("FROM a\nFROM b", "line 2: there is a FROM already"),
            ("FROM\nSYSTEM x", "line 1: FROM needs a value"),
            ("FROM \" \"", "line 1: FROM needs a value"),
            ("FROM a\n\nSYSTEM \"\"\"never", "line 3: the quotes are never closed"),
            ("FROM a\nSYSTEM \"x", "line 2: the quotes are never closed"),
            ("FROM a\nPARAMETER heat 1", "line 2: unknown parameter 'heat'"),
            ("FROM a\nPARAMETER top_k x", "line 2: option \"top_k\" must be of type integer"),
            ("FROM a\nPARAMETER top_k", "line 2: PARAMETER needs a value"),
            ("FROM a\nPARAMETER", "line 2: PARAMETER needs a value"),
            (
                "FROM a\nMESSAGE tool x",
                "line 2: message role must be one of \"system\", \"user\", or \"assistant\", not \"tool\"",
            ),
            (
                "FROM a\nADAPTER b",
                "line 2: ADAPTER is not supported: an adapter is merged before a model is compiled",
            ),
        ] {
            assert_eq!(error(text), message, "{text:?}");
        }
        assert!(
            error("FROM a\nFORM b").starts_with("line 2: unknown command \"form\"; command must be one of")
        );
        assert_eq!(error(&"x".repeat(5 << 20)), ModelfileError::TooLarge.to_string());
    }
}
