//! What several routes of the family read in the same way: pictures, effort, calls of earlier turns, formats.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{Format, Think};
use crate::text::{Message, Tool, ToolChoice};

/// What a data URI of a picture may begin with. The blank one is for clients that write plain base64.
const PICTURES: [&str; 5] = [
    "data:;base64,",
    "data:image/jpeg;base64,",
    "data:image/jpg;base64,",
    "data:image/png;base64,",
    "data:image/webp;base64,",
];

/// The base64 text of a picture given as a data URI.
///
/// # Errors
/// 400 for anything else. Nothing is fetched for a client: that would be a way into the network behind this server.
pub(crate) fn picture(url: &str) -> Result<String, ApiError> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Err(ApiError::BadRequest(
            "image URLs are not currently supported, please use base64 encoded data instead".into(),
        ));
    }
    let data = PICTURES.iter().find_map(|prefix| url.strip_prefix(prefix));
    data.filter(|data| STANDARD.decode(data).is_ok())
        .map(str::to_owned)
        .ok_or_else(|| ApiError::BadRequest("invalid image input".into()))
}

/// What `reasoning_effort` and `reasoning.effort` mean for thinking.
pub(crate) fn think(effort: &str) -> Result<Think, ApiError> {
    let think = match effort {
        "" => None,
        "none" => Some(Value::Bool(false)),
        "minimal" => Some("low".into()),
        "low" | "medium" | "high" | "max" => Some(effort.into()),
        "xhigh" | "ultra" => Some("max".into()),
        other => {
            return Err(ApiError::BadRequest(format!(
                "invalid reasoning value: {other:?} (must be \"minimal\", \"low\", \"medium\", \"high\", \
                 \"xhigh\", \"ultra\", \"max\", or \"none\")"
            )));
        }
    };
    Think::parse(think)
}

/// What a format (`response_format`, `text.format`) demands; `schema` is where this route has it. Unknown types demand
/// nothing, nor does a schema that is not there: so upstream has it.
pub(crate) fn format(kind: &str, schema: Option<Value>) -> Format {
    match kind.trim().to_lowercase().as_str() {
        "json_object" => Format::Json,
        "json_schema" => Format::parse(schema),
        _ => Format::None,
    }
}

/// Whether the model may or must call tools: `"auto"`, `"none"`, `"required"` (`"any"` in other words), or an object
/// that names a function, in its `function` or in itself. Upstream passes all of it over: so does this with what is in
/// no such form, or cannot be met.
pub(crate) fn tool_choice(value: Option<&Value>, tools: &[Tool]) -> ToolChoice {
    let choice = match value {
        None => ToolChoice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => ToolChoice::Auto,
        },
        Some(other) => {
            let name = other.get("function").unwrap_or(other).get("name").and_then(Value::as_str);
            name.map_or(ToolChoice::Auto, |name| ToolChoice::Named(name.to_owned()))
        }
    };
    possible(choice, tools)
}

/// The choice, or none where there is nothing to demand.
pub(crate) fn possible(choice: ToolChoice, tools: &[Tool]) -> ToolChoice {
    if choice.check(tools).is_ok() { choice } else { ToolChoice::Auto }
}

/// A call of an earlier turn, in the form that [`Message`] keeps: the arguments as an object.
///
/// # Errors
/// Holds the decoder's text if the arguments are no object in JSON.
pub(crate) fn native_call(id: &str, name: &str, arguments: &str) -> Result<Value, String> {
    let arguments: Option<Map<String, Value>> =
        serde_json::from_str(arguments).map_err(|error| error.to_string())?;
    Ok(native_call_of(id, name, arguments.unwrap_or_default()))
}

/// The same with arguments that are an object already.
pub(crate) fn native_call_of(id: &str, name: &str, arguments: Map<String, Value>) -> Value {
    let function = [("name".to_owned(), name.into()), ("arguments".to_owned(), arguments.into())];
    let mut call = Map::from_iter([("function".to_owned(), Value::Object(Map::from_iter(function)))]);
    if !id.is_empty() {
        call.insert("id".to_owned(), id.into());
    }
    call.into()
}

/// Gives a message a further field, unless there is nothing to say.
pub(crate) fn set_text(message: &mut Message, field: &str, text: String) {
    if !text.is_empty() {
        message.extra.insert(field.to_owned(), text.into());
    }
}

/// Gives a message a list, unless it is empty.
pub(crate) fn set_list(message: &mut Message, field: &str, items: Vec<Value>) {
    if !items.is_empty() {
        message.extra.insert(field.to_owned(), items.into());
    }
}

/// The names of the functions called earlier in a conversation, by the identifiers of the calls. A result says only
/// which call it belongs to, and templates want to know of which function. Of equal identifiers the last call counts.
#[derive(Debug, Default)]
pub(crate) struct CallNames(HashMap<String, String>);

impl CallNames {
    /// Remembers a call.
    pub(crate) fn insert(&mut self, id: &str, name: &str) {
        if !id.is_empty() {
            self.0.insert(id.to_owned(), name.to_owned());
        }
    }

    /// The function of a call; empty if there was no such call.
    pub(crate) fn get(&self, id: &str) -> String {
        self.0.get(id).cloned().unwrap_or_default()
    }
}

/// The effort of a request: what the object `reasoning` says, if only by saying nothing, or else the older field.
pub(crate) fn effort(fields: &mut Fields) -> Result<String, ApiError> {
    let older = fields.string("reasoning_effort")?;
    fields.nested("reasoning", "Reasoning")?.map_or(Ok(older), |mut reasoning| reasoning.string("effort"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pictures_are_data_and_nothing_else() {
        assert_eq!(picture("data:image/png;base64,aGk=").unwrap(), "aGk=");
        assert_eq!(picture("data:;base64,aGk=").unwrap(), "aGk=");
        for (url, message) in [
            ("http://169.254.169.254/", "image URLs are not currently supported"),
            ("https://example.com/a.png", "image URLs are not currently supported"),
            ("data:image/gif;base64,aGk=", "invalid image input"),
            ("data:image/png;base64,a", "invalid image input"),
            ("file:///etc/passwd", "invalid image input"),
            ("", "invalid image input"),
        ] {
            let error = picture(url).unwrap_err();
            assert!(
                error.to_string().starts_with(message) && error.status().as_u16() == 400,
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn efforts() {
        let level = |effort: &str| think(effort).unwrap().level;
        assert_eq!((think("").unwrap().enabled, think("none").unwrap().enabled), (None, Some(false)));
        for (effort, native) in [("minimal", "low"), ("high", "high"), ("xhigh", "max"), ("ultra", "max")] {
            assert_eq!(level(effort).as_deref(), Some(native), "{effort}");
        }
        assert!(
            think("hard").unwrap_err().to_string().starts_with("invalid reasoning value: \"hard\" (must be")
        );
    }

    #[test]
    fn the_object_outranks_the_older_field() {
        for (body, wanted) in [
            (json!({"reasoning_effort": "low"}), "low"),
            (json!({"reasoning_effort": "low", "reasoning": null}), "low"),
            (json!({"reasoning_effort": "low", "reasoning": {"effort": "high"}}), "high"),
            (json!({"reasoning_effort": "low", "reasoning": {}}), ""),
        ] {
            let mut fields = Fields::from_value("ChatCompletionRequest", body.clone()).unwrap();
            assert_eq!(effort(&mut fields).unwrap(), wanted, "{body}");
        }
    }

    #[test]
    fn choices_that_can_be_met() {
        let tools = [Tool::new("f", "", Value::Null, false)];
        let named = ToolChoice::Named("f".into());
        for (value, with_tools, without) in [
            (json!("auto"), ToolChoice::Auto, ToolChoice::Auto),
            (json!("none"), ToolChoice::None, ToolChoice::None),
            (json!("required"), ToolChoice::Required, ToolChoice::Auto),
            (json!("any"), ToolChoice::Required, ToolChoice::Auto),
            (json!({"type": "function", "function": {"name": "f"}}), named.clone(), ToolChoice::Auto),
            (json!({"type": "function", "name": "f"}), named, ToolChoice::Auto),
            (json!({"function": {"name": "other"}}), ToolChoice::Auto, ToolChoice::Auto),
            (
                json!({"type": "allowed_tools", "mode": "auto", "tools": []}),
                ToolChoice::Auto,
                ToolChoice::Auto,
            ),
            (json!("validated"), ToolChoice::Auto, ToolChoice::Auto),
            (json!(7), ToolChoice::Auto, ToolChoice::Auto),
        ] {
            assert_eq!(tool_choice(Some(&value), &tools), with_tools, "{value}");
            assert_eq!(tool_choice(Some(&value), &[]), without, "{value}");
        }
        assert_eq!(tool_choice(None, &tools), ToolChoice::Auto);
    }

    #[test]
    fn formats() {
        let schema = json!({"type": "object"});
        assert_eq!(format(" JSON_Object ", None), Format::Json);
        assert_eq!(format("json_schema", Some(schema.clone())), Format::Schema { schema, strict: false });
        for (kind, schema) in [("text", None), ("", None), ("xml", None), ("json_schema", None)] {
            assert_eq!(format(kind, schema), Format::None, "{kind}");
        }
    }
}
