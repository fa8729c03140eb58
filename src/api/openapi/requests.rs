//! The requests, as the readers of the routes take them apart.
#![expect(dead_code, reason = "nothing is ever put into these: only their schemas are asked for")]

pub(crate) mod anthropic;
pub(crate) mod ollama;
pub(crate) mod openai;

use utoipa::ToSchema;

/// A text, or several.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// A function that the model may call.
#[derive(ToSchema)]
pub(crate) struct Tool {
    #[schema(example = "function", pattern = "^function$")]
    r#type: String,
    function: Function,
}

/// What it is called, what it does, and what it takes.
#[derive(ToSchema)]
pub(crate) struct Function {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    description: Option<String>,
    /// A JSON schema of type object.
    parameters: Option<Parameters>,
}

/// The arguments of a function, as a JSON schema of type object.
#[derive(ToSchema)]
pub(crate) struct Parameters {
    #[schema(pattern = "^object$")]
    r#type: String,
    #[schema(value_type = Option<Object>)]
    properties: Option<serde_json::Value>,
    required: Option<Vec<String>>,
}

/// Whether the model must call a tool, and which.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ToolChoice {
    Word(ChoiceWord),
    One(NamedTool),
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChoiceWord {
    Auto,
    None,
    Required,
}

#[derive(ToSchema)]
pub(crate) struct NamedTool {
    #[schema(pattern = "^function$")]
    r#type: String,
    function: ToolName,
}

#[derive(ToSchema)]
pub(crate) struct ToolName {
    name: String,
}
