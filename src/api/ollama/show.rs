//! `POST /api/show`: everything about one model.

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::http::header::USER_AGENT;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::listing::{Details, listed_capabilities};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup, time};
use crate::models::model::Model;
use crate::models::{modelfile, parameters};
use crate::text::Message;

/// This client matches models by their base name and wants to see the name it asked for.
const COPILOT_AGENT: &str = "GitHubCopilotChat/";
/// Longest list of `model_info` that is shown to whoever does not ask for all.
const SHORT_LIST: usize = 5;
/// Column of the values in the text form of the parameters.
const PARAMETER_WIDTH: usize = 30;

/// Key of `model_info` with the vocabulary.
const TOKENS: &str = "tokenizer.ggml.tokens";

/// Keys of `model_info` whose values whoever made the model may have given, and under what names.
const INFO_KEYS: [(&str, &str); 3] = [
    ("general.basename", "base_name"),
    ("ARCH.context_length", "context_length"),
    ("ARCH.embedding_length", "embedding_length"),
];

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    #[serde(skip_serializing_if = "String::is_empty")]
    license: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    modelfile: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    parameters: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    template: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    details: Details,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Value>,
    model_info: Map<String, Value>,
    capabilities: Vec<String>,
    modified_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    requires: Option<String>,
}

/// The handler.
pub(super) async fn show(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let is_copilot = request
        .headers()
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .is_some_and(|agent| agent.starts_with(COPILOT_AGENT));
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let mut fields = turn.run(move || Fields::parse("ShowRequest", &body)).await?;
    let requested = named_model(&mut fields)?;
    let verbose = fields.boolean("verbose")?.unwrap_or(false);
    let asked = Asked { verbose, system: fields.string("system")?, options: fields.object("options")? };
    // Upstream reads it, too, and shows the model's own.
    fields.string("template")?;
    let memory = turn.pause();
    let names = lookup::meant(&requested)?;
    let shown = lookup::with_store(&state, move |store| {
        // Here upstream shows the name that it looked for, which is the last.
        let short = names.last().map(ToString::to_string).unwrap_or_default();
        let model = lookup::find(store, &names, &short)?;
        let mut shown = describe(&model, asked);
        if is_copilot {
            shown.model_info.insert("general.basename".into(), requested.into());
        }
        Ok(shown)
    })
    .await?;
    // With the whole vocabulary that is megabytes.
    body::long_json(body::JSON, memory, move || shown).await
}

/// The model a management route is about: `model`, or `name` as old clients have it.
pub(super) fn named_model(fields: &mut Fields) -> Result<String, ApiError> {
    let (model, name) = (fields.string("model")?, fields.string("name")?);
    let named = if model.is_empty() { name } else { model };
    if named.is_empty() { Err(ApiError::ModelRequired) } else { Ok(named) }
}

/// What `/api/show` answers for a model, for callers that have the store at hand and no server.
pub fn describe_model(model: &Model) -> impl Serialize + use<> {
    describe(model, Asked::default())
}

/// What a request wants to see otherwise than it is.
#[derive(Debug, Default)]
struct Asked {
    /// All values of `model_info`, however long.
    verbose: bool,
    /// In the place of the model's system message, unless it is empty.
    system: String,
    /// Over the model's parameters, in the Modelfile.
    options: Map<String, Value>,
}

fn describe(model: &Model, asked: Asked) -> Shown {
    let Asked { verbose, system, options } = asked;
    let manifest = &model.manifest;
    let template = template_of(model);
    let system = if system.is_empty() { manifest.system.clone().unwrap_or_default() } else { system };
    let license = manifest.license.clone().unwrap_or_default();
    let mut model_info = manifest.model_info.clone();
    model_info.remove("general.name");
    model_info.remove("tokenizer.chat_template");
    for (key, name) in INFO_KEYS {
        if let Some(value) = manifest.custom.info.get(name) {
            model_info.insert(key.replace("ARCH", &manifest.family), value.clone());
        }
    }
    if verbose {
        spell_vocabulary(model, &mut model_info);
    } else {
        let lists = model_info.values_mut().filter_map(Value::as_array_mut);
        lists.filter(|items| items.len() > SHORT_LIST).for_each(Vec::clear);
    }
    let mut own_and_asked = manifest.parameters.clone();
    own_and_asked.extend(options);
    Shown {
        modelfile: modelfile(model, &template, &system, &own_and_asked, &license),
        parameters: parameters(&manifest.parameters),
        license,
        template,
        system,
        details: Details::with_parent(manifest),
        model_info,
        messages: manifest.custom.messages.clone(),
        capabilities: listed_capabilities(model),
        modified_at: time::local(model.modified),
        requires: manifest.custom.requires.clone(),
    }
}

/// The chat template; a broken tokenizer beside it is no reason to hide the rest of the model.
fn template_of(model: &Model) -> String {
    if model.encoder().is_some() {
        return String::new();
    }
    match model.text() {
        Ok(text) => text.template_source().unwrap_or_default().to_owned(),
        Err(error) => {
            tracing::warn!(model = %model.name, %error, "cannot show the template");
            String::new()
        }
    }
}

/// Puts the names of all tokens where an import has left them out, because the tokenizer's own file has them.
fn spell_vocabulary(model: &Model, model_info: &mut Map<String, Value>) {
    let tokens = model_info.get_mut(TOKENS).and_then(Value::as_array_mut).filter(|tokens| tokens.is_empty());
    let Some(tokens) = tokens else { return };
    match model.text() {
        Ok(text) => {
            let names = (0..).take(text.vocab_len()).map(|id| text.token_name(id).unwrap_or_default().into());
            tokens.extend(names);
        }
        Err(error) => tracing::warn!(model = %model.name, %error, "cannot show the vocabulary"),
    }
}

/// One line per value: the name in a column, then the value, strings quoted.
fn parameters(parameters: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    for (name, value) in parameters {
        match value {
            Value::Array(values) => lines.extend(values.iter().map(|value| parameter_line(name, value))),
            value => lines.push(parameter_line(name, value)),
        }
    }
    lines.join("\n")
}

fn parameter_line(name: &str, value: &Value) -> String {
    format!("{name:PARAMETER_WIDTH$} {value}")
}

/// The Modelfile that would make this model again. What `ax650 create` would refuse in one is left out: parameters of
/// no effect here, and messages of roles that only a client gives.
fn modelfile(
    model: &Model,
    template: &str,
    system: &str,
    own_and_asked: &Map<String, Value>,
    license: &str,
) -> String {
    let mut text = String::from("# Modelfile generated by \"ollama show\"\n");
    text.push_str("# To build a new Modelfile based on this, replace FROM with:\n");
    // Writing to a String cannot fail.
    write!(text, "# FROM {}\n\nFROM {}\n", model.name, model.dir.display()).ok();
    if !template.is_empty() {
        writeln!(text, "TEMPLATE {}", quoted(template)).ok();
    }
    if !system.is_empty() {
        writeln!(text, "SYSTEM {}", quoted(system)).ok();
    }
    for line in parameters(&settable(own_and_asked)).lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        writeln!(text, "PARAMETER {name} {}", value.trim_start()).ok();
    }
    let has_role = |message: &&Message| modelfile::ROLES.contains(&message.role.as_str());
    for message in model.history().iter().filter(has_role) {
        writeln!(text, "MESSAGE {} {}", message.role, quoted(&message.content)).ok();
    }
    if let Some(version) = &model.manifest.custom.requires {
        let is_word = !version.contains(|c: char| c.is_whitespace() || c == '"');
        writeln!(text, "REQUIRES {}", if is_word { version.clone() } else { quoted(version) }).ok();
    }
    if !license.is_empty() {
        writeln!(text, "LICENSE {}", quoted(license)).ok();
    }
    text
}

/// The parameters that a Modelfile may set.
fn settable(parameters: &Map<String, Value>) -> Map<String, Value> {
    let checked = |(name, value): (&String, &Value)| {
        parameters::check(name, value.clone()).ok().map(|value| (name.clone(), value))
    };
    parameters.iter().filter_map(checked).collect()
}

/// A Modelfile string: three quotes where one would end too early.
fn quoted(text: &str) -> String {
    if text.contains('"') || text.contains('\n') {
        format!("\"\"\"{text}\"\"\"")
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_lines_that_clients_can_split() {
        let map = json!({"stop": ["<|im_end|>", "a b"], "temperature": 0.5});
        assert_eq!(
            parameters(map.as_object().unwrap()),
            "stop                           \"<|im_end|>\"\n\
             stop                           \"a b\"\n\
             temperature                    0.5"
        );
    }

    #[test]
    fn strings_of_a_modelfile() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("two\nlines"), "\"\"\"two\nlines\"\"\"");
    }
}
