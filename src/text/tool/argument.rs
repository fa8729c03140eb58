//! How the value of one argument stands in a call of elements.
//!
//! Such elements have no types: a text stands bare in them, everything else as JSON. Which of the two it is follows
//! from the schema, and both sides ask here: the grammar, which makes a model write a value, and the parser, which
//! reads it.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Texts that a bare value cannot hold: the parser takes them for the end of its element.
pub(super) const ENDS: &[&str] = &["</parameter>", "</function>"];
/// Schemas in schemas that are looked at; they may refer to each other in circles.
const MAX_SCHEMAS: usize = 100;

/// Keywords that make a schema of other schemas.
const APPLYING: &[&str] = &["$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "if", "not"];
/// Keywords that narrow which texts are accepted.
const ABOUT_TEXTS: &[&str] = &["pattern", "format", "minLength", "maxLength"];
/// Keywords that say something of values that are no texts.
const ABOUT_OTHERS: &[&str] = &[
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "contains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];

/// Keywords that say something of several arguments, or of arguments that are not named.
const ABOUT_ALL: &[&str] = &[
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "enum",
    "const",
];

/// Whether a schema of arguments says nothing but what each one is, and which are required.
pub(super) fn are_listed(schema: &Value) -> bool {
    let Value::Object(map) = schema else { return schema.is_null() };
    let named = |name: &Value| name.as_str().is_some_and(|name| !schema["properties"][name].is_null());
    let required = map.get("required").and_then(Value::as_array);
    !APPLYING.iter().chain(ABOUT_ALL).any(|key| map.contains_key(*key))
        && required.is_none_or(|names| names.iter().all(named))
}

/// Keywords by which arguments may come in that are not listed.
const ABOUT_MORE: &[&str] = &[
    "$dynamicRef",
    "$recursiveRef",
    "anyOf",
    "oneOf",
    "if",
    "patternProperties",
    "dependencies",
    "dependentSchemas",
];
/// Schema of an argument of which nothing is known.
static UNKNOWN: Value = Value::Null;

/// The arguments that a tool takes, as far as its schema lists them.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    /// Name and schema of each.
    pub(super) listed: Vec<(&'a str, &'a Value)>,
    /// Names of those that must be there.
    pub(super) required: HashSet<&'a str>,
    /// What others fit, if there may be others.
    pub(super) others: Option<&'a Value>,
}

impl<'a> Arguments<'a> {
    /// Those of a schema of all arguments.
    pub(super) fn of(root: &'a Value) -> Self {
        let layers = layers(root, &["allOf"]);
        let (mut listed, mut names, mut required) = (Vec::new(), HashSet::new(), HashSet::new());
        for layer in &layers {
            let properties = layer["properties"].as_object().into_iter().flatten();
            listed.extend(properties.filter(|(name, _)| names.insert(name.as_str())));
            required.extend(layer["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
        }
        let has = |key: &str| layers.iter().any(|layer| layer.get(key).is_some());
        // A search that was cut short has not seen all.
        let unknown = layers.len() == MAX_SCHEMAS
            || ABOUT_MORE.iter().any(|key| has(key))
            || required.iter().any(|name| !names.contains(name));
        let others = if unknown { Some(&UNKNOWN) } else { additional(&layers) };
        Self {
            listed: listed.into_iter().map(|(name, schema)| (name.as_str(), schema)).collect(),
            required,
            others,
        }
    }
}

/// The schema of the argument of this name; [`Value::Null`] if none is known.
pub(super) fn schema_of<'a>(name: &str, root: &'a Value) -> &'a Value {
    let layers = layers(root, &["allOf", "anyOf", "oneOf"]);
    let listed = layers.iter().find_map(|layer| layer.get("properties")?.get(name));
    listed.or_else(|| additional(&layers)).unwrap_or(&UNKNOWN)
}

/// What arguments fit that are not listed, if any of these schemas says that there may be some.
fn additional<'a>(layers: &[&'a Value]) -> Option<&'a Value> {
    let said = layers.iter().flat_map(|layer| {
        ["additionalProperties", "unevaluatedProperties"].into_iter().filter_map(|key| layer.get(key))
    });
    said.into_iter().find(|schema| **schema != Value::Bool(false))
}

/// A schema and those that it consists of, by reference or by one of these keywords: as many as are looked at.
fn layers<'a>(root: &'a Value, keys: &[&str]) -> Vec<&'a Value> {
    let mut layers = vec![root];
    let mut at = 0;
    while let Some(&schema) = layers.get(at) {
        let parts = keys.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
        let parts = target(schema, root).into_iter().chain(parts);
        layers.extend(parts.take(MAX_SCHEMAS - layers.len()).collect::<Vec<_>>());
        at += 1;
    }
    layers
}

/// The schema that one refers to.
fn target<'a>(schema: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// How a value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Writing {
    /// As the text that it is, whichever.
    Text,
    /// As one of these texts.
    OneOf(Vec<String>),
    /// As JSON.
    Json,
}

impl Writing {
    /// How values of a schema are written, one whose references lead into `root`. If they must be `exact`, what cannot
    /// be said of a bare text is JSON.
    pub(super) fn of(schema: &Value, root: &Value, exact: bool) -> Self {
        let writing = Search { root, budget: MAX_SCHEMAS, exact }.writing(schema);
        match &writing {
            Self::OneOf(texts)
                if texts.is_empty() || texts.iter().any(|text| ENDS.iter().any(|end| text.contains(end))) =>
            {
                Self::Json
            }
            _ => writing,
        }
    }
}

/// The way through a schema.
struct Search<'a> {
    root: &'a Value,
    /// Schemas that may still be looked at.
    budget: usize,
    exact: bool,
}

impl<'a> Search<'a> {
    fn writing(&mut self, schema: &'a Value) -> Writing {
        let Some(rest) = self.budget.checked_sub(1) else { return Writing::Json };
        self.budget = rest;
        let map = match schema {
            Value::Object(map) => map,
            // Of an argument that the schema does not mention nothing is known.
            Value::Null | Value::Bool(true) => return Writing::Text,
            _ => return Writing::Json,
        };
        let has = |keys: &[&str]| keys.iter().any(|key| map.contains_key(*key));
        let values = has(&["type", "enum", "const"]) || has(ABOUT_TEXTS) || has(ABOUT_OTHERS);
        let mut applying = APPLYING.iter().filter(|key| map.contains_key(**key));
        match (applying.next(), applying.next()) {
            (None, _) => self.of_values(map, values),
            (Some(key), None) if !values => self.of_schemas(key, &map[*key]),
            _ => Writing::Json,
        }
    }

    /// Of a schema without schemas in it; `values` if it says anything of its values.
    fn of_values(&self, map: &Map<String, Value>, values: bool) -> Writing {
        if !values {
            return Writing::Text;
        }
        let narrow = ABOUT_TEXTS.iter().any(|key| map.contains_key(*key));
        let is_text = |kind: &Value| *kind == "string";
        let only_texts = match map.get("type") {
            Some(Value::Array(kinds)) => !kinds.is_empty() && kinds.iter().all(is_text),
            Some(kind) => is_text(kind),
            None => false,
        };
        let listed = match (map.get("enum"), map.get("const")) {
            (Some(Value::Array(values)), None) => values.as_slice(),
            (None, Some(value)) => std::slice::from_ref(value),
            (None, None) if only_texts && !(narrow && self.exact) => return Writing::Text,
            _ => return Writing::Json,
        };
        let texts = listed.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
        match texts {
            Some(texts) if !narrow && (only_texts || !map.contains_key("type")) => Writing::OneOf(texts),
            _ => Writing::Json,
        }
    }

    /// Of a schema that is made of others, in this way.
    fn of_schemas(&mut self, key: &str, value: &'a Value) -> Writing {
        match (key, value) {
            ("$ref", Value::String(reference)) => {
                let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
                target.map_or(Writing::Json, |target| self.writing(target))
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(options)) if options.len() == 1 => {
                self.writing(&options[0])
            }
            ("anyOf" | "oneOf", Value::Array(options)) => {
                let (mut all, mut listed, mut any) = (Vec::new(), 0, false);
                for option in options {
                    match self.writing(option) {
                        Writing::Text => any = true,
                        Writing::OneOf(texts) => {
                            listed += texts.len();
                            all.extend(texts);
                        }
                        Writing::Json => return Writing::Json,
                    }
                }
                all.sort_unstable();
                all.dedup();
                match key {
                    "anyOf" if any => Writing::Text,
                    // What is in two of the lists fits two options, and so none.
                    "oneOf" if any || listed > all.len() => Writing::Json,
                    _ => Writing::OneOf(all),
                }
            }
            _ => Writing::Json,
        }
    }
}

/// The value that a JSON text stands for, if the schema allows values of its type; else the text itself.
pub(super) fn read(text: &str, schema: &Value, root: &Value) -> Value {
    let (mut types, mut budget) = (Vec::new(), MAX_SCHEMAS);
    collect_types(schema, root, &mut budget, &mut types);
    let written = match text.trim() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    };
    let fits = |value: &Value| types.is_empty() || types.iter().any(|name| is_of(value, name));
    super::number::parse(written).filter(fits).unwrap_or_else(|| Value::from(text))
}

/// Collects the types that a schema allows.
fn collect_types<'a>(schema: &'a Value, root: &'a Value, budget: &mut usize, types: &mut Vec<&'a str>) {
    let Some(rest) = budget.checked_sub(1) else { return };
    *budget = rest;
    match &schema["type"] {
        Value::String(name) => types.push(name),
        Value::Array(names) => types.extend(names.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for inner in schema[key].as_array().into_iter().flatten() {
            collect_types(inner, root, budget, types);
        }
    }
    if let Some(target) = target(schema, root) {
        collect_types(target, root, budget, types);
    }
    for value in schema["enum"].as_array().into_iter().flatten().chain(schema.get("const")) {
        types.push(type_of(value));
    }
}

/// Whether a value is of a type, in JSON schema's words.
fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        name => type_of(value) == name,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_stand_bare_wherever_the_schema_says_that_they_are_texts() {
        let root = json!({"$defs": {
            "Color": {"title": "Color", "enum": ["red", "blue"], "type": "string"},
            "Id": {"type": "string", "pattern": "^[a-z]+$"}, "loop": {"$ref": "#/$defs/loop"}
        }});
        let colors = || Writing::OneOf(vec!["red".into(), "blue".into()]);
        for (schema, writing, exact) in [
            (json!({}), Writing::Text, Writing::Text),
            (json!(true), Writing::Text, Writing::Text),
            (json!({"description": "x", "default": 3}), Writing::Text, Writing::Text),
            (json!({"type": "string", "minimum": 3}), Writing::Text, Writing::Text),
            (json!({"type": ["string"]}), Writing::Text, Writing::Text),
            (json!({"type": "string", "maxLength": 3}), Writing::Text, Writing::Json),
            (json!({"$ref": "#/$defs/Id"}), Writing::Text, Writing::Json),
            (json!({"anyOf": [{"type": "string"}, {"enum": ["a"]}]}), Writing::Text, Writing::Text),
            (json!({"$ref": "#/$defs/Color", "description": "x"}), colors(), colors()),
            (json!({"allOf": [{"$ref": "#/$defs/Color"}]}), colors(), colors()),
            (json!({"const": "red"}), Writing::OneOf(vec!["red".into()]), Writing::OneOf(vec!["red".into()])),
            (
                json!({"oneOf": [{"const": "b"}, {"enum": ["a"]}]}),
                Writing::OneOf(vec!["a".into(), "b".into()]),
                Writing::OneOf(vec!["a".into(), "b".into()]),
            ),
        ] {
            assert_eq!(Writing::of(&schema, &root, false), writing, "{schema}");
            assert_eq!(Writing::of(&schema, &root, true), exact, "{schema} exactly");
        }
    }

    #[test]
    fn arguments_are_listed_or_there_is_more_to_them() {
        let properties = json!({"a": {"type": "string"}, "b": {}});
        for more in [json!({}), json!({"required": ["a"], "additionalProperties": true, "$defs": {}})] {
            let mut schema = json!({"type": "object", "properties": properties});
            schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert!(are_listed(&schema), "{schema}");
        }
        assert!(are_listed(&Value::Null));
        for schema in [
            json!({"$ref": "#/$defs/Args"}),
            json!({"properties": properties, "required": ["c"]}),
            json!({"properties": properties, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            json!({"properties": properties, "minProperties": 1}),
            json!(true),
        ] {
            assert!(!are_listed(&schema), "{schema}");
        }
    }

    #[test]
    fn arguments_are_found_where_a_schema_is_composed() {
        let definitions = json!({"A": {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
            "loop": {"$ref": "#/$defs/loop"}});
        for (schema, names, required, others) in [
            (json!({"$ref": "#/$defs/A"}), vec!["a"], vec!["a"], None),
            (
                json!({"properties": {"b": {}}, "allOf": [{"$ref": "#/$defs/A"}]}),
                vec!["b", "a"],
                vec!["a"],
                None,
            ),
            (json!({"properties": {"b": {}}, "additionalProperties": false}), vec!["b"], vec![], None),
            (json!({"type": "object"}), vec![], vec![], None),
            (json!({"additionalProperties": true}), vec![], vec![], Some(json!(true))),
            (
                json!({"additionalProperties": {"type": "null"}}),
                vec![],
                vec![],
                Some(json!({"type": "null"})),
            ),
            (json!({"properties": {"b": {}}, "required": ["c"]}), vec!["b"], vec!["c"], Some(json!(null))),
            (json!({"anyOf": [{"$ref": "#/$defs/A"}]}), vec![], vec![], Some(json!(null))),
            (json!({"$ref": "#/$defs/loop"}), vec![], vec![], Some(json!(null))),
        ] {
            let mut root = schema.clone();
            root["$defs"] = definitions.clone();
            let found = Arguments::of(&root);
            assert_eq!(found.listed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names, "{schema}");
            assert_eq!(found.required, required.into_iter().collect(), "{schema}");
            assert_eq!(found.others.cloned(), others, "{schema}");
        }
        let root = json!({"$defs": definitions, "oneOf": [{"type": "null"}, {"$ref": "#/$defs/A"}],
            "additionalProperties": {"type": "boolean"}});
        assert_eq!(schema_of("a", &root), &json!({"type": "integer"}));
        assert_eq!(schema_of("b", &root), &json!({"type": "boolean"}));
        assert_eq!(schema_of("b", &root["oneOf"]), &Value::Null);
    }

    #[test]
    fn everything_else_is_json() {
        let root =
            json!({"$defs": {"Color": {"enum": ["red"]}, "loop": {"anyOf": [{"$ref": "#/$defs/loop"}]}}});
        for schema in [
            json!(false),
            json!({"type": "integer"}),
            json!({"type": ["string", "null"]}),
            json!({"type": []}),
            json!({"enum": ["a", 1]}),
            json!({"enum": []}),
            json!({"enum": ["a</parameter>"]}),
            json!({"enum": ["a"], "type": "integer"}),
            json!({"enum": ["a"], "const": "a"}),
            json!({"enum": ["a", "bc"], "maxLength": 1}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"oneOf": [{"enum": ["a", "b"]}, {"enum": ["b"]}]}),
            json!({"oneOf": [{"type": "string"}, {"const": "b"}]}),
            json!({"allOf": [{"type": "string"}, {"$ref": "#/$defs/Color"}]}),
            json!({"$ref": "#/$defs/Color", "type": "string"}),
            json!({"$ref": "#/$defs/loop"}),
            json!({"$ref": "#/nowhere"}),
            json!({"properties": {}}),
            json!({"not": {"const": "a"}}),
        ] {
            assert_eq!(Writing::of(&schema, &root, false), Writing::Json, "{schema}");
        }
    }

    #[test]
    fn json_is_read_where_its_type_is_allowed() {
        let root = json!({"$defs": {"Color": {"enum": ["red"]}}});
        for (text, schema, value) in [
            ("\"red\"", json!({"allOf": [{"type": "string"}, {"$ref": "#/$defs/Color"}]}), json!("red")),
            ("red", json!({"allOf": [{"type": "string"}, {"$ref": "#/$defs/Color"}]}), json!("red")),
            (" 3 ", json!({"type": "integer"}), json!(3)),
            ("True", json!({"type": "boolean"}), json!(true)),
            ("soon", json!({"type": "integer"}), json!("soon")),
            ("12", json!({"type": ["string", "null"]}), json!("12")),
            ("null", json!({"type": ["string", "null"]}), json!(null)),
            ("{\"a\": 1}", json!({"properties": {}}), json!({"a": 1})),
            ("1e999", json!({"type": "number"}), json!(f64::MAX)),
        ] {
            assert_eq!(read(text, &schema, &root), value, "{text} as {schema}");
        }
    }
}
