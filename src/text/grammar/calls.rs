//! Calls of tools, as rules.
//!
//! A family's [`ToolFormat`] says of what parts a call is made. All of it is text here, marks that are tokens of their
//! own as well: the model may cut it into tokens as it likes.

use std::collections::HashMap;
use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::{Value, json};

use super::lark::{before_answer, regex_of, thoughts_rules};
use super::{CallPart, GrammarError, ThinkingTags, Thoughts, Tool, ToolFormat, schema};

/// Most calls of one turn.
const MAX_CALLS: usize = 32;
/// Most characters of an argument's name that its schema does not list: with four bytes each they are few enough for
/// the parser.
const MAX_NAME: usize = 62;
/// Most values in all schemas of a grammar together, as they are given and as they are prepared.
const MAX_VALUES: usize = 100_000;
/// Most work on all of them, in values that are looked at or written; whatever is left out in the end has its share.
const MAX_WORK: usize = 4 * MAX_VALUES;

/// The calls that an answer is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// How this family of models writes calls.
    pub format: &'static ToolFormat,
    /// What may be called.
    pub tools: Vec<Tool>,
    /// Text may stand before the calls and instead of them; else the answer is one call or more. It holds nothing that
    /// the [`ToolParser`](crate::text::ToolParser) takes for a call.
    pub text: bool,
    /// There may be several calls.
    pub many: bool,
}

/// A grammar of calls.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) grammar: TopLevelGrammar,
    /// The schemas in it that nobody has promised to follow, prepared.
    pub(super) fitted: Vec<Value>,
    /// Tools whose arguments, or some of them, are not held to their schema, and why.
    pub(super) left: Vec<(String, GrammarError)>,
}

/// How the arguments of one tool are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As the schema says, or not at all.
    Strict,
    /// As the schema says, as far as it can be enforced.
    Fitting,
    /// Whatever the schema says.
    Open,
}

/// Returns the grammar of calls. `refused` are prepared schemas, as text, that the compiler does not take; where nobody
/// has promised to follow them they are left to the model.
///
/// # Errors
///
/// Those of a strict tool's schema. A schema of another tool that cannot be enforced is left to the model. Names that
/// the format has no room for.
pub(super) fn calls(
    calls: &Calls,
    refused: &HashMap<String, GrammarError>,
    thoughts: Option<Thoughts<'_>>,
) -> Result<Made, GrammarError> {
    let mut rules = Rules {
        lark: String::new(),
        schemas: Vec::new(),
        names: HashMap::new(),
        count: 0,
        values: 0,
        work: 0,
        refused,
        fitted: Vec::new(),
        left: Vec::new(),
        format: calls.format,
    };
    let names = Tool::distinct(&calls.tools).map(|tool| rules.call(tool)).collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() {
        return Err(GrammarError::Refused("a call is demanded, but there are no tools".into()));
    }
    let (begin, between, end) = (calls.format.begin(), calls.format.between(), calls.format.end());
    let more = format!("({} call){{0,{}}} ", literal(between), MAX_CALLS - 1);
    let more = if calls.many { more } else { String::new() };
    let turn = |begin: &str, end: &str| format!("{begin} call {more}{end}");
    let end = literal(end);
    let start =
        if calls.text { rules.with_text(|begin| turn(begin, &end)) } else { turn(&literal(begin), &end) };
    let thoughts = thoughts
        .map_or_else(Default::default, |thoughts| (before_answer(thoughts), thoughts_rules(thoughts)));
    let Rules { lark: rules, schemas, fitted, left, .. } = rules;
    let lark = format!(
        "start: {}answer\nanswer: {start}\ncall: {}\n{rules}{}",
        thoughts.0,
        names.join(" | "),
        thoughts.1
    );
    let mut grammars = vec![GrammarWithLexer::from_lark(lark)];
    grammars.extend(schemas);
    Ok(Made { grammar: TopLevelGrammar { grammars, max_tokens: None }, fitted, left })
}

/// Rules in the making.
struct Rules<'a> {
    lark: String,
    schemas: Vec<GrammarWithLexer>,
    /// Names of these by what they are.
    names: HashMap<String, String>,
    /// Rules that have a number for a name.
    count: usize,
    /// Values in the schemas so far.
    values: usize,
    /// Work on them so far.
    work: usize,
    refused: &'a HashMap<String, GrammarError>,
    fitted: Vec<Value>,
    left: Vec<(String, GrammarError)>,
    format: &'static ToolFormat,
}

impl Rules<'_> {
    /// Adds the rule of a call and returns its name.
    fn call(&mut self, tool: &Tool) -> Result<String, GrammarError> {
        if let Some(name) = self.format.unwritable(tool) {
            return Err(GrammarError::Name(name.to_owned()));
        }
        if tool.strict && !self.format.holds(tool) {
            let what = "what is said of all arguments together, in a call as this model writes it,".into();
            return Err(GrammarError::Unsupported { path: "#".into(), what });
        }
        let way = match self.count(&tool.parameters) {
            Ok(()) if tool.strict => Way::Strict,
            Ok(()) => Way::Fitting,
            Err(error) if tool.strict => return Err(error),
            // A schema as large as that is not looked at any further.
            Err(error) => {
                self.left.push((tool.name.clone(), error));
                Way::Open
            }
        };
        let left = self.left.len();
        let body = self.parts(&self.format.call(tool), way)?;
        // One reason is enough for each, and those of its arguments do not know its name.
        self.left.truncate(left + 1);
        if let Some((name, _)) = self.left.get_mut(left) {
            name.clone_from(&tool.name);
        }
        Ok(self.rule("", &body))
    }

    /// Counts the values of a schema, unless there are too many by then.
    fn count(&mut self, schema: &Value) -> Result<(), GrammarError> {
        let values = self.values + values_of(schema);
        if values > MAX_VALUES {
            return Err(GrammarError::TooLarge(format!(
                "with all tools it has more than {MAX_VALUES} values"
            )));
        }
        self.values = values;
        Ok(())
    }

    fn rule(&mut self, attributes: &str, body: &str) -> String {
        let name = format!("r{}", self.count);
        self.count += 1;
        // Writing to a string cannot fail.
        writeln!(self.lark, "{name}{attributes}: {body}").ok();
        name
    }

    /// The parts of a call, one after the other.
    fn parts(&mut self, parts: &[CallPart<'_>], way: Way) -> Result<String, GrammarError> {
        let mut body = String::new();
        let mut rest = parts.iter().peekable();
        while let Some(part) = rest.next() {
            let item = match part {
                CallPart::Literal(text) => literal(text),
                CallPart::Arguments(schema) => {
                    self.json(schema, schema, &json!({ "type": "object" }), way)?
                }
                CallPart::Argument { schema, root } => self.json(schema, root, &json!({}), way)?,
                CallPart::OneOf(texts) => {
                    let texts: Vec<String> =
                        texts.iter().map(|text| Value::from(text.as_str()).to_string()).collect();
                    format!("({})", texts.join(" | "))
                }
                CallPart::Optional(parts) => format!("({})?", self.parts(parts, way)?),
                CallPart::Repeated(parts) => format!("({})*", self.parts(parts, way)?),
                CallPart::Name { before, after, except } => {
                    let (before, after) = (regex_of(before), regex_of(after));
                    let name = format!("[^\\s>]([^>\\n]{{0,{}}}[^\\s>])?", MAX_NAME - 2);
                    let except = any_of(except.iter().copied());
                    self.rule("[lazy]", &format!("/{before}{name}{after}/ & ~/{before}{except}{after}/"))
                }
                CallPart::Text { without } => {
                    // The text and what ends it are one: where it ends is seen only then.
                    let end = rest.next_if(|part| matches!(part, CallPart::Literal(_)));
                    let end =
                        end.map_or("", |part| if let CallPart::Literal(text) = part { text } else { "" });
                    let end = regex_of(end);
                    let without = any_of(without.iter().copied());
                    self.rule("[lazy]", &format!("/(?s:.*){end}/ & ~/(?s:.*){without}(?s:.*){end}/"))
                }
            };
            body.push_str(&item);
            body.push(' ');
        }
        Ok(body)
    }

    /// The rule of JSON that fits a schema, whose references lead into `root`, or else one that accepts more.
    fn json(&mut self, schema: &Value, root: &Value, open: &Value, way: Way) -> Result<String, GrammarError> {
        if way != Way::Open {
            match self.fitting(schema, root, way) {
                Err(error) if way == Way::Fitting => self.left.push((String::new(), error)),
                other => return other,
            }
        }
        self.schema(schema::prepare(open, false)?, Way::Open)
    }

    fn fitting(&mut self, schema: &Value, root: &Value, way: Way) -> Result<String, GrammarError> {
        if self.work > MAX_WORK {
            return Err(GrammarError::TooLarge(format!(
                "with all tools it comes to more than {MAX_WORK} values once references are followed"
            )));
        }
        let prepared = schema::prepare_in(schema, root, way == Way::Strict, &mut self.work)?;
        self.schema(prepared, way)
    }

    /// The rule of JSON that fits a prepared schema. Those that are the same share it.
    fn schema(&mut self, prepared: Value, way: Way) -> Result<String, GrammarError> {
        let text = prepared.to_string();
        if let Some(error) = self.refused.get(&text).filter(|_| way == Way::Fitting) {
            return Err(error.clone());
        }
        if let Some(known) = self.names.get(&text) {
            return Ok(format!("@{known}"));
        }
        if way != Way::Open {
            self.count(&prepared)?;
        }
        if way == Way::Fitting {
            self.fitted.push(prepared.clone());
        }
        let name = format!("s{}", self.schemas.len());
        self.names.insert(text, name.clone());
        let mut grammar = GrammarWithLexer::from_json_schema(prepared);
        grammar.name = Some(name.clone());
        self.schemas.push(grammar);
        Ok(format!("@{name}"))
    }

    /// A turn of calls, after some text or not at all. The text holds nothing that could be read as a call: no mark,
    /// and at its beginning no bracket and no word that begins one. Nor does it begin with a tag of thoughts: those are
    /// taken away before calls are looked for, and what follows them would be the beginning.
    fn with_text(&mut self, turn: impl Fn(&str) -> String) -> String {
        let format = self.format;
        let begin = format.begin();
        let tags = ThinkingTags::all().flat_map(|tags| [tags.open, tags.close]);
        let first = any_of(format.read_at_beginning().chain(tags));
        let without = |marks: &mut dyn Iterator<Item = &'static str>| {
            let marks = any_of(marks);
            let marks = if marks == NOTHING { String::new() } else { format!(" & ~/(?s:.*){marks}(?s:.*)/") };
            format!(" & ~/\\s*{first}(?s:.*)/{marks}")
        };
        let text = without(&mut format.read_anywhere());
        writeln!(self.lark, "TEXT: /(?s:.+)/{text}").ok();
        let marks = format.marks().filter(|mark| begin.starts_with(*mark));
        let Some(mark) = marks.max_by_key(|mark| mark.len()) else {
            // Nothing but how it begins tells a call from text.
            return format!("TEXT? | {}", turn(&literal(begin)));
        };
        let rest = &begin[mark.len()..];
        let before = without(&mut format.read_anywhere().filter(|other| *other != mark));
        let mark = regex_of(mark);
        let before = self.rule("[lazy]", &format!("/(?s:.*){mark}/{before}"));
        // The mark itself may begin with a bracket.
        let blank = self.rule("[lazy]", &format!("/\\s*{mark}/"));
        format!("TEXT? | {}", turn(&format!("({before} | {blank}) {}", literal(rest))))
    }
}

/// How many values a value consists of.
fn values_of(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values_of).sum::<usize>(),
        Value::Object(fields) => fields.values().map(values_of).sum(),
        _ => 0,
    }
}

/// A regular expression that matches nothing.
const NOTHING: &str = "()";

/// A regular expression of these texts.
fn any_of<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("({})", texts.map(regex_of).collect::<Vec<_>>().join("|"))
}

/// A text as a literal of a rule; nothing if it is empty.
fn literal(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{} ", Value::from(text)) }
}

#[cfg(test)]
mod tests;
