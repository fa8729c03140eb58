//! Tools of requests: what is read, what templates see, what is refused.

use serde_json::json;

use super::*;

#[test]
fn a_tool_as_clients_send_it() {
    let tools = Tool::parse_all(vec![
        json!({"function": {"strict": true, "parameters": {"type": "object", "properties": {"b": {}, "a": {}}},
            "extra": 1, "description": "d", "name": "f", "none": null}, "type": "function"}),
        json!({"type": "function", "function": {"name": "g", "description": null, "parameters": null}}),
    ])
    .unwrap();
    assert_eq!((tools[0].name.as_str(), tools[0].description.as_str(), tools[0].strict), ("f", "d", true));
    assert_eq!(
        tools[0].raw.to_string(),
        r#"{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"b":{},"a":{}}},"extra":1}}"#
    );
    assert_eq!(tools[0].parameters, tools[0].raw["function"]["parameters"]);
    assert_eq!(tools[1].raw.to_string(), r#"{"type":"function","function":{"name":"g"}}"#);
    assert!(tools[1].parameters.is_null() && !tools[1].strict && tools[1].description.is_empty());
    assert_eq!(Tool::for_template(&tools).unwrap()[1]["function"]["name"], "g");
    assert_eq!(Tool::for_template(&[]), None);
    assert_eq!(tools[0], {
        let mut same = Tool::new("f", "d", tools[0].parameters.clone(), true);
        same.raw["function"]["extra"] = json!(1);
        same
    });
}

#[test]
fn what_is_no_tool_is_named_by_its_place() {
    for (tool, expected) in [
        (json!("f"), "tools[0] is a string; it must be an object"),
        (json!([]), "tools[0] is an array; it must be an object"),
        (json!(null), "tools[0].function.name is missing or empty; every tool needs a name"),
        (json!({"function": 1}), "tools[0].function is a number; it must be an object"),
        (json!({"function": {"name": true}}), "tools[0].function.name is a boolean; it must be a string"),
        (
            json!({"function": {"name": ""}}),
            "tools[0].function.name is missing or empty; every tool needs a name",
        ),
        (
            json!({"function": {"name": "f", "description": {}}}),
            "tools[0].function.description is an object; it must be a string",
        ),
        (
            json!({"function": {"name": "f", "parameters": "{}"}}),
            "tools[0].function.parameters is a string; it must be an object",
        ),
    ] {
        assert_eq!(Tool::parse_all(vec![tool]).unwrap_err().to_string(), expected);
    }
    let many = vec![json!({"function": {"name": "f"}}); MAX_TOOLS + 1];
    assert_eq!(Tool::parse_all(many).unwrap_err(), ToolError::TooMany(MAX_TOOLS + 1));
}

#[test]
fn a_choice_must_be_possible() {
    let tools = [Tool::new("f", "", Value::Null, false)];
    for choice in [ToolChoice::Auto, ToolChoice::None, ToolChoice::Required, ToolChoice::Named("f".into())] {
        assert_eq!(choice.check(&tools), Ok(()));
    }
    assert_eq!(ToolChoice::Named("g".into()).check(&tools), Err(ToolError::Unknown("g".into())));
    assert_eq!(ToolChoice::Required.check(&[]), Err(ToolError::NothingToCall));
    assert_eq!(ToolChoice::Auto.check(&[]), Ok(()));
}
