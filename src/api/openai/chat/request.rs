//! The request of `/v1/chat/completions`, and what it asks in native terms.

use serde_json::Value;

use super::message::ChatMessage;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{AskSettings, ChatAsk, Format, Think};
use crate::api::openai::content::{self, CallNames};
use crate::api::openai::sampling::{self, Sampling};
use crate::text::{Tool, ToolChoice};

/// Alternatives that a request may want of each token.
const TOP_LOGPROBS: std::ops::RangeInclusive<i64> = 0..=20;

/// The fields that count. `n` (there is one answer), `logit_bias`, `user`, `parallel_tool_calls`, `store`, `metadata`
/// and whatever else clients send are passed over, as upstream does.
#[derive(Debug)]
pub(crate) struct ChatCompletionRequest {
    /// Name of the model.
    pub(crate) model: String,
    /// The conversation; at least one message.
    pub(crate) messages: Vec<ChatMessage>,
    /// Whether the answer comes in chunks.
    pub(crate) stream: bool,
    /// `stream_options.include_usage`: whether a chunk with the counts of tokens goes before the end.
    pub(crate) include_usage: bool,
    /// How long the answer may be and how its tokens are chosen; `max_completion_tokens` counts where `max_tokens` is
    /// absent.
    pub(crate) sampling: Sampling,
    /// `response_format`: text, a JSON object, or what fits a schema.
    pub(crate) format: Format,
    /// What the model may call.
    pub(crate) tools: Vec<Tool>,
    /// Whether it must.
    pub(crate) tool_choice: ToolChoice,
    /// `reasoning.effort` or `reasoning_effort`.
    pub(crate) think: Think,
    /// How many alternatives of each token are reported; `None` for no probabilities at all.
    pub(crate) top_logprobs: Option<usize>,
    /// Show the prompt instead of answering it.
    pub(crate) render_only: bool,
}

impl ChatCompletionRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 with the text that upstream has for the case, where it has one.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("ChatCompletionRequest", body)?;
        let messages = fields.array("messages")?;
        if messages.is_empty() {
            return Err(ApiError::BadRequest("[] is too short - 'messages'".into()));
        }
        let completion_tokens = fields.integer("max_completion_tokens")?;
        let mut sampling = Sampling::take(&mut fields)?;
        sampling.max_tokens = sampling.max_tokens.or(completion_tokens);
        let tools = Tool::parse_all(fields.array("tools")?)?;
        let tool_choice = content::tool_choice(fields.take("tool_choice").as_ref(), &tools);
        Ok(Self {
            model: fields.string("model")?,
            messages: messages.into_iter().map(ChatMessage::parse).collect::<Result<_, _>>()?,
            stream: fields.boolean("stream")?.unwrap_or(false),
            include_usage: sampling::include_usage(&mut fields)?,
            sampling,
            format: response_format(&mut fields)?,
            tools,
            tool_choice,
            think: content::think(&content::effort(&mut fields)?)?,
            top_logprobs: top_logprobs(&mut fields)?,
            render_only: fields.boolean("_debug_render_only")?.unwrap_or(false),
        })
    }

    /// The same in native terms.
    ///
    /// # Errors
    /// 400 for messages that cannot be understood.
    pub(crate) fn into_ask(self) -> Result<ChatAsk, ApiError> {
        let mut names = CallNames::default();
        for call in self.messages.iter().flat_map(|message| message.tool_calls.iter().flatten()) {
            names.insert(&call.id, &call.name);
        }
        let messages = self.messages.into_iter().map(|message| message.into_native(&names));
        Ok(ChatAsk {
            model: self.model,
            messages: messages.collect::<Result<_, _>>()?,
            tools: self.tools,
            tool_choice: self.tool_choice,
            settings: AskSettings {
                options: self.sampling.into_options(),
                think: self.think,
                format: self.format,
                logprobs: self.top_logprobs,
                render_only: self.render_only,
                ..AskSettings::default()
            },
        })
    }
}

fn response_format(fields: &mut Fields) -> Result<Format, ApiError> {
    let Some(mut format) = fields.nested("response_format", "ResponseFormat")? else {
        return Ok(Format::None);
    };
    let kind = format.string("type")?;
    let Some(mut named) = format.nested("json_schema", "JsonSchema")? else {
        return Ok(content::format(&kind, None));
    };
    let is_strict = named.take("strict") == Some(Value::Bool(true));
    Ok(content::format(&kind, named.take("schema")).strictly(is_strict))
}

fn top_logprobs(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    let top = fields.integer("top_logprobs")?.unwrap_or(0);
    let count = usize::try_from(top).ok().filter(|_| TOP_LOGPROBS.contains(&top));
    let count = count.ok_or(ApiError::TopLogprobs)?;
    Ok(fields.boolean("logprobs")?.unwrap_or(false).then_some(count))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(body: &Value) -> Result<ChatAsk, ApiError> {
        ChatCompletionRequest::parse(body.to_string().as_bytes())?.into_ask()
    }

    #[test]
    fn a_request_of_the_official_client() {
        let ask = ask(&json!({
            "model": "m", "messages": [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}],
            "max_completion_tokens": 9, "seed": 1, "logprobs": true, "top_logprobs": 2, "n": 2,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": "required", "parallel_tool_calls": true, "reasoning": {"effort": "minimal"},
            "reasoning_effort": "high", "logit_bias": {}, "user": "u", "store": false, "metadata": null
        }))
        .unwrap();
        assert_eq!((ask.model.as_str(), ask.messages[0].role.as_str()), ("m", "developer"));
        assert_eq!(ask.settings.options["num_predict"], 9);
        assert_eq!(ask.settings.logprobs, Some(2));
        assert_eq!(ask.settings.format, Format::Schema { schema: json!({"type": "object"}), strict: true });
        assert_eq!(ask.settings.think.level.as_deref(), Some("low"));
        assert!(ask.tools[0].strict && ask.tool_choice == ToolChoice::Required);
    }

    #[test]
    fn what_is_refused() {
        let user = json!([{"role": "user", "content": "hi"}]);
        for (more, message) in [
            (json!({"messages": []}), "[] is too short - 'messages'"),
            (json!({"messages": null}), "[] is too short - 'messages'"),
            (json!({"messages": user, "top_logprobs": 21}), "top_logprobs must be between 0 and 20"),
            (
                json!({"messages": user, "temperature": "hot"}),
                "json: cannot unmarshal string into Go struct field ChatCompletionRequest.temperature of type float64",
            ),
        ] {
            let error = ask(&more).unwrap_err();
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (400, message));
        }
    }
}
