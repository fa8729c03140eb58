use serde_json::json;

use super::patterns::MAX_BYTES as MAX_PATTERN_BYTES;
use super::*;

/// A prepared schema, without definitions of any value.
fn shaped(schema: &Value, strict: bool) -> Value {
    let mut prepared = prepare(schema, strict).unwrap();
    let map = prepared.as_object_mut().unwrap();
    map.shift_remove("x-guidance").unwrap();
    let definitions = map["$defs"].as_object_mut().unwrap();
    definitions.retain(|name, _| !name.starts_with("any"));
    if definitions.is_empty() {
        map.shift_remove("$defs");
    }
    prepared
}

fn prepared(schema: &Value) -> Value {
    shaped(schema, true)
}

fn refusal(schema: &Value) -> String {
    prepare(schema, true).unwrap_err().to_string()
}

/// What stands for any value.
fn any() -> Value {
    json!({ "$ref": format!("#/$defs/any{}", any::LEVELS) })
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
        json!({ "type": "object", "properties": { "a": true }, "additionalProperties": { "type": "string" } }),
        json!({ "type": "object", "properties": { "a": true }, "patternProperties": { "^x": true } }),
        json!({ "type": "object", "properties": { "a": true }, "required": ["b"] }),
        json!({ "type": "object", "minProperties": 2, "properties": { "a": true }, "required": ["a"] }),
    ] {
        assert!(!prepared(&open).to_string().contains(r#""additionalProperties":false"#), "{open}");
    }
}

#[test]
fn what_several_schemas_say_of_an_object_is_one_object() {
    let text = json!({ "type": "string" });
    let schema = json!({
        "allOf": [{ "$ref": "#/$defs/base" }, { "properties": { "b": true, "a": { "maxLength": 3 } } }],
        "properties": { "c": { "type": "null" } }, "required": ["c"],
        "$defs": { "base": { "type": "object", "required": ["a"], "properties": { "a": text } } }
    });
    let expected = json!({
        "type": "object", "required": ["a", "c"], "additionalProperties": false,
        "properties": { "a": { "type": "string", "maxLength": 3 }, "b": any(), "c": { "type": "null" } }
    });
    assert_eq!(prepared(&schema), expected);
    let rest = json!({ "allOf": [
        { "type": "object", "properties": { "a": { "minLength": 1 } }, "additionalProperties": { "type": "string" } },
        { "properties": { "b": { "maxLength": 2 } } }
    ] });
    let properties = &prepared(&rest)["properties"];
    assert_eq!(properties["b"], json!({ "type": "string", "maxLength": 2 }));
    assert_eq!(prepared(&rest)["additionalProperties"], text);
    // Options come with all else that holds.
    let options = json!({
        "type": "object", "properties": { "a": text, "b": text }, "anyOf": [{ "required": ["a"] }, { "required": ["b"] }]
    });
    for (option, required) in prepared(&options)["anyOf"].as_array().unwrap().iter().zip(["a", "b"]) {
        assert_eq!(option["required"], json!([required]));
        assert_eq!(option["properties"], options["properties"]);
        assert_eq!(option["additionalProperties"], false);
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
    assert_eq!(target(&prepared["properties"]["y"]), json!({ "type": "string" }));
    assert_eq!(target(&prepared["properties"]["z"])["properties"], prepared["properties"]);
    assert_eq!(prepared["properties"]["x"], prepared["properties"]["x2"]);
    assert_eq!(prepared["$defs"].as_object().unwrap().len(), 2);
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
        assert_eq!(prepared["anyOf"].as_array().unwrap().len(), 2);
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
    let names = json!({ "enum": ["a", "b"], "type": "string" });
    for rule in
        [names.clone(), json!({ "$ref": "#/$defs/names" }), json!({ "allOf": [{ "$ref": "#/$defs/names" }] })]
    {
        let listed = json!({
            "type": "object", "propertyNames": rule, "additionalProperties": { "type": "null" },
            "$defs": { "names": names }
        });
        let prepared = prepared(&listed);
        assert_eq!(prepared["properties"]["a"], prepared["properties"]["b"]);
        assert_eq!(prepared["properties"].as_object().unwrap().len(), 2);
        assert_eq!(prepared["$defs"].as_object().unwrap().values().next(), Some(&json!({ "type": "null" })));
        assert_eq!(prepared["additionalProperties"], false);
    }
    let patterned = json!({ "type": "object", "propertyNames": { "type": "string", "pattern": "^a" } });
    let expected =
        json!({ "type": "object", "patternProperties": { "^a": any() }, "additionalProperties": false });
    assert_eq!(prepared(&patterned), expected);
    let free = json!({ "type": "object", "propertyNames": { "type": "string" } });
    assert_eq!(prepared(&free), json!({ "type": "object", "additionalProperties": any() }));
    let none = json!({ "type": "object", "propertyNames": { "type": "integer" } });
    assert_eq!(prepared(&none), json!({ "type": "object", "additionalProperties": false }));
    for unclear in [
        json!({ "anyOf": [{ "const": "a" }, { "pattern": "^b" }] }),
        json!({ "maxLength": 3 }),
        json!({ "enum": ["a", "b"], "pattern": "^b" }),
    ] {
        assert!(refusal(&json!({ "propertyNames": unclear })).contains("follow no pattern"));
    }
}

#[test]
fn numbers_get_bounds_that_can_be_kept() {
    let whole = prepared(&json!({ "type": ["integer", "null"], "minimum": 0 }));
    assert_eq!(whole["minimum"], json!(0.0));
    assert!(whole["maximum"].as_f64().unwrap() < 9.3e18);
    let free = prepared(&json!({ "type": "number" }));
    assert!(free["minimum"].as_f64().unwrap() < -9.2e18 && free["maximum"].as_f64().unwrap() > 9.2e18);
    // Of what may be a number, too.
    let untyped = prepared(&json!({ "minLength": 1 }));
    assert_eq!((&untyped["minimum"], &untyped["maximum"]), (&free["minimum"], &free["maximum"]));
    assert_eq!((&untyped["items"], &untyped["additionalProperties"]), (&any(), &any()));
    assert_eq!(prepared(&json!({ "description": "what you like" })), any());
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
            "JSON schema at #/pattern: a pattern that is no plain regular expression (look-around, \\b, back references, inner anchors) cannot be enforced",
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
        (
            json!({ "properties": [] }),
            "invalid JSON schema at #/properties: expected an object of schemas, got an array",
        ),
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
fn what_would_grow_with_its_rewriting_does_not() {
    let names: Vec<String> = (0..500).map(|name| format!("a{name}")).collect();
    let each: Vec<usize> = (0..500).collect();
    let schema = json!({
        "type": "object", "propertyNames": { "enum": names }, "additionalProperties": { "enum": each }
    });
    assert!(prepared(&schema).to_string().len() < 20_000);
    let names: Vec<String> = (0..=MAX_PROPERTIES).map(|name| format!("a{name}")).collect();
    assert!(refusal(&json!({ "propertyNames": { "enum": names } })).contains("more than 1000 properties"));
    let patterns: Map<String, Value> = (0..70).map(|n| (format!("^{n}$"), true.into())).collect();
    assert!(refusal(&json!({ "patternProperties": patterns })).contains("more than 64 patterns"));
    let options: Vec<Value> = (0..2_000).map(|value| json!({ "const": value })).collect();
    assert!(refusal(&json!({ "oneOf": options })).contains("oneOf"));
    // Keys that assert nothing are looked at wherever they are referred to, and in every branch.
    let mut notes: Map<String, Value> = (0..10_000).map(|n| (format!("note{n}"), n.into())).collect();
    let options = vec![json!({ "$ref": "#/$defs/big" }); 4_900];
    let schema = json!({ "anyOf": options, "$defs": { "big": notes } });
    assert!(refusal(&schema).contains("it comes to more than 100000 values"));
    notes.insert("type".into(), "string".into());
    notes.insert("allOf".into(), json!([{ "anyOf": vec![true; 95] }, { "anyOf": vec![true; 95] }]));
    assert!(refusal(&notes.into()).contains("it comes to more than 100000 values"));
}

#[test]
fn what_is_said_of_properties_or_items_means_objects_or_arrays() {
    for (schema, kind) in [
        (json!({ "properties": { "age": { "type": "integer" } }, "required": ["age"] }), "object"),
        (json!({ "properties": {} }), "object"),
        (json!({ "required": ["a"], "description": "a" }), "object"),
        (json!({ "additionalProperties": { "type": "string" } }), "object"),
        (json!({ "allOf": [{ "required": ["a"] }, { "properties": { "a": true } }] }), "object"),
        (json!({ "items": { "type": "string" } }), "array"),
        (json!({ "prefixItems": [true] }), "array"),
    ] {
        for strict in [true, false] {
            assert_eq!(shaped(&schema, strict)["type"], kind, "{schema}");
        }
        let nested = json!({ "type": "array", "items": schema });
        assert_eq!(prepared(&nested)["items"]["type"], kind, "{schema}");
    }
    // Of several kinds, or of none.
    for schema in [
        json!({ "properties": { "a": true }, "minLength": 1 }),
        json!({ "properties": { "a": true }, "minimum": 1 }),
        json!({ "properties": { "a": true }, "items": { "type": "null" } }),
        json!({ "additionalProperties": true }),
    ] {
        assert!(prepared(&schema).get("type").is_none(), "{schema}");
    }
    assert_eq!(prepared(&json!({ "properties": { "a": true }, "enum": [1] }))["enum"], json!([1]));
}

#[test]
fn patterns_are_plain_regular_expressions() {
    for pattern in [
        r"^\bid\b",
        r"(a)\1",
        r"^(?=a)",
        r"a(?!b)",
        r"(?<=a)b",
        "^(foo$|bar)x",
        "(?<stop>a)b",
        "(?P<stop>a)b",
        "(",
    ] {
        let schema = json!({ "type": "string", "pattern": pattern });
        assert!(refusal(&schema).starts_with("JSON schema at #/pattern: a pattern"), "{pattern}");
        assert_eq!(shaped(&schema, false), json!({ "type": "string" }), "{pattern}");
    }
    for pattern in [r"^\(?=x", "[(?=]", r"^[\w.]+@\d{2,}$", "(?<name>a)", "^(a|b)$"] {
        let schema = json!({ "type": "string", "pattern": pattern });
        assert_eq!(prepared(&schema), schema);
    }
}

#[test]
fn names_follow_one_pattern() {
    let schema = json!({
        "type": "object", "patternProperties": { "^a": { "type": "string" }, "b$": { "type": "null" }, "^x": true },
        "additionalProperties": false
    });
    assert!(
        refusal(&schema).starts_with("JSON schema at #/patternProperties/b$: that names may follow"),
        "{}",
        refusal(&schema)
    );
    let left = shaped(&schema, false);
    assert_eq!(left["patternProperties"], json!({ "^a": { "type": "string" }, "^x": any() }));
    // Names that follow the other one are among the rest.
    assert_eq!(left["additionalProperties"], any());
}

#[test]
fn what_cannot_be_enforced_is_left_to_the_model_unless_strict() {
    for (schema, expected) in [
        (json!({ "not": { "type": "string" } }), any()),
        (
            json!({ "type": "array", "items": { "type": "null" }, "uniqueItems": true, "contains": {} }),
            json!({ "type": "array", "items": { "type": "null" } }),
        ),
        (
            json!({ "type": "string", "pattern": "^(?!a)", "minLength": 1 }),
            json!({ "type": "string", "minLength": 1 }),
        ),
        (
            json!({ "type": "object", "properties": { "a": true }, "dependentRequired": { "a": ["b"] }, "minProperties": 1,
                "maxProperties": 7, "if": {}, "then": false }),
            json!({ "type": "object", "minProperties": 1, "properties": { "a": any() }, "additionalProperties": false }),
        ),
        (
            json!({ "type": "object", "additionalProperties": { "type": "null" }, "minProperties": 3 }),
            json!({ "type": "object", "additionalProperties": { "type": "null" } }),
        ),
        (
            json!({ "oneOf": [{ "type": "string" }, { "type": "string", "minLength": 2 }] }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "string", "minLength": 2 }] }),
        ),
        (
            json!({ "type": "string", "minLength": 1, "minimum": 1e19, "maximum": -1e300 }),
            json!({ "type": "string", "minLength": 1 }),
        ),
    ] {
        assert!(matches!(prepare(&schema, true), Err(GrammarError::Unsupported { .. })), "{schema}");
        assert_eq!(shaped(&schema, false), expected);
    }
    // What does not only narrow, and what is no schema.
    for schema in [
        json!({ "const": 9_007_199_254_740_993_i64 }),
        json!({ "$ref": "other.json" }),
        json!({ "minLength": "" }),
    ] {
        assert!(prepare(&schema, false).is_err(), "{schema}");
    }
}

#[test]
fn what_is_shared_is_written_once() {
    // Each option takes the definition with a property of its own: that many copies.
    let names: Vec<String> = (0..300).map(|name| format!("k{name}")).collect();
    let big: Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({ "const": "big" }))).collect();
    let options: Vec<Value> = names
        .iter()
        .map(|name| json!({ "oneOf": [{ "$ref": "#/$defs/big" }, { "type": "object", "properties": { name: { "const": 1 } } }] }))
        .collect();
    let schema =
        json!({ "prefixItems": options, "$defs": { "big": { "type": "object", "properties": big } } });
    assert!(refusal(&schema).contains("it comes to more than 100000 values"), "{}", refusal(&schema));
    // Every level doubles the one below.
    let mut definitions = json!({ "l0": { "type": "string" } });
    for level in 1..40 {
        let below = json!({ "$ref": format!("#/$defs/l{}", level - 1) });
        definitions[format!("l{level}")] = json!({ "allOf": [below, below], "anyOf": [below, below] });
    }
    assert!(refusal(&json!({ "$ref": "#/$defs/l39", "$defs": definitions })).contains("choices"));
}

#[test]
fn long_ways_are_refused_at_once() {
    let chain: Map<String, Value> =
        (0..9_000).map(|at| (at.to_string(), json!({ "$ref": format!("#/$defs/{}", at + 1) }))).collect();
    let schema = json!({ "$ref": "#/$defs/0", "$defs": chain });
    assert!(refusal(&schema).contains("more than 96 times"), "{}", refusal(&schema));
    for circle in [
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "$ref": "#/$defs/a" } } }),
        json!({ "type": "object", "anyOf": [{ "type": "null" }, { "$ref": "#" }] }),
    ] {
        assert!(refusal(&circle).contains("leads back to itself"), "{}", refusal(&circle));
    }
}
