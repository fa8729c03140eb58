//! `POST /api/chat`: a conversation and the next message of it.

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::answer::Route;
use super::common::{Common, capabilities, need};
use super::options::Options;
use super::prompt::{Prompt, Window};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup};
use crate::models::model::Model;
use crate::text::Message;

#[derive(Debug)]
struct ChatRequest {
    common: Common,
    messages: Vec<Message>,
    has_tools: bool,
    has_images: bool,
}

impl ChatRequest {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("ChatRequest", body)?;
        let mut has_images = false;
        let mut messages = Vec::new();
        for item in fields.array("messages")? {
            messages.push(message(item, &mut has_images)?);
        }
        Ok(Self {
            common: Common::take(&mut fields)?,
            messages,
            has_tools: !fields.array("tools")?.is_empty(),
            has_images,
        })
    }
}

/// Reads one message; sets `has_images` if it carries any.
fn message(value: Value, has_images: &mut bool) -> Result<Message, ApiError> {
    let mut fields = Fields::from_value("Message", value)?;
    let mut message = Message::new(fields.string("role")?.to_lowercase(), fields.string("content")?);
    *has_images |= !fields.array("images")?.is_empty();
    for name in ["thinking", "tool_name", "tool_call_id"] {
        let text = fields.string(name)?;
        if !text.is_empty() {
            message.extra.insert(name.to_owned(), text.into());
        }
    }
    let mut calls = fields.array("tool_calls")?;
    calls.iter_mut().try_for_each(|call| check_call(&fields, call))?;
    if !calls.is_empty() {
        message.extra.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Ok(message)
}

/// Checks that an earlier call of the model has the form that templates rely on: a name, and arguments in an object.
fn check_call(fields: &Fields, call: &mut Value) -> Result<(), ApiError> {
    let Some(function) = call.get_mut("function").and_then(Value::as_object_mut) else {
        return Err(fields.mismatch("tool_calls", call, "api.ToolCall"));
    };
    let name = function.get("name").unwrap_or(&Value::Null);
    if !name.is_string() {
        return Err(fields.mismatch("tool_calls.function.name", name, "string"));
    }
    let arguments = function.entry("arguments").or_insert(Value::Null);
    if arguments.is_null() {
        *arguments = Value::Object(Map::new());
    }
    if !arguments.is_object() {
        return Err(fields.mismatch("tool_calls.function.arguments", arguments, "map[string]interface {}"));
    }
    Ok(())
}

/// The handler.
pub(crate) async fn chat(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let mut ask = turn.run(move || ChatRequest::parse(&body)).await?;
    if ask.common.model.is_empty() {
        return Err(ApiError::ModelRequired);
    }
    let model = lookup::model(&state, &ask.common.model).await?;
    if ask.messages.is_empty() && ask.common.unloads() {
        drop(turn);
        return ask.common.load_or_unload(&state, model, Route::Chat).await;
    }
    let mut options = check(&ask, &model)?;
    if ask.messages.is_empty() {
        drop(turn);
        return ask.common.load_or_unload(&state, model, Route::Chat).await;
    }
    let system = model.manifest.system.as_deref().unwrap_or_default();
    if !system.is_empty() && ask.messages.first().is_some_and(|first| first.role != "system") {
        ask.messages.insert(0, Message::new("system", system));
    }
    let turn = ask.common.learn_context(&state, &model, turn).await?;
    let (truncate, shift) = (ask.common.truncate, ask.common.shift);
    let window = Window::new(model.context_len(), state.settings.context_length, &options, truncate, shift);
    let asked_model = std::sync::Arc::clone(&model);
    let prepare = move || {
        let (text, render) = (asked_model.text()?, ask.common.render_options(&asked_model));
        let tokens = window.fit_chat(&text, &ask.messages, &render)?;
        let thinks = ask.common.thinks(&asked_model);
        let prompt = Prompt::new(tokens, &text, thinks, ask.common.render_only)?;
        Ok((ask.common, prompt))
    };
    let (common, prompt) = turn.run(prepare).await?;
    drop(turn);
    window.limit_answer(prompt.tokens.len(), &mut options);
    common.generate(&state, model, prompt, options, Route::Chat).await
}

/// Refuses what this model or this version cannot do.
fn check(ask: &ChatRequest, model: &Model) -> Result<Options, ApiError> {
    let quoted = || format!("{:?}", ask.common.model);
    if !capabilities(model).contains(&"completion") {
        return Err(ApiError::Unsupported { model: quoted(), capability: "chat" });
    }
    if ask.has_tools {
        need(model, "tools", model.name.canonical())?;
    }
    let options = ask.common.check(model)?;
    if ask.has_images {
        return Err(ApiError::Unsupported { model: quoted(), capability: "vision" });
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<ChatRequest, ApiError> {
        ChatRequest::parse(body.as_bytes())
    }

    #[test]
    fn messages_as_clients_send_them() {
        let ask = parse(
            r#"{"model":"m","tools":[],"messages":[
                {"role":"SYSTEM","content":"be brief"},
                {"role":"assistant","content":null,"images":[],"tool_calls":[{"function":{"name":"f","arguments":{"b":1,"a":2}}},
                    {"function":{"name":"g","arguments":null}}]},
                {"role":"tool","content":"4","tool_name":"f"}, null]}"#,
        )
        .unwrap();
        assert_eq!(ask.messages[0], Message::new("system", "be brief"));
        assert_eq!(ask.messages[1].content, "");
        let arguments = &ask.messages[1].extra["tool_calls"][0]["function"]["arguments"];
        assert_eq!(arguments.to_string(), r#"{"b":1,"a":2}"#);
        let second = &ask.messages[1].extra["tool_calls"][1]["function"];
        assert_eq!(second.to_string(), r#"{"name":"g","arguments":{}}"#);
        assert_eq!(ask.messages[2].extra["tool_name"], "f");
        assert_eq!(ask.messages[3], Message::new("", ""));
        assert!(!ask.has_tools && !ask.has_images);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for body in [
            r#"{"messages":"hi"}"#,
            r#"{"messages":["hi"]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[]}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":1,"arguments":{}}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":"f"}]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":["f"]}]}"#,
            r#"{"messages":[{"role":"assistant","tool_calls":[null]}]}"#,
            r#"{"messages":{}}"#,
        ] {
            assert_eq!(parse(body).unwrap_err().status().as_u16(), 400, "{body}");
        }
    }
}
