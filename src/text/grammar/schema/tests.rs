use serde_json::json;

use super::*;

fn prepared(schema: &Value) -> Value {
    let mut prepared = prepare(schema).unwrap();
    let map = prepared.as_object_mut().unwrap();
    map.shift_remove("x-guidance").unwrap();
    if map["$defs"].as_object().unwrap().is_empty() {
        map.shift_remove("$defs");
    }
    prepared
}

fn refusal(schema: &Value) -> String {
    prepare(schema).unwrap_err().to_string()
}

#[test]
fn what_asserts_nothing_is_left_out() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A", "description": "b", "x-guidance": {},
        "type": "array", "items": { "type": "string", "format": "password", "default": 1, "nullable": true },
        "uniqueItems": false, "unknown": { "not": 1 }, "minItems": 2.0
    });
    assert_eq!(prepared(&schema), json!({ "type": "array", "items": { "type": "string" }, "minItems": 2 }));
}

#[test]
fn objects_have_the_named_properties_and_no_others() {
    let schema = json!({ "type": "object", "properties": { "b": true, "a": true }, "required": ["a"] });
    assert_eq!(prepared(&schema)["additionalProperties"], false);
    let names: Vec<String> = prepared(&schema)["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["b", "a"]);
    for open in [
        json!({ "type": "object" }),
        json!({ "properties": { "a": true }, "additionalProperties": { "type": "string" } }),
        json!({ "properties": { "a": true }, "patternProperties": { "^x": true } }),
        json!({ "properties": { "a": true }, "required": ["b"] }),
        json!({ "allOf": [schema, { "properties": { "c": true } }] }),
        json!({ "properties": { "a": { "properties": { "x": true } } }, "anyOf": [{ "required": ["b"] }, true] }),
    ] {
        assert!(!prepared(&open).to_string().contains(r#""additionalProperties":false"#), "{open}");
    }
}

#[test]
fn references_are_followed_wherever_they_point() {
    let schema = json!({
        "$defs": { "a/b %": { "type": "string" }, "unused": { "not": { "type": "string" } } },
        "properties": {
            "x": { "$ref": "#/$defs/a~1b%20%25" }, "y": { "$ref": "#/properties/x" }, "z": { "$ref": "#" },
            "x2": { "$ref": "#/$defs/a~1b%20%25", "description": "the same" }
        }
    });
    let prepared = prepared(&schema);
    let target = |value: &Value| {
        let name = value["$ref"].as_str().unwrap().strip_prefix("#/$defs/").unwrap();
        prepared["$defs"][name].clone()
    };
    assert_eq!(target(&prepared["properties"]["x"]), json!({ "type": "string" }));
    assert_eq!(target(&target(&prepared["properties"]["y"])), json!({ "type": "string" }));
    assert_eq!(target(&prepared["properties"]["z"])["properties"], prepared["properties"]);
    assert_eq!(prepared["properties"]["x"], prepared["properties"]["x2"]);
    assert_eq!(prepared["$defs"].as_object().unwrap().len(), 3);
}

#[test]
fn options_of_one_of_must_exclude_each_other() {
    let tagged =
        |kind: &str| json!({ "type": "object", "properties": { "kind": { "const": kind }, "n": true } });
    for apart in [
        json!([{ "type": "string" }, { "type": ["integer", "null"] }]),
        json!([{ "const": 1 }, { "enum": [2, "1"] }]),
        json!([{ "$ref": "#/$defs/cat" }, { "$ref": "#/$defs/dog" }]),
        json!([
            { "type": "object", "properties": { "a": true }, "required": ["a"] },
            { "type": "object", "properties": { "b": true }, "required": ["b"] }
        ]),
    ] {
        let schema = json!({ "oneOf": apart, "$defs": { "cat": tagged("cat"), "dog": tagged("dog") } });
        let prepared = prepared(&schema);
        assert_eq!(prepared["allOf"][0]["anyOf"].as_array().unwrap().len(), 2);
        for definition in prepared["$defs"].as_object().into_iter().flat_map(Map::values) {
            assert_eq!(definition["required"], json!(["kind"]));
        }
    }
    for overlapping in [
        json!([{ "type": "integer" }, { "type": "number" }]),
        json!([{ "const": 1 }, { "const": 1.0 }]),
        json!([{ "type": "object" }, { "type": "object", "required": ["a"] }]),
        json!([tagged("a"), tagged("a")]),
        json!([true, true]),
    ] {
        let error = refusal(&json!({ "oneOf": overlapping }));
        assert!(
            error.starts_with("JSON schema at #/oneOf/0: that only one of options 0 and 1 holds"),
            "{error}"
        );
    }
}

#[test]
fn names_of_properties_become_properties() {
    let listed =
        json!({ "propertyNames": { "enum": ["a", "b"] }, "additionalProperties": { "type": "null" } });
    let expected = json!({
        "properties": { "a": { "type": "null" }, "b": { "type": "null" } }, "additionalProperties": false
    });
    assert_eq!(prepared(&listed), expected);
    let patterned = json!({ "type": "object", "propertyNames": { "type": "string", "pattern": "^a" } });
    let expected =
        json!({ "type": "object", "patternProperties": { "^a": true }, "additionalProperties": false });
    assert_eq!(prepared(&patterned), expected);
    let any = json!({ "type": "object", "propertyNames": { "type": "string" } });
    assert_eq!(prepared(&any), json!({ "type": "object" }));
}

#[test]
fn numbers_get_bounds_that_can_be_kept() {
    let whole = prepared(&json!({ "type": ["integer", "null"], "minimum": 0 }));
    assert_eq!(whole["minimum"], json!(0.0));
    assert!(whole["maximum"].as_f64().unwrap() < 9.3e18);
    assert_eq!(prepared(&json!({ "type": "number" })), json!({ "type": "number" }));
    let sharp =
        prepared(&json!({ "type": "number", "minimum": 1, "exclusiveMinimum": true, "exclusiveMaximum": 2 }));
    assert!(sharp["minimum"].as_f64().unwrap() > 1.0 && sharp["maximum"].as_f64().unwrap() < 2.0);
    assert!(sharp.get("exclusiveMinimum").is_none());
}

#[test]
fn what_cannot_be_enforced_is_named_with_its_place() {
    for (schema, error) in [
        (json!({ "not": { "type": "string" } }), "JSON schema at #/not: \"not\" cannot be enforced"),
        (
            json!({ "properties": { "a/b": { "items": { "uniqueItems": true } } } }),
            "JSON schema at #/properties/a~1b/items/uniqueItems: that items differ cannot be enforced",
        ),
        (
            json!({ "items": { "$ref": "#/$defs/x" }, "$defs": { "x": { "contains": {} } } }),
            "JSON schema at #/$defs/x/contains: \"contains\" cannot be enforced",
        ),
        (
            json!({ "pattern": "^(?!a)" }),
            "JSON schema at #/pattern: a pattern that looks ahead or behind cannot be enforced",
        ),
        (
            json!({ "$ref": "http://example.com/schema" }),
            "JSON schema at #/$ref: a $ref to outside of the schema; it must be of the form #/... cannot be enforced",
        ),
        (
            json!({ "const": 9_007_199_254_740_993_i64 }),
            "JSON schema at #/const: a constant beyond 2^53 cannot be enforced",
        ),
        (
            json!({ "multipleOf": 0.123_456_7 }),
            "JSON schema at #/multipleOf: a step of so many digits cannot be enforced",
        ),
        (json!({ "$ref": "#/$defs/x" }), "invalid JSON schema at #/$ref: nothing is there"),
        (
            json!({ "type": "text" }),
            "invalid JSON schema at #/type: \"text\" is not one of null, boolean, integer, number, string, array, object",
        ),
        (json!({ "properties": [] }), "invalid JSON schema at #/properties: expected an object of schemas"),
        (
            json!({ "maxLength": -1 }),
            "invalid JSON schema at #/maxLength: expected a whole number, at least 0",
        ),
        (json!({ "minimum": "1" }), "invalid JSON schema at #/minimum: expected a number"),
        (
            json!({ "anyOf": [1] }),
            "invalid JSON schema at #/anyOf/0: a schema is an object or a boolean, not a number",
        ),
        (json!([]), "invalid JSON schema at #: a schema is an object or a boolean, not an array"),
        (json!(false), "invalid JSON schema at #: no value is accepted"),
        (json!({ "$ref": "#" }), "invalid JSON schema at #: a $ref leads back to itself and nothing else"),
        (
            json!({ "type": "array", "minItems": 1_000_000 }),
            "JSON schema is too large: it demands 1000000; at most 2000 can be demanded",
        ),
    ] {
        assert_eq!(refusal(&schema), error);
    }
}

#[test]
fn size_is_bounded() {
    let mut deep = json!({ "type": "string" });
    for _ in 0..MAX_DEPTH {
        deep = json!({ "items": deep });
    }
    assert_eq!(refusal(&deep), "JSON schema is too large: it is nested more than 64 levels deep");
    let long: Vec<usize> = (0..MAX_VALUES).collect();
    assert_eq!(refusal(&json!({ "enum": long })), "JSON schema is too large: it has more than 20000 values");
    let wide: Map<String, Value> = (0..=MAX_PROPERTIES).map(|n| (n.to_string(), true.into())).collect();
    assert_eq!(
        refusal(&json!({ "properties": wide })),
        "JSON schema is too large: an object has more than 1000 properties"
    );
    assert!(refusal(&json!({ "pattern": "a".repeat(MAX_PATTERN_BYTES + 1) })).contains("pattern"));
}

#[test]
fn what_would_grow_with_its_rewriting_is_refused() {
    let names: Vec<String> = (0..500).map(|name| format!("a{name}")).collect();
    let each: Vec<usize> = (0..500).collect();
    let schema = json!({
        "type": "object", "propertyNames": { "enum": names }, "additionalProperties": { "enum": each }
    });
    assert!(refusal(&schema).contains("more than"), "{}", refusal(&schema));
    let options: Vec<Value> = (0..2_000).map(|value| json!({ "const": value })).collect();
    assert!(refusal(&json!({ "oneOf": options })).contains("oneOf"));
}
