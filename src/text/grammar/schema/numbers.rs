//! Bounds of numbers, made such that every number between them can be written, and read by others, as it is.
//!
//! The compiler keeps bounds as 64-bit floats and enforces them digit by digit, whereas readers round what they read:
//! 0.99999999999999999999 is below 1 and is read as 1. So bounds move inwards: to the next number that a float can hold.

use serde_json::{Map, Number, Value, json};

use super::{GrammarError, Walk};

/// Largest float below 2^63: whole numbers between this and its negative fit 64 bits.
const LARGEST: f64 = 9_223_372_036_854_774_784.0;
/// Where the compiler needs a bound on the other side, too.
const LARGE: f64 = 1e15;
/// Numbers nearer to zero than this take part in no bound.
const SMALLEST: f64 = 1e-15;
/// Whole numbers up to this are exact as floats.
const EXACT: i128 = 1 << 53;
/// Largest step, as a whole number after its decimals are shifted away, and most decimals.
const MAX_STEP: (u32, usize) = (1_000, 6);
/// The same where steps are combined: their multiples have to fit 32 bits.
const MAX_COMBINED_STEP: (u32, usize) = (100, 2);
/// Most steps of a schema that are combined with others.
const MAX_COMBINED_STEPS: usize = 2;

/// Which end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Low,
    High,
}

/// Prepares what a schema says about numbers.
pub(super) fn prepare(
    walk: &mut Walk<'_>,
    map: &Map<String, Value>,
    open: bool,
    prepared: &mut Map<String, Value>,
) -> Result<(), GrammarError> {
    let whole = is_whole(map.get("type"));
    let mut low = bound(walk, map, End::Low, whole)?;
    let mut high = bound(walk, map, End::High, whole)?;
    let large = [low, high].into_iter().flatten().any(|bound| bound.abs() >= LARGE);
    if whole || large {
        low = Some(low.unwrap_or(-LARGEST));
        high = Some(high.unwrap_or(LARGEST));
    }
    for (key, bound) in [("minimum", low), ("maximum", high)] {
        if let Some(bound) = bound {
            prepared.insert(key.into(), json!(bound));
        }
    }
    if let Some(step) = map.get("multipleOf") {
        walk.combined_steps += usize::from(open);
        let step = walk.within("multipleOf", |walk| check_step(walk, step, open))?;
        prepared.insert("multipleOf".into(), step);
    }
    Ok(())
}

/// Refuses a number that is not the same as a float.
pub(super) fn check_exact(walk: &Walk<'_>, number: &Number) -> Result<(), GrammarError> {
    match whole_number(number) {
        Some(whole) if whole.abs() > EXACT => Err(walk.unsupported("a constant beyond 2^53")),
        _ => Ok(()),
    }
}

/// Whether all numbers of these types are whole.
fn is_whole(types: Option<&Value>) -> bool {
    let names = match types {
        Some(Value::Array(names)) => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
        None => &[],
    };
    names.iter().any(|name| name == "integer") && !names.iter().any(|name| name == "number")
}

/// The innermost bound at one end, inclusive.
fn bound(
    walk: &mut Walk<'_>,
    map: &Map<String, Value>,
    end: End,
    whole: bool,
) -> Result<Option<f64>, GrammarError> {
    let (inclusive, exclusive) = match end {
        End::Low => ("minimum", "exclusiveMinimum"),
        End::High => ("maximum", "exclusiveMaximum"),
    };
    // Draft 4 says with a boolean that the other bound is exclusive.
    let sharp = map.get(exclusive) == Some(&Value::Bool(true));
    let mut found: Option<f64> = None;
    for (key, is_exclusive) in [(inclusive, sharp), (exclusive, true)] {
        let number = match map.get(key) {
            None => continue,
            Some(Value::Bool(_)) if key == exclusive => continue,
            Some(Value::Number(number)) => number,
            Some(_) => return walk.within(key, |walk| Err(walk.invalid("expected a number"))),
        };
        // The upper end is the lower end of the negatives.
        let sign = if end == End::Low { 1 } else { -1 };
        let low = low(number, sign, is_exclusive, whole);
        if low > LARGEST {
            return walk.within(key, |walk| Err(walk.unsupported("a bound beyond 64 bits")));
        }
        found = Some(found.map_or(low, |other| other.max(low)));
    }
    let bound = found.map(|low| low.max(-LARGEST));
    Ok(if end == End::Low { bound } else { bound.map(|low| 0.0 - low) })
}

/// The least float that may be written, given a lower bound of `sign * number`.
fn low(number: &Number, sign: i8, exclusive: bool, whole: bool) -> f64 {
    let exact = whole_number(number).map(|whole| whole * i128::from(sign));
    let float = number.as_f64().unwrap_or(0.0) * f64::from(sign);
    if whole {
        return match exact {
            Some(exact) => round_up(exact + i128::from(exclusive)),
            None if exclusive && float.ceil() <= float => (float + 1.0).max(float.next_up()),
            None => float.ceil(),
        };
    }
    let float = exact.map_or(float, round_up);
    let float = match float {
        zero if exclusive && zero == 0.0 => SMALLEST,
        other if exclusive => other.next_up(),
        other => other,
    };
    // Towards zero from below, away from it from above.
    match float {
        tiny if tiny > 0.0 && tiny < SMALLEST => SMALLEST,
        tiny if tiny < 0.0 && tiny > -SMALLEST => 0.0,
        other => other,
    }
}

fn whole_number(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The least float that is not below a whole number.
#[expect(clippy::cast_possible_truncation, reason = "64-bit numbers, as floats, fit 128 bits")]
fn round_up(whole: i128) -> f64 {
    let float = whole as f64;
    if (float as i128) < whole { float.next_up() } else { float }
}

fn check_step(walk: &Walk<'_>, step: &Value, combined: bool) -> Result<Value, GrammarError> {
    if combined && walk.combined_steps > MAX_COMBINED_STEPS {
        return Err(walk.unsupported("so many steps at once"));
    }
    let (largest, most_decimals) = if combined { MAX_COMBINED_STEP } else { MAX_STEP };
    let float =
        step.as_f64().filter(|step| *step > 0.0).ok_or_else(|| walk.invalid("expected a number above 0"))?;
    let text = float.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let digits = text.replace('.', "").parse::<u32>().ok().filter(|digits| *digits <= largest);
    if digits.is_none() || decimals > most_decimals {
        return Err(walk.unsupported("a step of so many digits"));
    }
    Ok(step.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low_of(number: Value, exclusive: bool, whole: bool) -> f64 {
        let Value::Number(number) = number else { panic!("no number") };
        low(&number, 1, exclusive, whole)
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact by design")]
    fn bounds_move_inwards() {
        assert_eq!(low_of(json!(5), false, true), 5.0);
        assert_eq!(low_of(json!(5), true, true), 6.0);
        assert_eq!(low_of(json!(5.2), true, true), 6.0);
        assert_eq!(low_of(json!(5.0), true, true), 6.0);
        assert_eq!(low_of(json!(-5.5), false, true), -5.0);
        assert_eq!(low_of(json!(5), true, false), 5.000_000_000_000_001);
        assert_eq!(low_of(json!(0), true, false), SMALLEST);
        assert_eq!(low_of(json!(-1e-300), false, false), 0.0);
        assert_eq!(low_of(json!(1e-300), false, false), SMALLEST);
        let beyond = (1_i64 << 53) + 1;
        assert_eq!(low_of(json!(beyond), false, true), 9_007_199_254_740_994.0);
        assert_eq!(low_of(json!(u64::MAX), false, true), 18_446_744_073_709_551_616.0);
        let Value::Number(three) = json!(3) else { panic!("no number") };
        assert_eq!(low(&three, -1, true, true), -2.0);
    }
}
