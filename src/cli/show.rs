//! `ax650 show`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{connect, format, terminal::Output};
use crate::{
    api,
    models::{layer_file::SYNTHETIC, manifest::SOURCE_KEY, store::Store},
};

/// Lines of the licence that fit into an overview.
const LICENSE_LINES: usize = 2;

/// What an overview says of a model without weights.
const NO_WEIGHTS: &str = "none (synthetic: for measuring, answers mean nothing)";

/// Describe a model
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ax650 show smollm2\n  ax650 show smollm2 --template")]
pub(super) struct Arguments {
    /// Name of the model
    model: String,

    #[command(flatten)]
    part: Part,
}

/// At most one of them.
#[derive(Debug, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
struct Part {
    /// Only the licence
    #[arg(long)]
    license: bool,

    /// Only the Modelfile
    #[arg(long)]
    modelfile: bool,

    /// Only the parameters
    #[arg(long)]
    parameters: bool,

    /// Only the chat template
    #[arg(long)]
    template: bool,

    /// Only the system message
    #[arg(long)]
    system: bool,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        let client = connect::remote()?;
        let name = connect::name(&self.model)?;
        let answer = super::runtime()?.block_on(async {
            if client.is_alive().await? {
                return Ok::<_, anyhow::Error>(
                    client.post("/api/show", &json!({"model": self.model})).await?,
                );
            }
            Ok(serde_json::to_value(api::describe_model(&*Store::from_env().resolve(&name)?))?)
        })?;
        let part = &self.part;
        let wanted = [
            (part.license, "license"),
            (part.modelfile, "modelfile"),
            (part.parameters, "parameters"),
            (part.template, "template"),
            (part.system, "system"),
        ];
        let text = match wanted.into_iter().find(|(wanted, _)| *wanted) {
            Some((_, key)) => answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned(),
            None => describe(&answer),
        };
        if !text.is_empty() {
            Output::open().line(text.trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Overview of an answer of `/api/show`.
pub(super) fn describe(answer: &Value) -> String {
    let detail =
        |key: &str| answer.pointer(&format!("/details/{key}")).and_then(Value::as_str).unwrap_or_default();
    let architecture = info(answer, "general.architecture");
    let mut facts = vec![vec!["architecture".to_owned(), architecture.clone()]];
    for (label, value) in [
        ("parameters", detail("parameter_size").to_owned()),
        ("context length", info(answer, &format!("{architecture}.context_length"))),
        ("embedding length", info(answer, &format!("{architecture}.embedding_length"))),
        ("quantization", detail("quantization_level").to_owned()),
        ("weights in", info(answer, SOURCE_KEY)),
        ("weights", if detail("format") == SYNTHETIC { NO_WEIGHTS.to_owned() } else { String::new() }),
    ] {
        if !value.is_empty() {
            facts.push(vec![label.to_owned(), value]);
        }
    }
    let mut text = section("Model", &format::table(&facts));
    let capabilities = answer.get("capabilities").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = capabilities.iter().filter_map(Value::as_str).collect();
    text.push_str(&section("Capabilities", &names.join("\n")));
    let field = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    text.push_str(&section("Parameters", field("parameters")));
    text.push_str(&section("System", field("system")));
    let license: Vec<&str> = field("license")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(LICENSE_LINES)
        .map(str::trim)
        .collect();
    text.push_str(&section("License", &license.join("\n")));
    text
}

/// A value of `model_info` as text.
fn info(answer: &Value, key: &str) -> String {
    match answer.get("model_info").and_then(|info| info.get(key)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    }
}

/// Title and indented lines; nothing at all for nothing to show.
fn section(title: &str, content: &str) -> String {
    if content.trim().is_empty() {
        return String::new();
    }
    let lines: Vec<&str> = content.lines().collect();
    format!("  {title}\n    {}\n\n", lines.join("\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_an_overview() {
        let answer = json!({
            "license": "\n  Apache License\n\n  Version 2.0\n more\n",
            "details": {"parameter_size": "134.5M", "quantization_level": "W8A16"},
            "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
            "capabilities": ["completion"],
        });
        assert_eq!(
            describe(&answer),
            "  Model\n    architecture      llama\n    parameters        134.5M\n    context length    8192\n    \
             quantization      W8A16\n\n  Capabilities\n    completion\n\n  License\n    Apache License\n    Version 2.0\n\n"
        );
    }
}
