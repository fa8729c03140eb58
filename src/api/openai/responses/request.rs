//! The request of `/v1/responses`, and what it asks in native terms.

use serde_json::{Map, Value, json};

use super::input;
use super::tools::{Grouped, Tools};
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{AskSettings, ChatAsk, Format};
use crate::api::openai::content;
use crate::text::ToolChoice;

/// Everything that is answered to, and what of it the answer repeats. `previous_response_id`, `conversation`, `include`
/// and whatever else needs a memory or another server are passed over, as upstream does.
#[derive(Debug)]
pub(crate) struct ResponsesRequest {
    /// What is asked of the model.
    pub(crate) ask: ChatAsk,
    /// Whether the answer comes in events.
    pub(crate) stream: bool,
    /// Group and function by the name that the model sees.
    pub(super) grouped: Grouped,
    /// What the answer repeats.
    pub(super) echo: Echo,
}

/// The parts of a request that stand in its answer, too.
#[derive(Debug, Clone)]
pub(super) struct Echo {
    pub(super) model: String,
    pub(super) instructions: Option<String>,
    pub(super) tools: Vec<Value>,
    pub(super) tool_choice: Value,
    pub(super) truncation: String,
    pub(super) text_format: Value,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    pub(super) reasoning: Option<Value>,
    pub(super) max_output_tokens: Option<i64>,
    pub(super) background: bool,
}

impl ResponsesRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 with the text that upstream has for the case, where it has one.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("ResponsesRequest", body)?;
        let (model, instructions) = (fields.string("model")?, fields.string("instructions")?);
        let messages = input::messages(&instructions, fields.take("input"))?;
        let max_output_tokens = fields.integer("max_output_tokens")?;
        let (temperature, top_p) = (fields.float("temperature")?, fields.float("top_p")?);
        let (effort, reasoning) = reasoning(&mut fields)?;
        let (format, text_format) = text_format(&mut fields)?;
        let raw_tools = fields.array("tools")?;
        let tools = Tools::parse(raw_tools.clone())?;
        let raw_choice = fields.take("tool_choice");
        let tool_choice = content::tool_choice(raw_choice.as_ref(), &tools.functions);

        let temperature = temperature.unwrap_or(1.0);
        let mut options = Map::from_iter([("temperature".to_owned(), temperature.into())]);
        // Unlike in the other routes of the family, the model's own value counts where none is given.
        options.extend(top_p.map(|top_p| ("top_p".to_owned(), top_p.into())));
        options.extend(max_output_tokens.map(|limit| ("num_predict".to_owned(), limit.into())));
        let truncation = fields.string("truncation")?;
        let echo = Echo {
            model: model.clone(),
            instructions: Some(instructions).filter(|text| !text.is_empty()),
            tools: raw_tools,
            // What is passed over is not repeated either.
            tool_choice: raw_choice
                .filter(|_| tool_choice != ToolChoice::Auto)
                .unwrap_or_else(|| "auto".into()),
            truncation: if truncation.is_empty() { "disabled".to_owned() } else { truncation },
            text_format,
            temperature,
            top_p: top_p.unwrap_or(1.0),
            reasoning,
            max_output_tokens,
            background: fields.boolean("background")?.unwrap_or(false),
        };
        let settings =
            AskSettings { options, think: content::think(&effort)?, format, ..AskSettings::default() };
        let ask = ChatAsk { model, messages, tools: tools.functions, tool_choice, settings };
        let stream = fields.boolean("stream")?.unwrap_or(false);
        Ok(Self { ask, stream, grouped: tools.grouped, echo })
    }
}

/// The effort, and what the answer says of it.
fn reasoning(fields: &mut Fields) -> Result<(String, Option<Value>), ApiError> {
    let Some(mut reasoning) = fields.nested("reasoning", "ResponsesReasoning")? else {
        return Ok((String::new(), None));
    };
    let (effort, summary) = (reasoning.string("effort")?, reasoning.string("summary")?);
    let said = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let is_said = !(effort.is_empty() && summary.is_empty());
    let echo = is_said.then(|| json!({"effort": said(&effort), "summary": said(&summary)}));
    Ok((effort, echo))
}

/// `text.format`, and what the answer says of it.
fn text_format(fields: &mut Fields) -> Result<(Format, Value), ApiError> {
    let text = fields.nested("text", "ResponsesText")?;
    let Some(format) = text.and_then(|mut text| text.take("format")) else {
        return Ok((Format::None, json!({"type": "text"})));
    };
    let echo = format.clone();
    let mut format = Fields::from_value("ResponsesTextFormat", format)?;
    let (kind, schema) = (format.string("type")?, format.take("schema"));
    let is_strict = format.take("strict") == Some(Value::Bool(true));
    Ok((content::format(&kind, schema).strictly(is_strict), echo))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &Value) -> Result<ResponsesRequest, ApiError> {
        ResponsesRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_request_of_the_official_client() {
        let request = parse(&json!({
            "model": "m", "input": "hi", "instructions": "be brief", "max_output_tokens": 7, "stream": true, "store": true,
            "include": ["reasoning.encrypted_content"], "previous_response_id": null, "reasoning": {"effort": "high", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": true}},
            "tools": [{"type": "function", "name": "f", "parameters": {}}], "tool_choice": {"type": "function", "name": "f"}
        }))
        .unwrap();
        let settings = &request.ask.settings;
        assert_eq!(Value::Object(settings.options.clone()), json!({"temperature": 1.0, "num_predict": 7}));
        assert_eq!(settings.think.level.as_deref(), Some("high"));
        assert_eq!(settings.format, Format::Schema { schema: json!({"type": "object"}), strict: true });
        assert_eq!(request.ask.tool_choice, ToolChoice::Named("f".into()));
        assert_eq!(request.ask.messages.len(), 2);
        assert_eq!(request.echo.reasoning, Some(json!({"effort": "high", "summary": "auto"})));
        assert_eq!(
            (request.echo.truncation.as_str(), request.echo.top_p, request.stream),
            ("disabled", 1.0, true)
        );
    }

    #[test]
    fn what_is_refused() {
        for body in [
            json!({"model": "m", "input": "x", "reasoning": {"effort": "odd"}}),
            json!({"model": "m", "input": "x", "max_output_tokens": "7"}),
        ] {
            assert_eq!(parse(&body).unwrap_err().status().as_u16(), 400, "{body}");
        }
    }
}
