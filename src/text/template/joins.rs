//! `+` of lists in templates in Jinja, with a bound.
//!
//! minijinja (3.1) charges nothing for joining lists: it keeps them as trees of joins, and copies a tree into one list
//! when it has grown some thirty levels. A template that doubles a list that often would have it copy billions of
//! items, and no setting stops that. So each `+` of a compiled template is made a call of [`add`], which looks at the
//! lengths first. The instructions of a template can be reached through minijinja's unstable interface alone.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::machinery::{self, Instruction, Instructions};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Expression, State, Template, Value, context, filters};

/// Name of the function in the place of `+`; no template can write it.
const ADD: &str = "+";
/// Items that a joined list may have.
const MAX_ITEMS: usize = 1 << 18;
/// Items that are joined for a unit of a template's budget. A list that grows message by message is joined anew for
/// each.
const ITEMS_PER_UNIT: usize = 32;

/// What minijinja charges for: units are of so many bytes, and an item of a tuple counts as so many.
const BYTES_PER_UNIT: usize = 64;
const BYTES_PER_ITEM: usize = 32;

/// What `+` itself does.
static PLUS: LazyLock<Result<Expression<'static, 'static>, Error>> = LazyLock::new(|| {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(Environment::empty);
    ENVIRONMENT.compile_expression("left + right")
});

/// Prepares an environment for templates that [`render`] renders.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function(ADD, add);
    environment.add_filter("sum", sum);
    // It joins lists as well, and Jinja has no such filter.
    environment.remove_filter("chain");
}

/// Renders a template with every `+` bounded.
pub(super) fn render<'env>(
    environment: &'env Environment<'env>,
    template: &Template<'env, 'env>,
    context: Value,
) -> Result<String, Error> {
    let compiled = machinery::get_compiled_template(template);
    let instructions = bounded(&compiled.instructions);
    let (mut text, blocks) = (String::new(), BTreeMap::new());
    let mut out = machinery::make_string_output(&mut text);
    machinery::eval(
        environment,
        &instructions,
        context,
        &blocks,
        &mut out,
        compiled.initial_auto_escape.clone(),
    )?;
    Ok(text)
}

/// The same instructions with calls of [`add`] for `+`.
fn bounded<'source>(instructions: &Instructions<'source>) -> Instructions<'source> {
    let mut copy = Instructions::new(instructions.name(), instructions.source());
    let mut at = 0;
    while let Some(instruction) = instructions.get(at) {
        let instruction = match instruction {
            Instruction::Add => Instruction::CallFunction(ADD, Some(2)),
            other => other.clone(),
        };
        let line = instructions.get_line(at).and_then(|line| u16::try_from(line).ok());
        match (instructions.get_span(at), line) {
            (Some(span), _) => copy.add_with_span(instruction, span),
            (None, Some(line)) => copy.add_with_line(instruction, line),
            (None, None) => copy.add(instruction),
        };
        at += 1;
    }
    copy
}

/// `left + right`; lists only as long as they have a sensible length, and anything only if the budget has room for it.
fn add(state: &State, left: Value, right: Value) -> Result<Value, Error> {
    ensure(state, &left, &right)?;
    let (left, right) = if is_list(&left) && is_list(&right) && !left.is_tuple() && !right.is_tuple() {
        let (left, right) = (sized(left)?, sized(right)?);
        let items = left.len().unwrap_or(0).saturating_add(right.len().unwrap_or(0));
        if items > MAX_ITEMS {
            return Err(too_long());
        }
        state.consume_fuel((items / ITEMS_PER_UNIT) as u64)?;
        (left, right)
    } else {
        (left, right)
    };
    let plus = PLUS.as_ref().map_err(|error| Error::new(error.kind(), error.to_string()))?;
    // Where it happened is the template's line, not the one of this expression.
    plus.eval(context! { left, right })
        .map_err(|error| Error::new(error.kind(), error.detail().unwrap_or("+ failed").to_owned()))
}

/// Refuses what cannot be paid for before it is made; what is returned is charged when it is there.
fn ensure(state: &State, left: &Value, right: &Value) -> Result<(), Error> {
    let bytes = match (left.as_str(), right.as_str()) {
        (Some(left), Some(right)) => left.len().saturating_add(right.len()),
        _ if left.is_tuple() && right.is_tuple() => {
            let items = left.len().unwrap_or(0).saturating_add(right.len().unwrap_or(0));
            items.saturating_mul(BYTES_PER_ITEM)
        }
        _ => 0,
    };
    let units = (bytes / BYTES_PER_UNIT) as u64;
    if state.fuel_levels().is_some_and(|(_, remaining)| units > remaining) {
        return Err(Error::new(ErrorKind::OutOfFuel, format!("{bytes} bytes are to be joined")));
    }
    Ok(())
}

/// A list that knows its length.
fn sized(list: Value) -> Result<Value, Error> {
    if list.len().is_some() {
        return Ok(list);
    }
    let items: Vec<Value> = list.try_iter()?.take(MAX_ITEMS + 1).collect();
    if items.len() > MAX_ITEMS { Err(too_long()) } else { Ok(items.into()) }
}

/// The filter `sum`, of anything but lists.
fn sum(
    state: &State,
    values: Value,
    attribute: Option<&str>,
    start: Option<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let named: Option<Value> = kwargs.get("start")?;
    if start.as_ref().or(named.as_ref()).is_some_and(is_list) {
        return Err(Error::new(ErrorKind::InvalidOperation, "sum does not join lists; use +"));
    }
    filters::sum(state, values, attribute, start, kwargs)
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn too_long() -> Error {
    Error::new(ErrorKind::OutOfFuel, format!("a joined list has more than {MAX_ITEMS} items"))
}
