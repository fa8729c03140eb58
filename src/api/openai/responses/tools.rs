//! The tools of a responses request.
//!
//! A function stands at the top of the list or in a `namespace`, a named group of functions. The model sees one list of
//! names, so a function of a group is called by both names in one; in calls they are two again, as the client knows
//! them.

use std::collections::HashMap;

use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::text::Tool;

/// What stands between the name of a group and that of a function, unless the group's name ends with it.
const SEPARATOR: &str = "__";

/// The functions that the model may call. Tools that the other side runs (`web_search`, `file_search`, `mcp` and
/// others) are left out: here nobody could run them.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// As the model sees them.
    pub(super) functions: Vec<Tool>,
    /// Group and function by the name that the model sees, for those that are in a group.
    pub(super) grouped: Grouped,
}

/// Group and function by the name that the model sees.
pub(super) type Grouped = HashMap<String, (String, String)>;

impl Tools {
    /// Reads the list.
    ///
    /// # Errors
    /// 400 with what is wrong with which element.
    pub(super) fn parse(values: Vec<Value>) -> Result<Self, ApiError> {
        let mut tools = Self::default();
        for value in values {
            tools.add(Fields::from_value("ResponsesTool", value)?, None)?;
        }
        Tool::check_number(tools.functions.len())?;
        Ok(tools)
    }

    fn add(&mut self, mut fields: Fields, group: Option<&str>) -> Result<(), ApiError> {
        match fields.string("type")?.as_str() {
            "function" => self.add_function(fields, group),
            "namespace" if group.is_none() => {
                let name = fields.string("name")?;
                for value in fields.array("tools")? {
                    self.add(Fields::from_value("ResponsesTool", value)?, Some(&name))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn add_function(&mut self, mut fields: Fields, group: Option<&str>) -> Result<(), ApiError> {
        let (name, description) = (fields.string("name")?, fields.string("description")?);
        if name.is_empty() {
            return Err(ApiError::BadRequest("a tool has no name; every function needs one".into()));
        }
        let parameters = Value::Object(fields.object("parameters")?);
        let strict = fields.boolean("strict")?.unwrap_or(false);
        let seen = match group {
            None => name,
            Some(group) => {
                let seen = joined(group, &name);
                self.grouped.insert(seen.clone(), (group.to_owned(), name));
                seen
            }
        };
        self.functions.push(Tool::new(seen, description, parameters, strict));
        Ok(())
    }
}

/// The name that the model sees of a function in a group.
pub(super) fn joined(group: &str, name: &str) -> String {
    match group {
        "" => name.to_owned(),
        _ if group.ends_with(SEPARATOR) => format!("{group}{name}"),
        _ => format!("{group}{SEPARATOR}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Result<Tools, ApiError> {
        let Value::Array(values) = value else { panic!("tools are a list") };
        Tools::parse(values)
    }

    #[test]
    fn functions_groups_and_what_runs_elsewhere() {
        let function = |name: &str| json!({"type": "function", "name": name, "description": "d", "parameters": {"type": "object"}, "strict": true});
        let tools = parse(json!([
            function("a"), {"type": "web_search"}, {"type": "namespace", "name": "mcp__git", "tools": [function("a"), {"type": "custom"}]}
        ]))
        .unwrap();
        let names: Vec<&str> = tools.functions.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["a", "mcp__git__a"]);
        assert_eq!(tools.grouped["mcp__git__a"], ("mcp__git".to_owned(), "a".to_owned()));
        assert!(tools.functions[0].strict && tools.functions[0].parameters == json!({"type": "object"}));
        assert_eq!(joined("git__", "a"), "git__a");
    }

    #[test]
    fn what_is_refused() {
        let tool = |index: usize| json!({"type": "function", "name": format!("f{index}")});
        let many: Vec<Value> = (0..1025).map(tool).collect();
        for wrong in [
            json!(many),
            json!([{"type": "namespace", "name": "g", "tools": many}]),
            json!([{"type": "function"}]),
            json!(["f"]),
            json!([{"type": "function", "name": "f", "parameters": 1}]),
        ] {
            assert_eq!(parse(wrong).unwrap_err().status().as_u16(), 400);
        }
    }
}
