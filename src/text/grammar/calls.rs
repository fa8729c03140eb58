//! Calls of tools, as rules.
//!
//! A family's [`ToolFormat`] says of what parts a call is made. All of it is text here, marks that are tokens of their own
//! as well: the model may cut it into tokens as it likes.

use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::{Value, json};

use super::lark::{before_answer, regex_of, thoughts_rules};
use super::{CallPart, GrammarError, Thoughts, Tool, ToolFormat, schema};

/// Most calls of one turn.
const MAX_CALLS: usize = 32;

/// The calls that an answer is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// How this family of models writes calls.
    pub format: &'static ToolFormat,
    /// What may be called.
    pub tools: Vec<Tool>,
    /// Text may stand before the calls and instead of them; else the answer is one call or more.
    pub text: bool,
    /// There may be several calls.
    pub many: bool,
}

/// How close the arguments of tools come to their schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// As close as they can.
    Schema,
    /// Arguments of tools that are not strict are any object.
    Strict,
}

/// Returns the grammar of calls.
///
/// # Errors
///
/// Those of a strict tool's schema. A schema of another tool that cannot be enforced is left to the model.
pub(super) fn calls(
    calls: &Calls,
    fit: Fit,
    thoughts: Option<Thoughts<'_>>,
) -> Result<TopLevelGrammar, GrammarError> {
    let mut rules = Rules { lark: String::new(), schemas: Vec::new(), count: 0, format: calls.format };
    let names = calls.tools.iter().map(|tool| rules.call(tool, fit)).collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        return Err(GrammarError::Refused("a call is demanded, but there are no tools".into()));
    }
    let (begin, between, end) = (calls.format.begin(), calls.format.between(), calls.format.end());
    let more = format!("({} call){{0,{}}} ", literal(between), MAX_CALLS - 1);
    let more = if calls.many { more } else { String::new() };
    let turn = |begin: &str, end: &str| format!("{begin} call {more}{end}");
    let end = literal(end);
    let start = if calls.text {
        rules.with_text(begin, |begin| turn(begin, &end))
    } else {
        turn(&literal(begin), &end)
    };
    let thoughts = thoughts
        .map_or_else(Default::default, |thoughts| (before_answer(thoughts), thoughts_rules(thoughts)));
    let Rules { lark: rules, schemas, .. } = rules;
    let lark = format!(
        "start: {}answer\nanswer: {start}\ncall: {}\n{rules}{}",
        thoughts.0,
        names.join(" | "),
        thoughts.1
    );
    let mut grammars = vec![GrammarWithLexer::from_lark(lark)];
    grammars.extend(schemas);
    Ok(TopLevelGrammar { grammars, max_tokens: None })
}

/// Rules in the making.
struct Rules {
    lark: String,
    schemas: Vec<GrammarWithLexer>,
    /// Rules that have a number for a name.
    count: usize,
    format: &'static ToolFormat,
}

impl Rules {
    /// Adds the rule of a call and returns its name.
    fn call(&mut self, tool: &Tool, fit: Fit) -> Result<String, GrammarError> {
        let fitting = tool.strict || fit == Fit::Schema;
        let body = self.parts(&self.format.call(tool), fitting, tool.strict)?;
        Ok(self.rule("", &body))
    }

    fn rule(&mut self, attributes: &str, body: &str) -> String {
        let name = format!("r{}", self.count);
        self.count += 1;
        // Writing to a string cannot fail.
        writeln!(self.lark, "{name}{attributes}: {body}").ok();
        name
    }

    /// The parts of a call, one after the other. Schemas are followed if `fitting`, and have to be if `strict`.
    fn parts(&mut self, parts: &[CallPart], fitting: bool, strict: bool) -> Result<String, GrammarError> {
        let mut body = String::new();
        let mut rest = parts.iter().peekable();
        while let Some(part) = rest.next() {
            let item = match part {
                CallPart::Literal(text) => literal(text),
                CallPart::Json(schema) => self.json(schema, fitting, strict)?,
                CallPart::OneOf(texts) => {
                    let texts: Vec<String> =
                        texts.iter().map(|text| Value::from(text.as_str()).to_string()).collect();
                    format!("({})", texts.join(" | "))
                }
                CallPart::Optional(parts) => format!("({})?", self.parts(parts, fitting, strict)?),
                CallPart::Text => {
                    // The text and what ends it are one: where it ends is seen only then.
                    let end = rest.next_if(|part| matches!(part, CallPart::Literal(_)));
                    let end =
                        end.map_or("", |part| if let CallPart::Literal(text) = part { text } else { "" });
                    self.rule("[lazy]", &format!("/(?s:.*){}/", regex_of(end)))
                }
            };
            body.push_str(&item);
            body.push(' ');
        }
        Ok(body)
    }

    fn json(&mut self, schema: &Value, fitting: bool, strict: bool) -> Result<String, GrammarError> {
        let open = json!({ "type": "object" });
        let prepared = match schema::prepare(if fitting { schema } else { &open }, strict) {
            Err(GrammarError::Unsupported { .. } | GrammarError::TooLarge(_)) if !strict => {
                schema::prepare(&open, strict)?
            }
            other => other?,
        };
        let name = format!("s{}", self.schemas.len());
        let mut grammar = GrammarWithLexer::from_json_schema(prepared);
        grammar.name = Some(name.clone());
        self.schemas.push(grammar);
        Ok(format!("@{name}"))
    }

    /// A turn of calls, after some text or not at all.
    fn with_text(&mut self, begin: &str, turn: impl Fn(&str) -> String) -> String {
        let marks = self.format.marks().filter(|mark| begin.starts_with(*mark));
        let Some(mark) = marks.max_by_key(|mark| mark.len()) else {
            // Nothing but how it begins tells a call from text.
            writeln!(self.lark, "TEXT: /[^{{\\[](?s:.*)/").ok();
            return format!("TEXT? | {}", turn(&literal(begin)));
        };
        let rest = &begin[mark.len()..];
        let mark = regex_of(mark);
        writeln!(self.lark, "TEXT: /(?s:.+)/ & ~/(?s:.*){mark}(?s:.*)/").ok();
        let before = self.rule("[lazy]", &format!("/(?s:.*){mark}/"));
        format!("TEXT? | {}", turn(&format!("{before} {}", literal(rest))))
    }
}

/// A text as a literal of a rule; nothing if it is empty.
fn literal(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{} ", Value::from(text)) }
}
