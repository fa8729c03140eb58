//! The dialect of Hugging Face's templates, and what a hostile one can do.

use super::*;

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source.into(), Some("<s>".into()), Some("</s>".into())).unwrap()
}

fn render(source: &str) -> Result<String, TextError> {
    let tool = json!([{ "type": "function", "function": { "name": "f", "parameters": { "b": 1, "a": [1.0, null] } } }]);
    let mut call = Message::new("assistant", "");
    call.extra.insert(
        "tool_calls".into(),
        json!([{ "function": { "index": 0, "name": "f", "arguments": { "city": "Zürich <&>", "n": 2 } } }]),
    );
    let messages = [Message::new("system", "Be brief."), Message::new("user", " Hi\n"), call];
    template(source).render(&messages, &RenderOptions { tools: Some(tool), ..RenderOptions::default() })
}

fn is(source: &str, expected: &str) {
    assert_eq!(render(source).unwrap(), expected, "{source}");
}

#[test]
fn blocks_leave_no_lines_behind() {
    is("{% if true %}\nx\n{% endif %}\ny\n", "x\ny");
    is("    {% if true %}\nx\n    {% endif %}\n", "x\n");
    is("a\n{%- if true -%}\n  b\n{%- endif %}\n", "ab");
}

#[test]
fn variables_of_the_dialect() {
    is("{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", "<s>Be brief.</s>");
    is("{{ messages[1].content | trim }}|{{ messages | length }}|{{ messages[-1].role }}", "Hi|3|assistant");
    is("{{ add_generation_prompt }} {{ none }} {{ undefined_thing }}.", "True None .");
    is("{{ enable_thinking is defined }}", "False");
    is("{% for m in messages[1:] %}{{ loop.index0 }}{{ m.role }}{% endfor %}", "0user1assistant");
    is("{{ '%s-%s' | format('a', 1) }}{{ 'a' * 3 }}{{ 'x' in 'xyz' }}", "a-1aaaTrue");
}

#[test]
fn tojson_is_json_dumps() {
    let compact =
        r#"{"type": "function", "function": {"name": "f", "parameters": {"b": 1, "a": [1.0, null]}}}"#;
    is("{{ tools[0] | tojson }}", compact);
    is("{{ messages[2].tool_calls[0].function.arguments | tojson }}", r#"{"city": "Zürich <&>", "n": 2}"#);
    is(
        "{{ {'a': [1, {'b': true}], 'c': []} | tojson(indent=2) }}",
        "{\n  \"a\": [\n    1,\n    {\n      \"b\": true\n    }\n  ],\n  \"c\": []\n}",
    );
    is("{{ {'b': 1, 'a': 'é'} | tojson(sort_keys=true, ensure_ascii=true) }}", r#"{"a": "\u00e9", "b": 1}"#);
    is("{{ tools[0].function.parameters }}", "{'b': 1, 'a': [1.0, None]}");
    let error = render("{{ nothing | tojson }}").unwrap_err().to_string();
    assert!(error.contains("tojson cannot write"), "{error}");
}

#[test]
fn python_methods() {
    is("{{ ' a b '.strip() + '|' + 'a,b,c'.split(',', 1)[1] }}", "a b|b,c");
    is(
        "{{ 'x'.startswith('x') and not 'x'.endswith('y') }}{{ 'ab'.upper() }}{{ 'a-b'.replace('-', '') }}",
        "TrueABab",
    );
    is(
        "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'a': 1}.get('z', 'd') }}",
        "a1b2d",
    );
    is(
        "{{ 'xay'.removeprefix('x').removesuffix('y') }}{{ 'a=b=c'.partition('=')[2] }}{{ 'a=b=c'.rpartition('=')[0] }}{{ ('a', 1) }}{{ (2,) }}",
        "ab=ca=b('a', 1)(2,)",
    );
    is("{{ 'a\n\n'.rstrip('\n') }}{{ '</think>x'.split('</think>')[-1].lstrip('\n') }}", "ax");
}

#[test]
fn control_structures() {
    is(
        "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        "02",
    );
    is(
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
        "3",
    );
    is("{% macro f(x, y='d') %}[{{ x }}{{ y }}]{% endmacro %}{{ f('a') }}{{ f('a', y='b') }}", "[ad][ab]");
    is(
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}",
        "[' Hi\\n']",
    );
    is("a{%- generation -%} b {% endgeneration %}c", "ab c");
}

#[test]
fn thinking_switches_are_defined_only_when_asked_for() {
    let template = template("{{ enable_thinking is defined }}{{ enable_thinking }}{{ reasoning_effort }}");
    let messages = [Message::new("user", "x")];
    let with = |think, level: Option<&str>| {
        let options = RenderOptions { think, think_level: level.map(Into::into), ..RenderOptions::default() };
        template.render(&messages, &options).unwrap()
    };
    assert_eq!(with(None, None), "False");
    assert_eq!(with(Some(false), None), "TrueFalse");
    assert_eq!(with(Some(true), Some("high")), "TrueTruehigh");
}

#[test]
fn fields_have_the_names_of_both_worlds() {
    let mut message = Message::new("assistant", "c");
    message.extra.insert("thinking".into(), "t".into());
    message.extra.insert("tool_name".into(), "f".into());
    message.extra.insert("role".into(), "forged".into());
    let template = template(
        "{% set m = messages[0] %}{{ m.role }}{{ m.reasoning_content }}{{ m.thinking }}{{ m.name }}",
    );
    assert_eq!(template.render(&[message], &RenderOptions::default()).unwrap(), "assistantttf");
}

#[test]
fn capabilities_are_read_off_the_variables() {
    assert!(template("{% if tools %}x{% endif %}").uses_tools());
    assert!(!template("{{ messages[0].tools }} # tools").uses_tools());
    assert!(template("{% if enable_thinking is defined %}x{% endif %}").uses_thinking());
    assert!(template("{{ '<think></think>' }}").uses_thinking());
    assert!(template("{{ messages[-1].content }}<think>\n").uses_thinking());
    assert!(template("{# a #}<think>{# b #}").uses_thinking());
    assert!(!template("{# <think> #}{{ messages }}").uses_thinking());
}

#[test]
fn an_empty_list_of_tools_is_none() {
    let options = RenderOptions { tools: Some(Json::Array(Vec::new())), ..RenderOptions::default() };
    let text = template("{{ tools is none }}").render(&[Message::new("user", "")], &options).unwrap();
    assert_eq!(text, "True");
}

#[test]
fn the_clock_has_the_format_of_c() {
    let year = render("{{ strftime_now('%Y') }}").unwrap();
    assert!(year.len() == 4 && year.bytes().all(|digit| digit.is_ascii_digit()), "{year}");
    let error = render("{{ strftime_now('%Q!') }}").unwrap_err().to_string();
    assert!(error.contains("strftime_now does not understand"), "{error}");
}

#[test]
fn refusals_carry_the_words_of_the_template() {
    let error = render("{{ raise_exception('roles must alternate') }}").unwrap_err();
    assert!(
        matches!(&error, TextError::TemplateRefused(words) if words == "roles must alternate"),
        "{error:?}"
    );
    let error = render(
        "{% macro f() %}{{ raise_exception('deep') }}{% endmacro %}{% for x in [1] %}{{ f() }}{% endfor %}",
    );
    assert!(matches!(error, Err(TextError::TemplateRefused(words)) if words == "deep"));
}

#[test]
fn errors_say_what_and_where() {
    let error = ChatTemplate::new("a\n{% if %}".into(), None, None).unwrap_err();
    assert!(matches!(&error, TextError::Template(text) if text.contains("chat_template:2")), "{error}");
    let error = render("{{ messages[0].content + 1 }}").unwrap_err();
    assert!(matches!(error, TextError::Template(_)), "{error}");
    // There is nothing to include; least of all the template itself, by its name.
    for other in ["{% include 'x' %}", "{% import 'chat_template' as x %}", "{% extends 'chat_template' %}"] {
        let error = ChatTemplate::new(other.into(), None, None).unwrap_err().to_string();
        assert!(error.contains("unknown statement"), "{error}");
    }
}

#[test]
fn hostile_templates_end() {
    let grow = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    let output = "{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaa' * 1000 }}{% endfor %}";
    let nested = "{% for i in range(10000) %}{% for j in range(10000) %}{% for k in range(10000) %}{% endfor %}{% endfor %}{% endfor %}";
    let repeated = "{{ 'x' * 10000000000 }}";
    let padded = "{{ '%999999999d' % 1 }}";
    for source in [grow, output, nested, repeated, padded] {
        let result = render(source);
        assert!(
            matches!(result, Err(TextError::TemplateBudget | TextError::Template(_))),
            "{source}: {result:?}"
        );
    }
}

#[test]
fn values_that_share_their_items_are_bounded() {
    let nested =
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    let mapped = "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}";
    let joined =
        "{% set ns = namespace(x=[1]) %}{% for i in range(28) %}{% set ns.x = ns.x + ns.x %}{% endfor %}";
    let wide = "{% set ns = namespace(x='a' * 1000000) %}{% for i in range(6) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    for source in [nested, mapped, joined, wide] {
        for write in ["{{ ns.x | tojson }}", "{{ ns.x }}"] {
            let result = render(&format!("{source}{write}"));
            assert!(matches!(&result, Err(TextError::TemplateBudget)), "{source}{write}: {result:?}");
        }
    }
}

#[test]
fn lists_cannot_be_joined_beyond_memory() {
    let doubled = |join: &str| {
        format!(
            "{{% set ns = namespace(x=[1]) %}}{{% for i in range(40) %}}{{% set ns.x = {join} %}}{{% endfor %}}{{{{ ns.x|length }}}}"
        )
    };
    for join in ["ns.x + ns.x", "ns.x + (ns.x|map('int'))", "(ns.x|select) + (ns.x|select)", "ns.x[:] + ns.x"]
    {
        let result = render(&doubled(join));
        assert!(matches!(result, Err(TextError::TemplateBudget)), "{join}: {result:?}");
    }
    for join in ["[ns.x, ns.x]|sum(start=[])", "[ns.x, ns.x]|sum(none, [])", "ns.x|chain(ns.x)"] {
        let result = render(&doubled(join));
        assert!(matches!(result, Err(TextError::Template(_))), "{join}: {result:?}");
    }
    // In a macro, where the instructions are the same.
    let called = "{% macro twice(x, n) %}{% if n > 0 %}{{ twice(x + x, n - 1) }}{% else %}{{ x|length }}{% endif %}{% endmacro %}";
    let result = render(&format!("{called}{{{{ twice([0], 40) }}}}"));
    assert!(matches!(result, Err(TextError::TemplateBudget)), "{result:?}");
}

#[test]
fn plus_adds_what_it_always_did() {
    for (source, shown) in [
        (
            "{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x|length }} {{ ns.x[-1] }} {{ ns.x[:3] }}",
            "100 99 [0, 1, 2]",
        ),
        (
            "{% set a = 1 %}{{ a + 2 }} {{ a + 0.5 }} {{ 'a' + 'b' }} {{ [a] + ['b'] }} {{ (a,) + (2,) }}",
            "3 1.5 ab [1, 'b'] (1, 2)",
        ),
        ("{% set x = 'a' %}{{ x + ({'b': 1}|tojson) + '<' }}", "a{\"b\": 1}<"),
        ("{{ [1, 2.5]|sum }} {{ [{'a': 1}, {'a': 2}]|sum('a') }} {{ [1]|sum(start=4) }}", "3.5 3 5"),
    ] {
        assert_eq!(render(source).unwrap(), shown, "{source}");
    }
    let error = render("{% set a = 1 %}\n\n{{ a + 'b' }}").unwrap_err().to_string();
    assert!(error.contains("line 3") || error.contains(":3"), "{error}");
    for source in ["{{ 1 + none }}", "{{ [1] + 'a' }}", "{% set x = 1 %}{{ x + messages }}"] {
        assert!(matches!(render(source), Err(TextError::Template(_))), "{source}");
    }
}

#[test]
fn tojson_takes_the_arguments_of_python() {
    let value = "{'b': [1, true], 'a': none, 1: 2, 1.5: 3}";
    let written = |arguments: &str| render(&format!("{{{{ {value} | tojson{arguments} }}}}")).unwrap();
    assert_eq!(written(""), r#"{"b": [1, true], "a": null, "1": 2, "1.5": 3}"#);
    assert_eq!(written("(separators=(',', ':'))"), r#"{"b":[1,true],"a":null,"1":2,"1.5":3}"#);
    assert_eq!(written("(separators=none)"), written(""));
    assert_eq!(
        render("{{ [1, {'a': 2}] | tojson(indent=1, separators=(' ,', ' = ')) }}").unwrap(),
        "[\n 1 ,\n {\n  \"a\" = 2\n }\n]"
    );
    for wrong in ["1", "','", "(',',)", "(1, 2)", "(',', ':', ';')"] {
        let error = render(&format!("{{{{ [] | tojson(separators={wrong}) }}}}")).unwrap_err().to_string();
        assert!(error.contains("separators=(between_items, after_key)"), "{wrong}: {error}");
    }
    assert!(render("{{ {(1, 2): 3} | tojson }}").unwrap_err().to_string().contains("key of type"));
}

#[test]
fn hostile_nesting_does_not_exhaust_the_stack() {
    let recursion = "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}";
    let deep =
        "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}";
    for source in
        [recursion.to_owned(), format!("{deep}{{{{ ns.x | tojson }}}}"), format!("{deep}{{{{ ns.x }}}}")]
    {
        let result = render(&source);
        assert!(
            matches!(result, Err(TextError::TemplateBudget | TextError::Template(_))),
            "{source}: {result:?}"
        );
    }
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(ChatTemplate::new(nested, None, None), Err(TextError::Template(_))));
    assert!(matches!(
        render(&format!("{deep}{{{{ ns.x == ns.x }}}}")),
        Ok(_) | Err(TextError::Template(_) | TextError::TemplateBudget)
    ));
}

/// A call, its result, and what a template makes of them.
fn render_call(source: &str) -> String {
    let mut call = Message::new("assistant", "");
    call.extra
        .insert("tool_calls".into(), json!([{ "function": { "name": "f", "arguments": { "a": "b" } } }]));
    template(source)
        .render(&[Message::new("user", "?"), call, Message::new("tool", "r")], &RenderOptions::default())
        .unwrap()
}

#[test]
fn calls_take_the_form_that_the_template_is_written_for() {
    let each = |inner: &str| {
        format!(
            "{{% for m in messages %}}{{% if m.tool_calls %}}{{% for c in m.tool_calls %}}{inner}{{% endfor %}}{{% endif %}}{{% endfor %}}"
        )
    };
    // An object, its JSON, its items.
    assert_eq!(render_call(&each("{{ c.function | tojson }}")), r#"{"name": "f", "arguments": {"a": "b"}}"#);
    assert_eq!(
        render_call(&each("{{ c.type + c.function.name + c.function.arguments }}")),
        r#"functionf{"a":"b"}"#
    );
    assert_eq!(render_call(&each("{{ c.function.arguments }}")), r#"{"a":"b"}"#);
    assert_eq!(
        render_call(&each("{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}")),
        "a=b"
    );
    // No content rather than an empty one.
    let none = "{% for m in messages %}{% if m.role == 'assistant' and m.content is none %}{{ m.tool_calls[0].function.arguments }}{% endif %}{% endfor %}";
    assert_eq!(render_call(none), r#"{"a":"b"}"#);
    // Ids of nine letters and digits, the same in call and result.
    let strict = "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}{{ raise_exception('id') }}{% endif %}\
        {{ c.id }}{{ c.function.arguments | tojson }}{% endfor %}{% if m.role == 'tool' %}{{ m.tool_call_id }}{{ m.name }}{% endif %}{% endfor %}";
    assert_eq!(render_call(strict), r#"call00000{"a": "b"}call00000f"#);
}
