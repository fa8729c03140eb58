//! The request of `/api/create`, read and checked as far as that goes without the store.

use serde_json::{Map, Value, json};

use super::super::chat::message;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::lookup;
use crate::models::blobs::Digest;
use crate::models::changes::Changes;
use crate::models::name::ModelName;
use crate::models::parameters;
use crate::text::{ChatTemplate, TextError};

/// Most files that one request may name.
const MAX_FILES: usize = 1024;

/// What is to be made of what.
#[derive(Debug, PartialEq)]
pub(super) struct CreateRequest {
    pub(super) name: ModelName,
    pub(super) material: Material,
    pub(super) changes: Changes,
    pub(super) streamed: bool,
}

/// What a model is made of.
#[derive(Debug, PartialEq)]
pub(super) enum Material {
    /// Another model, by the names that it may have; see [`lookup::meant`].
    Model(Vec<ModelName>),
    /// An uploaded file: what the client calls it, and its digest.
    File(String, Digest),
}

impl CreateRequest {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("CreateRequest", body)?;
        let files = files(&mut fields, "files")?;
        refuse(&mut fields)?;
        let (model, name) = (fields.string("model")?, fields.string("name")?);
        let name = if model.is_empty() { name } else { model };
        let name = name.parse().map_err(|_| ApiError::InvalidModelName)?;
        let from = fields.string("from")?;
        let material = match (from.is_empty(), files) {
            (false, _) => Material::Model(lookup::meant(&from)?),
            (true, None) => return Err(bad("neither 'from' or 'files' was specified")),
            (true, Some(files)) => file(files)?,
        };
        Ok(Self {
            name,
            material,
            changes: changes(&mut fields)?,
            streamed: fields.boolean("stream")?.unwrap_or(true),
        })
    }
}

fn bad(text: impl Into<String>) -> ApiError {
    ApiError::BadRequest(text.into())
}

/// A field with files by name; `None` if it is not there.
fn files(fields: &mut Fields, field: &'static str) -> Result<Option<Map<String, Value>>, ApiError> {
    let Some(value) = fields.take(field) else { return Ok(None) };
    let Value::Object(files) = value else {
        return Err(fields.mismatch(field, &value, "map[string]string"));
    };
    if files.keys().all(|name| is_clean(name)) {
        Ok(Some(files))
    } else {
        Err(bad("file path must be relative"))
    }
}

/// Whether a path is relative and has no part that leads elsewhere.
fn is_clean(path: &str) -> bool {
    path.split(['/', '\\']).all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\0')
}

/// The one file that a model can be made of.
fn file(files: Map<String, Value>) -> Result<Material, ApiError> {
    if files.len() > MAX_FILES {
        return Err(bad("too many files"));
    }
    let digests = files.into_iter().map(|(name, digest)| {
        let digest = digest.as_str().unwrap_or_default().parse::<Digest>();
        Ok((name, digest.map_err(|error| bad(error.to_string()))?))
    });
    let mut files = digests.collect::<Result<Vec<_>, ApiError>>()?;
    match (files.pop(), files.is_empty()) {
        (None, _) => Err(bad("no files provided to convert")),
        (Some((name, digest)), true) => Ok(Material::File(name, digest)),
        (Some(_), false) => Err(bad("only one file can be converted: a model in GGUF format")),
    }
}

/// Refuses what changes how upstream converts or runs a model, and is settled here when it is compiled.
fn refuse(fields: &mut Fields) -> Result<(), ApiError> {
    for (field, what) in [
        ("adapters", "adapters are not supported: an adapter is merged before a model is compiled"),
        ("draft_files", "draft models are not supported"),
    ] {
        if files(fields, field)?.is_some_and(|files| !files.is_empty()) {
            return Err(bad(what));
        }
    }
    for (field, what) in [
        (
            "quantize",
            "quantization is only supported for F16 and F32 models, and is done by `ax650 create` here",
        ),
        (
            "quantization",
            "quantization is only supported for F16 and F32 models, and is done by `ax650 create` here",
        ),
        ("draft_quantize", "draft models are not supported"),
        ("renderer", "renderers are not supported: models here have templates; give template instead"),
        ("parser", "parsers are not supported: how answers are read follows from the model's template"),
        ("remote_host", "remote models are not supported"),
    ] {
        if !fields.string(field)?.is_empty() {
            return Err(bad(what));
        }
    }
    Ok(())
}

fn changes(fields: &mut Fields) -> Result<Changes, ApiError> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let template = given(fields.string("template")?);
    if let Some(template) = &template {
        check_template(template)?;
    }
    let mut checked = Map::new();
    for (name, value) in fields.object("parameters")? {
        let value = match value {
            Value::Null => continue,
            // As in the options of a request: of no effect here, and shown.
            value if parameters::is_unknown(&name) => value,
            _ if !parameters::is_known(&name) => {
                tracing::warn!(?name, "a parameter is left out: it is not called as parameters are");
                continue;
            }
            value => parameters::check(&name, value).map_err(|error| bad(error.to_string()))?,
        };
        checked.insert(name, value);
    }
    Ok(Changes {
        template,
        system: given(fields.string("system")?),
        licenses: licenses(fields)?,
        parameters: checked,
        messages: fields.array("messages")?.into_iter().map(stored).collect::<Result<_, _>>()?,
        info: info(fields)?,
        requires: given(fields.string("requires")?),
    })
}

/// Says what is wrong with a template that a model is to have.
fn check_template(template: &str) -> Result<(), ApiError> {
    match ChatTemplate::given(template.to_owned(), None, None) {
        Ok(_) => Ok(()),
        Err(TextError::Template(reason)) => Err(bad(format!("template error: {reason}"))),
        Err(error) => Err(bad(format!("template error: {error}"))),
    }
}

/// One licence, or several.
fn licenses(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let texts = match fields.take("license") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => {
            let texts = texts.iter().map(|text| text.as_str().map(str::to_owned));
            texts
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| bad("license must be a string or a list of strings"))?
        }
        Some(_) => return Err(bad("license must be a string or a list of strings")),
    };
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

/// A message of the history as it is stored: checked as one of a request.
fn stored(value: Value) -> Result<Value, ApiError> {
    let message = message(value)?;
    if message.role.is_empty() {
        return Err(bad("a message needs a role"));
    }
    if message.extra.contains_key("images") {
        return Err(bad("images are not supported in the history of a model"));
    }
    let mut object = Map::from_iter([
        ("role".to_owned(), json!(message.role)),
        ("content".to_owned(), json!(message.content)),
    ]);
    object.extend(message.extra.into_iter().collect::<Vec<_>>());
    Ok(Value::Object(object))
}

/// What listings are to say of the model.
fn info(fields: &mut Fields) -> Result<Map<String, Value>, ApiError> {
    let mut info = Map::new();
    for (name, value) in fields.object("info")? {
        let wrong = |what: &str| Err(bad(format!("info field {name:?} must be {what}")));
        match name.as_str() {
            "model_family" | "base_name" | "quantization_level" | "parameter_size" if !value.is_string() => {
                return wrong("a string");
            }
            "context_length" | "embedding_length" if !value.is_number() => return wrong("a number"),
            "context_length" | "embedding_length" if whole(&value).is_none() => {
                return wrong("a non-negative integer");
            }
            "capabilities" if !is_texts(&value) => return wrong("an array of strings"),
            "model_family" | "base_name" | "quantization_level" | "parameter_size" | "capabilities" => {
                info.insert(name, value);
            }
            "context_length" | "embedding_length" => {
                info.insert(name, json!(whole(&value)));
            }
            // Upstream takes other keys into the model's configuration, where nothing reads them.
            _ => {}
        }
    }
    Ok(info)
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

/// A number that is whole and not negative, also when it is written as a float.
fn whole(value: &Value) -> Option<u64> {
    let float = value.as_f64().filter(|float| *float >= 0.0 && float.fract() == 0.0 && *float < 9e15)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let cut = float as u64;
    Some(value.as_u64().unwrap_or(cut))
}
