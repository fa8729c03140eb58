//! `POST /api/generate`: one prompt, one completion.

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;

use super::answer::Route;
use super::common::{Common, capabilities};
use super::options::Options;
use super::prompt::{Prompt, Window};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup};
use crate::models::model::Model;
use crate::text::{Message, TextModel, TokenId};

/// Why a client's template is refused: rendering the prompt some other way than asked would answer another question.
const NO_TEMPLATE: &str = "template is not available in this version: models here carry Jinja chat templates and a Go \
    template cannot be applied; leave template out, or set raw and render the prompt yourself";

#[derive(Debug)]
struct GenerateRequest {
    common: Common,
    prompt: String,
    suffix: String,
    system: String,
    template: String,
    context: Vec<TokenId>,
    raw: bool,
    has_images: bool,
}

impl GenerateRequest {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("GenerateRequest", body)?;
        let context = fields.array("context")?;
        Ok(Self {
            common: Common::take(&mut fields)?,
            prompt: fields.string("prompt")?,
            suffix: fields.string("suffix")?,
            system: fields.string("system")?,
            template: fields.string("template")?,
            context: context.iter().map(|id| token(&fields, id)).collect::<Result<_, _>>()?,
            raw: fields.boolean("raw")?.unwrap_or(false),
            has_images: !fields.array("images")?.is_empty(),
        })
    }
}

fn token(fields: &Fields, value: &Value) -> Result<TokenId, ApiError> {
    let id = crate::api::fields::integer(value).and_then(|id| TokenId::try_from(id).ok());
    id.ok_or_else(|| fields.mismatch("context", value, "int"))
}

/// The handler.
pub(crate) async fn generate(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let mut ask = turn.run(move || GenerateRequest::parse(&body)).await?;
    if ask.common.model.is_empty() {
        return Err(ApiError::ModelNotFound(String::new()));
    }
    let model = lookup::model(&state, &ask.common.model).await?;
    if ask.prompt.is_empty() && ask.common.unloads() {
        drop(turn);
        return ask.common.load_or_unload(&state, model, Route::Generate { context: None }).await;
    }
    if ask.raw && (!ask.template.is_empty() || !ask.system.is_empty() || !ask.context.is_empty()) {
        return Err(ApiError::RawConflict);
    }
    let mut options = check(&ask, &model)?;
    if ask.prompt.is_empty() {
        drop(turn);
        return ask.common.load_or_unload(&state, model, Route::Generate { context: None }).await;
    }
    let turn = ask.common.learn_context(&state, &model, turn).await?;
    let (truncate, shift) = (ask.common.truncate, ask.common.shift);
    let window = Window::new(model.context_len(), state.settings.context_length, &options, truncate, shift);
    let (raw, asked_model) = (ask.raw, std::sync::Arc::clone(&model));
    let prepare = move || {
        let text = asked_model.text()?;
        let tokens = tokens(&ask, &asked_model, &text, &window)?;
        // Raw mode knows no template, and so no tags.
        let thinks = ask.common.thinks(&asked_model).filter(|_| !ask.raw);
        let prompt = Prompt::new(tokens, &text, thinks, ask.common.render_only)?;
        Ok((ask.common, prompt))
    };
    let (common, prompt) = turn.run(prepare).await?;
    drop(turn);
    window.limit_answer(prompt.tokens.len(), &mut options);
    let context = (!raw).then(|| prompt.tokens.clone());
    common.generate(&state, model, prompt, options, Route::Generate { context }).await
}

/// Refuses what this model or this version cannot do.
fn check(ask: &GenerateRequest, model: &Model) -> Result<Options, ApiError> {
    let quoted = || format!("{:?}", ask.common.model);
    if !capabilities(model).contains(&"completion") {
        return Err(ApiError::Unsupported { model: quoted(), capability: "generate" });
    }
    if !ask.suffix.is_empty() {
        // No layout of these models has a place for the text after the gap, whatever their template says.
        return Err(ApiError::Unsupported { model: model.name.canonical(), capability: "insert" });
    }
    let options = ask.common.check(model)?;
    if ask.has_images {
        return Err(ApiError::Unsupported { model: quoted(), capability: "vision" });
    }
    Ok(options)
}

/// The prompt as tokens. `context` goes before it as it is: its tokens are exactly what the model saw and said.
fn tokens(
    ask: &GenerateRequest,
    model: &Model,
    text: &TextModel,
    window: &Window,
) -> Result<Vec<TokenId>, ApiError> {
    // A client may hand back what `/api/show` gave it.
    if !ask.template.is_empty() && text.template_source().map(str::trim) != Some(ask.template.trim()) {
        return Err(ApiError::NotImplemented(NO_TEMPLATE));
    }
    if ask.raw {
        return window.fit_tokens(text.encode_prompt(&ask.prompt)?);
    }
    let system = if ask.system.is_empty() {
        model.manifest.system.as_deref().unwrap_or_default()
    } else {
        &ask.system
    };
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(Message::new("system", system));
    }
    messages.push(Message::new("user", ask.prompt.as_str()));
    let render = ask.common.render_options(model);
    if ask.context.is_empty() {
        return window.fit_chat(text, &messages, &render);
    }
    if let Some(unknown) = ask.context.iter().find(|&&id| id as usize >= model.vocab()) {
        let vocab = model.vocab();
        return Err(ApiError::BadRequest(format!(
            "context: token {unknown} is not below the vocabulary size {vocab}"
        )));
    }
    let rendered = text.encode(&text.render(&messages, &render)?, false)?;
    window.fit_tokens([ask.context.as_slice(), &rendered].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<GenerateRequest, ApiError> {
        GenerateRequest::parse(body.as_bytes())
    }

    #[test]
    fn null_is_absent_for_every_field() {
        let ask = parse(
            r#"{"model":"m","prompt":null,"suffix":null,"system":null,"template":null,"context":null,"stream":null,
                "raw":null,"format":null,"keep_alive":null,"images":null,"options":null,"think":null,"truncate":null,
                "shift":null,"logprobs":null,"top_logprobs":null,"width":64}"#,
        )
        .unwrap();
        assert!(ask.common.stream && ask.common.truncate && ask.common.shift && !ask.raw && !ask.has_images);
        assert_eq!(ask.common.keep_alive, None);
    }

    #[test]
    fn wrong_types_are_refused_by_field() {
        for (body, part) in [
            (r#"{"prompt":1}"#, "GenerateRequest.prompt of type string"),
            (r#"{"context":["a"]}"#, "cannot unmarshal string into Go struct field GenerateRequest.context"),
            (r#"{"context":[-1]}"#, "GenerateRequest.context"),
            (r#"{"options":[]}"#, "GenerateRequest.options"),
            (r#"{"top_logprobs":21}"#, "top_logprobs must be between 0 and 20"),
            (r#"{"top_logprobs":-1}"#, "top_logprobs must be between 0 and 20"),
            (r#"{"keep_alive":"10"}"#, "time: missing unit in duration \"10\""),
        ] {
            let error = parse(body).unwrap_err();
            assert_eq!(error.status().as_u16(), 400);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
