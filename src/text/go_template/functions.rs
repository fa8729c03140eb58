//! Functions that Go templates may call beside Go's own, and those that every pipeline ends with.

use chrono::{Days, Local};
use gtmpl_ng::{Func, FuncError, Value, funcs};

use super::values;

/// Prints a value as Ollama prints it: tools, calls and arguments as JSON.
pub(super) const SHOW: &str = "ax_show";
/// A value as it is.
pub(super) const VALUE: &str = "ax_value";
/// Whether a condition holds.
pub(super) const TRUTH: &str = "ax_truth";

/// How many messages there are after so many.
pub(super) const LEFT: &str = "ax_left";

/// All of them by name. The printing functions of Go are here because they have to print as [`SHOW`] does.
pub(super) const FUNCTIONS: [(&str, Func); 11] = [
    (SHOW, show),
    (VALUE, value),
    (TRUTH, truth),
    (LEFT, left),
    ("json", json),
    // The format that may be given is not looked at; nor is it by Ollama.
    ("currentDate", |_| Ok(days_ago(0))),
    ("yesterdayDate", |_| Ok(days_ago(1))),
    ("toTypeScriptType", typescript_type),
    ("print", print),
    ("println", println),
    ("printf", printf),
];

/// Longest format of `printf`, in bytes.
const MAX_FORMAT_BYTES: usize = 4096;
/// Most digits of a number in a format: a width pads.
const MAX_WIDTH_DIGITS: usize = 3;

fn one<'a>(name: &str, arguments: &'a [Value]) -> Result<&'a Value, FuncError> {
    match arguments {
        [value] => Ok(value),
        _ => Err(FuncError::ExactlyXArgs(name.to_owned(), 1)),
    }
}

fn show(arguments: &[Value]) -> Result<Value, FuncError> {
    Ok(printable(one(SHOW, arguments)?))
}

fn value(arguments: &[Value]) -> Result<Value, FuncError> {
    one(VALUE, arguments).cloned()
}

fn truth(arguments: &[Value]) -> Result<Value, FuncError> {
    let Value::Bool(untrue) = funcs::not(arguments)? else { return Ok(Value::Bool(false)) };
    Ok(Value::Bool(!untrue))
}

/// The length of what `slice` would leave.
fn left(arguments: &[Value]) -> Result<Value, FuncError> {
    let number = |value: Option<&Value>| match value {
        Some(Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    let (all, gone) = (number(arguments.first()), number(arguments.get(1)));
    let left = all.zip(gone).and_then(|(all, gone)| all.checked_sub(gone));
    left.map(Value::from).ok_or_else(|| FuncError::Generic("index out of range of the messages".to_owned()))
}

fn json(arguments: &[Value]) -> Result<Value, FuncError> {
    Ok(Value::String(values::to_json(one("json", arguments)?)))
}

fn days_ago(days: u64) -> Value {
    let today = Local::now().date_naive();
    let day = today.checked_sub_days(Days::new(days)).unwrap_or(today);
    Value::String(day.format("%Y-%m-%d").to_string())
}

/// The type of a tool's parameter, as TypeScript writes it.
fn typescript_type(arguments: &[Value]) -> Result<Value, FuncError> {
    Ok(Value::String(typescript(one("toTypeScriptType", arguments)?)))
}

fn typescript(property: &Value) -> String {
    let (Value::Object(fields) | Value::Map(fields)) = property else { return "any".to_owned() };
    let joined =
        |types: &[Value], name: fn(&Value) -> String| types.iter().map(name).collect::<Vec<_>>().join(" | ");
    match (fields.get("AnyOf"), fields.get("Type")) {
        (Some(Value::Array(any_of)), _) if !any_of.is_empty() => joined(any_of, typescript),
        (_, Some(Value::Array(types))) if !types.is_empty() => joined(types, type_name),
        (_, Some(single)) => type_name(single),
        _ => "any".to_owned(),
    }
}

fn type_name(name: &Value) -> String {
    let Value::String(name) = name else { return "any".to_owned() };
    match name.as_str() {
        "string" | "number" | "boolean" | "null" => name,
        "integer" => "number",
        "array" => "any[]",
        "object" => "Record<string, any>",
        _ => "any",
    }
    .to_owned()
}

fn print(arguments: &[Value]) -> Result<Value, FuncError> {
    funcs::print(&readable(arguments))
}

fn println(arguments: &[Value]) -> Result<Value, FuncError> {
    funcs::println(&readable(arguments))
}

fn printf(arguments: &[Value]) -> Result<Value, FuncError> {
    let refuse = |reason: &str| Err(FuncError::Generic(format!("printf: {reason}")));
    if let Some(Value::String(format)) = arguments.first() {
        if format.len() > MAX_FORMAT_BYTES {
            return refuse("the format is too long");
        }
        let longest = format.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
        if longest.unwrap_or_default() > MAX_WIDTH_DIGITS {
            return refuse("a width in the format is too large");
        }
        if format.contains(['[', '*']) {
            return refuse("argument numbers and '*' are not supported in a format");
        }
    }
    funcs::printf(&readable(arguments))
}

/// The arguments as the printing functions should see them.
fn readable(arguments: &[Value]) -> Vec<Value> {
    let shown = |value: &Value| if is_structured(value) { printable(value) } else { value.clone() };
    arguments.iter().map(shown).collect()
}

/// The text of a value.
fn printable(value: &Value) -> Value {
    Value::String(match value {
        Value::String(text) => text.clone(),
        Value::Nil | Value::NoValue => "<no value>".to_owned(),
        structured if is_structured(structured) => values::to_json(structured),
        plain => plain.to_string(),
    })
}

/// Whether a value is, or lists, what prints as JSON.
fn is_structured(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Map(_) => true,
        Value::Array(items) => items.iter().any(is_structured),
        _ => false,
    }
}
