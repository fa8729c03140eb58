//! The request of `/v1/messages`, and what it asks in native terms.

use serde_json::{Map, Value};

use super::content;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{AskSettings, ChatAsk, Format, Think};
use crate::api::openai::content::possible;
use crate::text::{Message, Tool, ToolChoice};

/// The fields that count. `metadata` and whatever else clients send are passed over, as upstream does.
#[derive(Debug)]
pub(crate) struct MessagesRequest {
    /// Name of the model.
    pub(crate) model: String,
    /// At most this many tokens; more than 0.
    pub(crate) max_tokens: i64,
    /// `system` and `messages`, in their native form.
    pub(crate) messages: Vec<Message>,
    /// Whether the answer comes in events.
    pub(crate) stream: bool,
    /// Randomness; absent, it is the model's own.
    pub(crate) temperature: Option<f64>,
    /// The share of probability that is chosen from.
    pub(crate) top_p: Option<f64>,
    /// The number of tokens that are chosen from.
    pub(crate) top_k: Option<i64>,
    /// Texts that end the answer.
    pub(crate) stop_sequences: Vec<String>,
    /// What the model may call. Tools that Anthropic runs on its own side are left out: here nobody could run them.
    pub(crate) tools: Vec<Tool>,
    /// Whether it must.
    pub(crate) tool_choice: ToolChoice,
    /// `thinking`, or else `output_config.effort`.
    pub(crate) think: Think,
    /// `output_config.format`.
    pub(crate) format: Format,
}

impl MessagesRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 with the text that upstream has for the case, in its order.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("MessagesRequest", body)?;
        let model = fields.string("model")?;
        let max_tokens = fields.integer("max_tokens")?.unwrap_or(0);
        let messages = fields.array("messages")?;
        if model.is_empty() {
            return Err(ApiError::ModelRequired);
        }
        if max_tokens <= 0 {
            return Err(ApiError::BadRequest("max_tokens is required and must be positive".into()));
        }
        if messages.is_empty() {
            return Err(ApiError::BadRequest("messages is required".into()));
        }
        let messages = content::messages(fields.take("system"), messages)?;
        let tools = tools(fields.array("tools")?)?;
        let tool_choice = tool_choice(fields.take("tool_choice").as_ref(), &tools);
        let mut config = fields.nested("output_config", "OutputConfig")?;
        Ok(Self {
            model,
            max_tokens,
            messages,
            stream: fields.boolean("stream")?.unwrap_or(false),
            temperature: fields.float("temperature")?,
            top_p: fields.float("top_p")?,
            top_k: fields.integer("top_k")?,
            stop_sequences: stop_sequences(&mut fields)?,
            tools,
            tool_choice,
            think: think(&mut fields, config.as_mut())?,
            format: format(config.as_mut())?,
        })
    }

    /// The same in native terms. What is not said is left to the model's own parameters.
    pub(crate) fn into_ask(self) -> ChatAsk {
        let mut options = Map::new();
        options.insert("num_predict".into(), self.max_tokens.into());
        let numbers = [
            ("temperature", self.temperature.map(Value::from)),
            ("top_p", self.top_p.map(Value::from)),
            ("top_k", self.top_k.map(Value::from)),
            ("stop", (!self.stop_sequences.is_empty()).then(|| self.stop_sequences.into())),
        ];
        options.extend(numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        ChatAsk {
            model: self.model,
            messages: self.messages,
            tools: self.tools,
            tool_choice: self.tool_choice,
            settings: AskSettings {
                options,
                think: self.think,
                format: self.format,
                ..AskSettings::default()
            },
        }
    }
}

fn stop_sequences(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let texts = fields.array("stop_sequences")?.into_iter().map(|text| match text {
        Value::String(text) => Ok(text),
        other => Err(fields.mismatch("stop_sequences", &other, "string")),
    });
    texts.collect()
}

fn tools(values: Vec<Value>) -> Result<Vec<Tool>, ApiError> {
    let mut tools = Vec::new();
    for value in values {
        let mut fields = Fields::from_value("Tool", value)?;
        if !matches!(fields.string("type")?.as_str(), "" | "custom" | "function") {
            continue;
        }
        let (name, description) = (fields.string("name")?, fields.string("description")?);
        if name.is_empty() {
            return Err(ApiError::BadRequest("a tool has no name; every tool needs one".into()));
        }
        let schema = match fields.take("input_schema") {
            None => Value::Null,
            Some(schema @ Value::Object(_)) => schema,
            Some(_) => {
                return Err(ApiError::BadRequest(format!(
                    "invalid input_schema for tool {name:?}: it must be an object"
                )));
            }
        };
        let strict = fields.boolean("strict")?.unwrap_or(false);
        tools.push(Tool::new(name, description, schema, strict));
    }
    Tool::check_number(tools.len())?;
    Ok(tools)
}

/// Upstream passes the choice over: so does this in a form that is not known, or where there is nothing to demand.
fn tool_choice(value: Option<&Value>, tools: &[Tool]) -> ToolChoice {
    let said = |field: &str| value.and_then(|choice| choice.get(field)).and_then(Value::as_str);
    let choice = match (said("type"), said("name")) {
        (Some("none"), _) => ToolChoice::None,
        (Some("any"), _) => ToolChoice::Required,
        (Some("tool"), Some(name)) => ToolChoice::Named(name.to_owned()),
        _ => ToolChoice::Auto,
    };
    possible(choice, tools)
}

/// Asked of a model that cannot think, thinking is dropped: clients of this family ask it of all models.
fn think(fields: &mut Fields, config: Option<&mut Fields>) -> Result<Think, ApiError> {
    let (said, budget) = match fields.nested("thinking", "ThinkingConfig")? {
        None => (String::new(), None),
        Some(mut thinking) => (thinking.string("type")?, thinking.integer("budget_tokens")?),
    };
    let effort = config.map(|config| config.string("effort")).transpose()?.unwrap_or_default();
    let effort = effort.trim().to_lowercase();
    let value = match (said.as_str(), effort.as_str()) {
        ("enabled", _) => Some(Value::Bool(true)),
        ("disabled", _) => Some(Value::Bool(false)),
        (_, "low" | "medium" | "high" | "max") => Some(effort.into()),
        (_, "xhigh") => Some("high".into()),
        _ => None,
    };
    let budget = budget.and_then(|tokens| usize::try_from(tokens).ok());
    Ok(Think { lenient: true, budget, ..Think::parse(value)? })
}

fn format(config: Option<&mut Fields>) -> Result<Format, ApiError> {
    let Some(config) = config else { return Ok(Format::None) };
    let Some(mut format) = config.nested("format", "OutputFormat")? else { return Ok(Format::None) };
    match (format.string("type")?.as_str(), format.take("schema")) {
        ("json_schema", Some(schema)) => Ok(Format::parse(Some(schema))),
        ("json_schema", None) => {
            Err(ApiError::BadRequest("an output_config.format of type json_schema needs a schema".into()))
        }
        (other, _) => Err(ApiError::BadRequest(format!(
            "unknown output_config.format type {other:?}; it must be json_schema"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(more: &Value) -> Result<MessagesRequest, ApiError> {
        let mut body =
            json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        MessagesRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_request_of_the_official_client() {
        let ask = parse(&json!({
            "system": [{"type": "text", "text": "be "}, {"type": "text", "text": "brief", "cache_control": {"type": "ephemeral"}}],
            "temperature": 0.5, "top_k": 3, "stop_sequences": ["x"], "metadata": {"user_id": "u"},
            "tools": [
                {"name": "f", "description": "does", "input_schema": {"type": "object"}},
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
            ],
            "tool_choice": {"type": "tool", "name": "f"}, "thinking": {"type": "enabled", "budget_tokens": 1024}
        }))
        .unwrap()
        .into_ask();
        assert_eq!(ask.messages[0], Message::new("system", "be brief"));
        assert_eq!(ask.messages[1], Message::new("user", "hi"));
        let options = json!({"num_predict": 5, "temperature": 0.5, "top_k": 3, "stop": ["x"]});
        assert_eq!(Value::Object(ask.settings.options), options);
        let names: Vec<&str> = ask.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!((names, ask.tool_choice), (vec!["f"], ToolChoice::Named("f".into())));
        let think = ask.settings.think;
        assert_eq!((think.enabled, think.lenient, think.budget), (Some(true), true, Some(1024)));
    }

    #[test]
    fn choices_that_can_be_met() {
        for (choice, wanted) in [
            (json!({"type": "any", "disable_parallel_tool_use": true}), ToolChoice::Required),
            (json!({"type": "none"}), ToolChoice::None),
            (json!({"type": "tool", "name": "f"}), ToolChoice::Named("f".into())),
            (json!({"type": "tool", "name": "nope"}), ToolChoice::Auto),
            (json!({"type": "odd"}), ToolChoice::Auto),
            (json!("any"), ToolChoice::Auto),
        ] {
            let ask = parse(&json!({"tools": [{"name": "f"}], "tool_choice": choice})).unwrap();
            assert_eq!(ask.tool_choice, wanted, "{choice}");
        }
        assert_eq!(parse(&json!({"tool_choice": {"type": "any"}})).unwrap().tool_choice, ToolChoice::Auto);
    }

    #[test]
    fn thinking_and_effort() {
        for (more, enabled, level) in [
            (json!({}), None, None),
            (
                json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}),
                Some(false),
                None,
            ),
            (
                json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": " XHigh "}}),
                Some(true),
                Some("high"),
            ),
            (json!({"output_config": {"effort": "max"}}), Some(true), Some("max")),
            (json!({"output_config": {"effort": "odd"}}), None, None),
        ] {
            let think = parse(&more).unwrap().think;
            assert_eq!((think.enabled, think.level.as_deref()), (enabled, level), "{more}");
        }
        let schema = json!({"type": "object"});
        let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
        assert_eq!(parse(&format).unwrap().format, Format::Schema { schema, strict: false });
    }

    #[test]
    fn what_is_refused_and_in_which_order() {
        for (body, message) in [
            (json!({}), "model is required"),
            (json!({"model": "m"}), "max_tokens is required and must be positive"),
            (json!({"model": "m", "max_tokens": -1}), "max_tokens is required and must be positive"),
            (json!({"model": "m", "max_tokens": 1}), "messages is required"),
            (json!({"model": "m", "max_tokens": 1, "messages": []}), "messages is required"),
        ] {
            let error = MessagesRequest::parse(body.to_string().as_bytes()).unwrap_err();
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (400, message));
        }
        let many: Vec<Value> = (0..1025).map(|index| json!({"name": format!("f{index}")})).collect();
        for more in [
            json!({"tools": many}),
            json!({"tools": [{"input_schema": {}}]}),
            json!({"tools": [{"name": "f", "input_schema": "x"}]}),
            json!({"stop_sequences": [1]}),
            json!({"max_tokens": "many"}),
        ] {
            assert_eq!(parse(&more).unwrap_err().status().as_u16(), 400, "{more}");
        }
    }
}
