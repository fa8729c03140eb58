use serde_json::json;

use super::*;
use crate::text::ChatTemplate;

/// Llama 2's shape: one turn at a time.
const OLD: &str = "{{ if .System }}<s>{{ .System }}</s>{{ end }}[{{ .Prompt }}]{{ .Response }}<e>";
/// A template for conversations, with tools.
const NEW: &str = r#"{{- if .Messages }}
{{- if or .System .Tools }}<sys>{{ .System }}
{{- if .Tools }}
{{ range .Tools }}{{ json . }}
{{ end }}{{ end }}</sys>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
{{- if eq .Role "user" }}<user>{{ .Content }}</user>
{{ else if eq .Role "assistant" }}<bot>
{{- if .Content }}{{ .Content }}{{ end }}
{{- range .ToolCalls }}<call>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</call>{{ end }}
{{- if not $last }}</bot>
{{ end }}
{{- else if eq .Role "tool" }}<result>{{ .Content }}</result>
{{ end }}
{{- if and (ne .Role "assistant") $last }}<bot>{{ end }}
{{- end }}
{{- end }}"#;

fn conversation(pairs: &[(&str, &str)]) -> Vec<Message> {
    pairs.iter().map(|(role, content)| Message::new(*role, *content)).collect()
}

fn render(source: &str, pairs: &[(&str, &str)]) -> String {
    GoTemplate::new(source).unwrap().render(&conversation(pairs), &RenderOptions::default()).unwrap()
}

fn failure(source: &str) -> TextError {
    match GoTemplate::new(source) {
        Err(error) => error,
        Ok(template) => {
            template.render(&conversation(&[("user", "hi")]), &RenderOptions::default()).unwrap_err()
        }
    }
}

#[test]
fn turns_of_an_older_template() {
    assert_eq!(render(OLD, &[("user", "a")]), "[a]");
    assert_eq!(render(OLD, &[("system", "s"), ("user", "a")]), "<s>s</s>[a]");
    let long = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")];
    assert_eq!(render(OLD, &long), "<s>s</s>[a]b<e>[c]");
    let prefilled = [("user", "a"), ("assistant", "b")];
    assert_eq!(render(OLD, &prefilled), "[a]b");
    assert_eq!(render(OLD, &[("user", "a"), ("user", "b")]), "[a\n\nb]");
    assert_eq!(render(OLD, &[("user", "a"), ("system", "s"), ("user", "b")]), "[a]<e><s>s</s>[b]");
}

#[test]
fn templates_with_names_are_called() {
    let source = concat!(
        "{{- define \"turn\" -}} [{{ .Role }}: {{ template \"content\" .Content }}] {{- end -}}\n",
        "{{- range .Messages }}{{ template \"turn\" . }}{{ end }}{{ template \"plain\" }}",
        "{{- block \"last\" .Messages }}{{ len . }}{{ end }}",
        "{{- define \"content\" }}{{ . }}!{{ end }}{{ define \"plain\" }}.{{ end }}"
    );
    assert_eq!(render(source, &[("user", "a"), ("assistant", "b")]), "[user: a!][assistant: b!].2");
    let old = "{{ template \"ask\" . }}{{ .Response }}<e>{{ define \"ask\" }}[{{ .Prompt }}]{{ end }}";
    assert_eq!(render(old, &[("user", "a"), ("assistant", "b"), ("user", "c")]), "[a]b<e>[c]");
    let circle = "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    assert!(failure(circle).to_string().contains("circle"));
}

#[test]
fn calls_that_multiply_are_bounded() {
    let levels = (0..20).map(|level| {
        let call = format!("{{{{ template \"t{}\" . }}}}", level + 1);
        format!("{{{{ define \"t{level}\" }}}}{call}{call}{call}{{{{ end }}}}")
    });
    let source = format!(
        "{}{{{{ define \"t20\" }}}}x{{{{ end }}}}{{{{ template \"t0\" . }}}}{{{{ .Messages }}}}",
        levels.collect::<String>()
    );
    assert!(matches!(failure(&source), TextError::TemplateBudget));
}

#[test]
fn a_template_that_places_no_answer_gets_one_at_its_end() {
    assert_eq!(
        render("Q: {{ .Prompt }} A: ", &[("user", "a"), ("assistant", "b"), ("user", "c")]),
        "Q: a A: bQ: c A: "
    );
    assert_eq!(render("no action at all", &[("user", "a")]), "no action at all");
}

#[test]
fn a_conversation() {
    let pairs = [("system", "be"), ("system", "brief"), ("user", "a"), ("assistant", "b"), ("user", "c")];
    assert_eq!(
        render(NEW, &pairs),
        "<sys>be\n\nbrief</sys>\n<user>a</user>\n<bot>b</bot>\n<user>c</user>\n<bot>"
    );
    assert_eq!(render(NEW, &[("user", "a"), ("assistant", "b")]), "<user>a</user>\n<bot>b");
}

#[test]
fn tools_calls_and_results() {
    let mut messages =
        conversation(&[("user", "weather?"), ("assistant", ""), ("tool", "warm"), ("tool", "dry")]);
    messages[1].extra.insert(
        "tool_calls".into(),
        json!([{"function": {"name": "weather", "arguments": {"city": "Bern <CH>", "days": 2}}}]),
    );
    let tool = json!([{"type": "function", "function": {"name": "weather", "description": "d", "parameters":
        {"type": "object", "properties": {"city": {"type": "string", "enum": ["Bern"]}}, "required": ["city"]}}}]);
    let options = RenderOptions { tools: Some(tool.clone()), ..RenderOptions::default() };
    let text = GoTemplate::new(NEW).unwrap().render(&messages, &options).unwrap();
    assert_eq!(
        text,
        format!(
            "<sys>\n{}\n</sys>\n<user>weather?</user>\n<bot><call>{{\"name\": \"weather\", \"arguments\": {}}}</call></bot>\n\
             <result>warm</result>\n<result>dry</result>\n<bot>",
            tool[0], r#"{"city":"Bern <CH>","days":2}"#
        )
    );
    let fields = "{{ range .Tools }}{{ .Type }} {{ .Function.Name }}{{ range $n, $p := .Function.Parameters.Properties }} \
        {{ $n }}: {{ $p.Type }} {{ toTypeScriptType $p }} {{ $p.Enum }} [{{ $p.Description }}]{{ end }} \
        {{ .Function.Parameters.Required }}{{ end }}{{ range .Messages }}{{ end }}";
    let text = GoTemplate::new(fields).unwrap().render(&messages, &options).unwrap();
    assert_eq!(text, "function weather city: string string [Bern] [] [city]");
    let all =
        GoTemplate::new("{{ .Tools }}{{ len .Messages }}").unwrap().render(&messages, &options).unwrap();
    assert_eq!(all, format!("{tool}4"));
}

#[test]
fn thinking_is_told_and_may_be_unset() {
    let source = "{{ range .Messages }}{{ end }}{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}";
    let template = GoTemplate::new(source).unwrap();
    let told = |think: Option<bool>, level: Option<&str>| {
        let options =
            RenderOptions { think, think_level: level.map(str::to_owned), ..RenderOptions::default() };
        template.render(&conversation(&[("user", "a")]), &options).unwrap()
    };
    assert_eq!(told(None, None), "false  false");
    assert_eq!(told(Some(false), None), "false  true");
    assert_eq!(told(Some(true), Some("high")), "true high true");
    assert!(template.uses_thinking());
}

#[test]
fn insertion() {
    let source = "{{- if .Suffix }}<pre>{{ .Prompt }}<suf>{{ .Suffix }}<mid>{{ else }}{{ .Prompt }}{{ end }}";
    let template = ChatTemplate::given(source.to_owned(), None, None).unwrap();
    assert!(template.uses_suffix());
    let inserted = template.render_insert("a", "b", &RenderOptions::default()).unwrap();
    assert_eq!(inserted.unwrap(), "<pre>a<suf>b<mid>");
    let other = ChatTemplate::given("{{ .Prompt }}".to_owned(), None, None).unwrap();
    assert_eq!(other.render_insert("a", "b", &RenderOptions::default()).unwrap(), None);
}

#[test]
fn functions_of_go_and_of_ollama() {
    for (source, text) in [
        ("{{ currentDate \"2006\" | len }} {{ yesterdayDate | len }}", "10 10"),
        ("{{ printf \"%s-%d\" .Prompt 3 }}", "hi-3"),
        ("{{ print .Prompt 1 }}|{{ println .Prompt }}", "hi1|hi\n"),
        ("{{ index (slice \"abc\" 1) 0 }}", "98"),
        ("{{ if and .Prompt (not .System) }}y{{ end }}", "y"),
        ("{{ if eq .Prompt \"x\" \"hi\" }}y{{ end }}", "y"),
        ("{{ json .Prompt }}{{ .Nothing }}", "\"hi\"<no value>"),
        ("a  {{- \" b \" -}}  c", "a b c"),
        (
            "{{ $x := 0 }}{{ range 3 }}{{ $x = . }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}{{ $x }}",
            "022",
        ),
        ("{{ with .Prompt }}<{{ . }}>{{ else }}none{{ end }}", "<hi>"),
        ("{{ if $p := .Prompt }}{{ $p }}{{ end }}", "hi"),
        ("{{/* a comment with }} */}}x{{- /* another */ -}} y", "xy"),
        ("\u{e9}{{ .Prompt }}\u{1f600}", "\u{e9}hi\u{1f600}"),
    ] {
        assert_eq!(render(source, &[("user", "hi")]), text, "{source}");
    }
}

#[test]
fn mistakes_are_errors_with_a_place() {
    for (source, part) in [
        ("{{ .Prompt", "line 1: unclosed action"),
        ("{{ unknown .Prompt }}", "unknown"),
        ("a\n{{ range .Messages }}{{ .Missing }}{{ end }}", "line 2"),
        ("{{ if }}x{{ end }}", "missing value"),
        ("{{ index .Prompt 99 }}", "index"),
        ("\n{{ messages[0] }}", "line 2: "),
        ("{{ \u{7f} }}", ""),
    ] {
        let TextError::Template(text) = failure(source) else { panic!("{source}") };
        assert!(text.contains(part) && text.chars().count() <= MAX_ERROR_CHARS + 20, "{source}: {text}");
    }
}

#[test]
fn hostile_templates_end_within_their_budget() {
    for source in [
        "{{ range 10000 }}{{ range 10000 }}x{{ end }}{{ end }}",
        "{{ range 1000000000 }}{{ end }}",
        "{{ $s := .Prompt }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}",
        "{{ range 10000 }}{{ range 100 }}{{ printf \"%999s%999s%999s\" . . . }}{{ end }}{{ end }}",
    ] {
        assert!(matches!(failure(source), TextError::TemplateBudget), "{source}");
    }
    assert!(matches!(failure("{{ printf \"%999999999d\" 1 }}"), TextError::Template(_)));
    let greedy = format!("{}{{{{ range .Messages }}}}{{{{ end }}}}", "{{ $a := $ }}".repeat(4000));
    let long = "x".repeat(1 << 20);
    let error = GoTemplate::new(&greedy)
        .unwrap()
        .render(&conversation(&[("user", &long)]), &RenderOptions::default())
        .unwrap_err();
    assert!(matches!(error, TextError::TemplateBudget));
}

#[test]
fn text_of_a_message_is_no_template() {
    let text = "{{ .System }} {% if %} {{";
    assert_eq!(render(OLD, &[("user", text)]), format!("[{text}]"));
}

#[test]
fn either_language_is_recognised() {
    let given = |source: &str| ChatTemplate::given(source.to_owned(), Some("<s>".into()), None);
    let jinja = given("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}").unwrap();
    let messages = conversation(&[("user", "a")]);
    assert_eq!(jinja.render(&messages, &RenderOptions::default()).unwrap(), "<s>a");
    let go = given("{% {{ .Prompt }} %}").unwrap();
    assert_eq!(go.render(&messages, &RenderOptions::default()).unwrap(), "{% a %}");
    assert!(given("{{ messages }}").is_err());
}
