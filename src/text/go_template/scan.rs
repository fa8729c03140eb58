//! Reads the actions of a Go template: what it uses, how much it can hold, and where its prompt ends.
//!
//! The crate that runs templates shows nothing of what it parsed. So the few things that have to be known are read from
//! the text, by the rules of Go's own lexer: an action runs from `{{` to `}}`, strings inside it may contain either.
//! On the way each pipeline gets a function of ours at its end, which prints values as Ollama does, and which is where
//! the crate looks at the clock: a pipeline without any function would run unwatched.

mod named;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use self::named::Named;
use super::functions::{LEFT, SHOW, TRUTH, VALUE};

/// Longest template, in bytes. The longest that models come with have some 20 KB.
const MAX_BYTES: usize = 128 << 10;
/// Actions of a template.
const MAX_ACTIONS: usize = 4096;
/// Nested blocks and branches of one `if`, and nested parentheses: each costs the parser stack.
const MAX_DEPTH: usize = 50;

/// Variable with the number of messages.
pub(super) const COUNT: &str = "AxCount";
/// How templates ask whether a message is the last one. Taken literally, each message copies all others.
const REST: &str = "len (slice $.Messages $";

/// What a template consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// The whole template, made ready to run.
    pub(super) whole: String,
    /// The template up to and with the first action that prints `.Response`, open blocks closed, if there is one.
    pub(super) until_response: Option<String>,
    /// The template without its comments.
    pub(super) said: String,
    /// Names of all fields it mentions, in lower case.
    pub(super) names: BTreeSet<String>,
    /// Copies of its data that it can hold at a time.
    pub(super) copies: usize,
}

impl Scan {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong, with the line.
    pub(super) fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_BYTES {
            return Err(format!("the template has more than {MAX_BYTES} bytes"));
        }
        let mut scanner =
            Scanner { source, whole: String::with_capacity(source.len() * 2), ..Scanner::default() };
        scanner.run()?;
        let Scanner { mut whole, mut until_response, late, said, names, named, .. } = scanner;
        let bodies = named.deepest()?;
        if let Some(cut) = &mut until_response {
            cut.push_str(&late);
        }
        if !names.contains("messages") && !names.contains("response") {
            // A template that places neither is one for a prompt, and the answer follows it.
            write!(whole, "{{{{ .Response | {SHOW} }}}}").ok();
        }
        let held = 2 * (scanner.declared + scanner.deepest);
        Ok(Self { whole, until_response, said, names, copies: scanner.largest + held * bodies + 8 })
    }

    /// Whether it is made for one turn at a time, and not for a list of messages.
    pub(super) fn is_old_style(&self) -> bool {
        !self.names.contains("messages")
    }
}

#[derive(Default)]
struct Scanner<'a> {
    source: &'a str,
    whole: String,
    until_response: Option<String>,
    /// Named templates that are defined after that.
    late: String,
    said: String,
    names: BTreeSet<String>,
    named: Named<'a>,
    /// Operands of the action with the most.
    largest: usize,
    /// Variables declared.
    declared: usize,
    open: Vec<Open<'a>>,
    deepest: usize,
    actions: usize,
}

/// A block that has not ended.
struct Open<'a> {
    /// Its branches so far.
    branches: usize,
    /// The name of the template that it is the body of, if it is one.
    name: Option<&'a str>,
    /// Where the definition of that template begins in the output, unless it is called right here.
    definition: Option<usize>,
}

/// One action.
#[derive(Default)]
struct Action<'a> {
    /// First word of it.
    keyword: &'a str,
    /// Whether the second word of an `else` is `if` or `with`.
    conditional: bool,
    /// The string that follows the first word, without its quotes.
    name: Option<&'a str>,
    /// Where the last token ends.
    end: usize,
    /// Where its strings are.
    texts: Vec<Range<usize>>,
    operands: usize,
    /// Whether its value goes to a variable.
    stores: bool,
    response: bool,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) -> Result<(), String> {
        let mut at = 0;
        while let Some(found) = self.source[at..].find("{{") {
            let start = at + found;
            self.whole.push_str(&self.source[at..start]);
            self.said.push_str(&self.source[at..start]);
            at = self.action(start).map_err(|reason| {
                let line = self.source[..start].matches('\n').count() + 1;
                format!("line {line}: {reason}")
            })?;
        }
        self.whole.push_str(&self.source[at..]);
        self.said.push_str(&self.source[at..]);
        if self.open.is_empty() { Ok(()) } else { Err("unexpected end: a block has no {{ end }}".to_owned()) }
    }

    /// Reads the action at `start` and returns where the text goes on.
    fn action(&mut self, start: usize) -> Result<usize, String> {
        self.actions += 1;
        if self.actions > MAX_ACTIONS {
            return Err(format!("the template has more than {MAX_ACTIONS} actions"));
        }
        let mut inside = start + 2;
        let rest = &self.source[inside..];
        if rest.starts_with('-') && rest[1..].starts_with(is_space) {
            inside += 2;
        }
        if self.source[inside..].starts_with("/*") {
            let Some(end) = self.source[inside..].find("*/") else {
                return Err("unclosed comment".to_owned());
            };
            let rest = &self.source[inside + end + 2..];
            let Some(close) = right_delimiter(rest) else {
                return Err("comment ends before closing delimiter".to_owned());
            };
            let next = inside + end + 2 + close;
            self.whole.push_str(&self.source[start..next]);
            return Ok(next);
        }
        let (action, close) = self.tokens(inside)?;
        self.largest = self.largest.max(action.operands);
        let is_in_body = self.open.iter().any(|open| open.name.is_some());
        let (function, ended) = self.place(&action)?;
        self.push_action(start, &action);
        self.said.push_str(&self.source[start..close]);
        if let Some(function) = function {
            write!(self.whole, " | {function}").ok();
        }
        self.whole.push_str(&self.source[action.end..close]);
        if self.until_response.is_some() {
            // What is called before the cut may be defined after it.
            let definition = ended.and_then(|open| open.definition);
            self.late.push_str(definition.map_or("", |from| &self.whole[from..]));
        } else if action.response && function == Some(SHOW) && !is_in_body {
            let ends = "{{ end }}".repeat(self.open.len());
            self.until_response = Some(format!("{}{ends}", self.whole));
        }
        Ok(close)
    }

    /// Adds the text of an action that begins at `start`, with the number of messages after one counted and not copied
    /// out.
    fn push_action(&mut self, start: usize, action: &Action<'_>) {
        let source = self.source;
        let (mut done, mut at) = (start, start);
        while let Some(found) = source[at..action.end].find(REST) {
            let found = at + found;
            at = found + REST.len();
            // What stands in a string is no call.
            let before = action.texts.partition_point(|text| text.start <= found);
            if before > 0 && action.texts[before - 1].contains(&found) {
                continue;
            }
            let name = word(&source[at..action.end]);
            let after = at + name.len();
            if !source[after..action.end].starts_with(')') {
                continue;
            }
            write!(self.whole, "{}{LEFT} $.{COUNT} ${name}", &source[done..found]).ok();
            at = after + 1;
            done = at;
        }
        self.whole.push_str(&source[done..action.end]);
    }

    /// Reads tokens from `at` to the closing delimiter; returns the action, and where the text after it begins.
    fn tokens(&mut self, mut at: usize) -> Result<(Action<'a>, usize), String> {
        let source = self.source;
        let mut action = Action { end: at, ..Action::default() };
        let mut parentheses = 0_usize;
        let mut words = 0_usize;
        loop {
            let rest = &source[at..];
            if let Some(close) = right_delimiter(rest) {
                return Ok((action, at + close));
            }
            let Some(first) = rest.chars().next() else { return Err("unclosed action".to_owned()) };
            if is_space(first) {
                at += 1;
                continue;
            }
            let length = match first {
                '"' | '\'' => quoted(rest, first)?,
                '`' => rest[1..].find('`').map(|end| end + 2).ok_or("unterminated raw quoted string")?,
                '.' | '$' => {
                    let name = word(&rest[1..]);
                    if first == '.' {
                        self.names.insert(name.to_lowercase());
                        action.response |= name == "Response";
                    }
                    1 + name.len()
                }
                _ if is_word(first) => {
                    let text = word(rest);
                    match words {
                        0 if action.operands == 0 => action.keyword = text,
                        1 => action.conditional = matches!(text, "if" | "with"),
                        _ => {}
                    }
                    words += 1;
                    text.len()
                }
                '(' => {
                    parentheses += 1;
                    if parentheses > MAX_DEPTH {
                        return Err(format!("more than {MAX_DEPTH} nested parentheses"));
                    }
                    1
                }
                ')' => {
                    parentheses = parentheses.saturating_sub(1);
                    1
                }
                ':' if rest.starts_with(":=") => {
                    action.stores = true;
                    self.declared += 2;
                    2
                }
                '=' => {
                    action.stores = true;
                    1
                }
                other => other.len_utf8(),
            };
            if matches!(first, '"' | '\'' | '`') {
                action.texts.push(at..at + length);
                if action.operands == 1 {
                    action.name = Some(&source[at + 1..at + length - 1]);
                }
            }
            action.operands += usize::from(!matches!(first, '(' | ')' | ':' | '=' | '|'));
            at += length;
            action.end = at;
        }
    }

    /// Keeps account of blocks; returns the function that the action's pipeline is to end with, and the block that it
    /// ends.
    fn place(&mut self, action: &Action<'a>) -> Result<(Option<&'static str>, Option<Open<'a>>), String> {
        let condition = if action.stores { VALUE } else { TRUTH };
        let mut ended = None;
        let function = match action.keyword {
            "if" | "with" | "range" => {
                if action.operands < 2 {
                    return Err(format!("missing value for {}", action.keyword));
                }
                self.open.push(Open { branches: 1, name: None, definition: None });
                match action.keyword {
                    "if" => Some(condition),
                    "with" => Some(VALUE),
                    _ => None,
                }
            }
            "else" => {
                let Some(open) = self.open.last_mut() else {
                    return Err("unexpected {{ else }}".to_owned());
                };
                open.branches += 1;
                action.conditional.then_some(condition)
            }
            "end" => {
                ended = Some(self.open.pop().ok_or("unexpected {{ end }}")?);
                None
            }
            "define" | "template" | "block" => self.place_named(action)?,
            "break" | "continue" => None,
            _ if action.operands == 0 => None,
            _ if action.stores => Some(VALUE),
            _ => Some(SHOW),
        };
        let depth = self.open.iter().map(|open| open.branches).sum::<usize>();
        self.deepest = self.deepest.max(depth);
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested blocks"));
        }
        Ok((function, ended))
    }

    /// The same for what defines or calls a template by its name.
    fn place_named(&mut self, action: &Action<'a>) -> Result<Option<&'static str>, String> {
        let keyword = action.keyword;
        let name = action.name.filter(|name| !name.contains('\\'));
        let name = name.ok_or_else(|| format!("{{{{ {keyword} }}}} needs a plain name in quotes"))?;
        if keyword == "define" {
            if !self.open.is_empty() {
                return Err("unexpected {{ define }}: it must stand outside of all blocks".to_owned());
            }
            self.named.define(name)?;
            let definition = Some(self.whole.len());
            self.open.push(Open { branches: 1, name: Some(name), definition });
            return Ok(None);
        }
        self.named.call(self.open.iter().rev().find_map(|open| open.name), name);
        if keyword == "block" {
            self.named.define(name)?;
            self.open.push(Open { branches: 1, name: Some(name), definition: None });
        }
        // Without a value there is no pipeline.
        Ok((action.operands > 2).then_some(VALUE))
    }
}

/// Blanks as Go's lexer knows them.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The word that a text begins with; may be empty.
fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Length of the closing delimiter that a text begins with, with its trim marker.
fn right_delimiter(text: &str) -> Option<usize> {
    if text.starts_with("}}") {
        return Some(2);
    }
    let after_space = text.strip_prefix(is_space)?;
    after_space.starts_with("-}}").then_some(4)
}

/// Length of the quoted string or character that a text begins with.
fn quoted(text: &str, quote: char) -> Result<usize, String> {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            '\n' => break,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Ok(index + 1),
            _ => {}
        }
    }
    Err("unterminated quoted string".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(source: &str) -> Scan {
        Scan::new(source).unwrap()
    }

    #[test]
    fn pipelines_end_with_a_function_of_ours() {
        for (source, whole) in [
            ("a{{ .Response }}b", "a{{ .Response | ax_show }}b"),
            ("{{.Response}}", "{{.Response | ax_show}}"),
            ("{{- .Response -}}", "{{- .Response | ax_show -}}"),
            ("{{ if .Response }}x{{ end }}", "{{ if .Response | ax_truth }}x{{ end }}"),
            (
                "{{ if .Response }}x{{ else if .B }}y{{ else }}z{{ end }}",
                "{{ if .Response | ax_truth }}x{{ else if .B | ax_truth }}y{{ else }}z{{ end }}",
            ),
            (
                "{{ with .Response }}{{ . }}{{ end }}",
                "{{ with .Response | ax_value }}{{ . | ax_show }}{{ end }}",
            ),
            ("{{ range $i, $_ := .Messages }}{{ end }}", "{{ range $i, $_ := .Messages }}{{ end }}"),
            ("{{ $x := .Response }}{{ $x = 2 }}", "{{ $x := .Response | ax_value }}{{ $x = 2 | ax_value }}"),
            (
                "{{ if eq (len (slice $.Messages $i)) 1 }}{{ end }}{{ .Response }}",
                "{{ if eq (ax_left $.AxCount $i) 1 | ax_truth }}{{ end }}{{ .Response | ax_show }}",
            ),
            ("{{/* {{ .A }} */ -}} {{ .Response }}", "{{/* {{ .A }} */ -}} {{ .Response | ax_show }}"),
            (
                "{{ \"}}\" }}{{ `{{` }}{{ .Response }}",
                "{{ \"}}\" | ax_show }}{{ `{{` | ax_show }}{{ .Response | ax_show }}",
            ),
        ] {
            assert_eq!(scan(source).whole, whole);
        }
    }

    #[test]
    fn a_template_for_prompts_is_cut_after_the_answer() {
        let cut = |source: &str| scan(source).until_response;
        assert_eq!(cut("{{ .Prompt }}"), None);
        assert_eq!(cut("{{ if .Response }}x{{ end }}y"), None);
        assert_eq!(cut("a{{ .Response }}<|end|>").unwrap(), "a{{ .Response | ax_show }}");
        assert_eq!(
            cut("{{ if .A }}a{{ .Response }}b{{ else }}c{{ end }}d").unwrap(),
            "{{ if .A | ax_truth }}a{{ .Response | ax_show }}{{ end }}"
        );
    }

    #[test]
    fn the_cut_is_made_in_the_main_template_and_keeps_what_is_defined_after_it() {
        let named = scan(concat!(
            "{{ define \"a\" }}{{ .Response }}{{ end }}{{ template \"b\" . }}{{ .Response }}x",
            "{{ define \"b\" }}B{{ end }}y{{ block \"c\" . }}{{ template \"a\" . }}{{ end }}"
        ));
        assert_eq!(
            named.until_response.unwrap(),
            concat!(
                "{{ define \"a\" }}{{ .Response | ax_show }}{{ end }}{{ template \"b\" . | ax_value }}",
                "{{ .Response | ax_show }}{{ define \"b\" }}B{{ end }}"
            )
        );
        let flat = scan("{{ if .A }}{{ .Response }}{{ end }}{{ if .A }}{{ end }}{{ if .A }}{{ end }}");
        // Three bodies may be open at a time, each with its blocks.
        assert_eq!((named.copies - 8 - 3, flat.copies - 8 - 2), (3 * 2, 2));
    }

    #[test]
    fn an_answer_is_added_where_none_is_placed() {
        assert_eq!(scan("plain").whole, "plain{{ .Response | ax_show }}");
        assert_eq!(scan("{{ $.Messages }}").whole, "{{ $.Messages | ax_show }}");
        assert!(scan("{{ .prompt }}").names.contains("prompt"));
    }

    #[test]
    fn broken_templates_are_named_by_line() {
        for (source, reason) in [
            ("a\n{{ .X", "line 2: unclosed action"),
            ("{{ \"abc }}", "line 1: unterminated quoted string"),
            ("{{ end }}", "line 1: unexpected {{ end }}"),
            ("{{ else }}", "line 1: unexpected {{ else }}"),
            ("{{ if . }}", "unexpected end: a block has no {{ end }}"),
            ("{{ template \"x\" . }}", "template \"x\" not defined"),
            ("{{ template .X }}", "line 1: {{ template }} needs a plain name in quotes"),
            (
                "{{ if 1 }}{{ define \"x\" }}{{ end }}{{ end }}",
                "line 1: unexpected {{ define }}: it must stand outside of all blocks",
            ),
            ("{{/* open", "line 1: unclosed comment"),
        ] {
            assert_eq!(Scan::new(source).unwrap_err(), reason, "{source}");
        }
    }

    #[test]
    fn what_could_exhaust_the_parser_is_refused() {
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(51), ")".repeat(51));
        assert!(Scan::new(&deep).unwrap_err().contains("nested parentheses"));
        let chain = format!("{{{{ if 1 }}}}{}{{{{ end }}}}", "{{ else if 1 }}".repeat(60));
        assert!(Scan::new(&chain).unwrap_err().contains("nested blocks"));
        assert!(Scan::new(&"{{ if 1 }}".repeat(60)).unwrap_err().contains("nested blocks"));
        assert!(Scan::new(&"{{1}}".repeat(5000)).unwrap_err().contains("actions"));
        assert!(Scan::new(&"x".repeat(200_000)).unwrap_err().contains("bytes"));
    }

    #[test]
    fn what_looks_like_a_call_in_a_string_stays() {
        let count = "len (slice $.Messages $i)";
        for (source, whole) in [
            (format!("{{{{ {count} }}}}"), "{{ ax_left $.AxCount $i | ax_show }}".to_owned()),
            (format!("{{{{ print \"{count}\" }}}}"), format!("{{{{ print \"{count}\" | ax_show }}}}")),
            (
                format!("{{{{ print `{count}` ({count}) \"\" }}}}"),
                format!("{{{{ print `{count}` (ax_left $.AxCount $i) \"\" | ax_show }}}}"),
            ),
            (
                format!("{{{{ print (len (slice $.Messages $i 2)) ({count}) }}}}"),
                "{{ print (len (slice $.Messages $i 2)) (ax_left $.AxCount $i) | ax_show }}".to_owned(),
            ),
        ] {
            let scanned = scan(&source).whole;
            assert!(scanned.starts_with(&whole), "{source}: {scanned}");
        }
    }

    #[test]
    fn comments_say_nothing() {
        let source = "a {# b {{/* <think> */}}c{{- /* {{ .X }} */ -}}{{ print \"{{/* d */}}\" }}";
        assert_eq!(scan(source).said, "a {# b c{{ print \"{{/* d */}}\" }}");
    }
}
