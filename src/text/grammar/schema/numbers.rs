//! Bounds of numbers, made such that every number between them can be written, and read by others, as it is.
//!
//! The compiler keeps bounds as 64-bit floats and enforces them digit by digit, whereas readers round what they read:
//! 0.99999999999999999999 is below 1 and is read as 1. So bounds move inwards: to the next number that a float can
//! hold. There are always two of them: without, the compiler takes exponents that no float can hold.

use serde_json::{Map, Number, Value, json};

use super::parts::Source;
use super::path::Path;
use super::{GrammarError, Walk};

/// Largest float below 2^63: whole numbers between this and its negative fit 64 bits.
pub(super) const LARGEST: f64 = 9_223_372_036_854_774_784.0;
/// Numbers nearer to zero than this take part in no bound.
const SMALLEST: f64 = 1e-15;
/// Whole numbers up to this are exact as floats.
const EXACT: i128 = 1 << 53;
/// Largest step, as a whole number after its decimals are shifted away, and most decimals.
const MAX_STEP: (u64, usize) = (1_000, 6);

/// Which end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Low,
    High,
}

/// What schemas say about numbers.
#[derive(Default)]
pub(super) struct Numbers {
    low: Option<f64>,
    high: Option<f64>,
    step: Option<Step>,
}

impl Numbers {
    /// Reads it; `whole` says that there are no others but whole ones.
    pub(super) fn of<'a>(walk: &Walk<'a>, sources: &[Source<'a>], whole: bool) -> Result<Self, GrammarError> {
        let mut numbers = Self::default();
        for source in sources {
            let (low, high) = (bound(walk, source, End::Low, whole)?, bound(walk, source, End::High, whole)?);
            // Nothing is less than any bound.
            numbers.low = low.map(|low| numbers.low.map_or(low, |other| other.max(low))).or(numbers.low);
            numbers.high =
                high.map(|high| numbers.high.map_or(high, |other| other.min(high))).or(numbers.high);
            let Some((value, path)) = source.get("multipleOf") else { continue };
            let value = value.as_f64().filter(|step| *step > 0.0);
            let value = value.ok_or_else(|| path.invalid("expected a number above 0"))?;
            let combined = Step::new(value).and_then(|step| match numbers.step {
                Some(other) => step.and(other),
                None => Some(step),
            });
            match combined {
                Some(step) => numbers.step = Some(step),
                None => walk.cannot(&path, "a step of so many digits".to_owned())?,
            }
        }
        Ok(numbers)
    }

    /// Whether nothing is said.
    pub(super) fn are_free(&self) -> bool {
        self.low.is_none() && self.high.is_none() && self.step.is_none()
    }

    /// Writes it; `listed` says that there are no others but a few constants.
    pub(super) fn write(&self, listed: bool, prepared: &mut Map<String, Value>) {
        if !listed || self.low.is_some() || self.high.is_some() {
            prepared.insert("minimum".into(), json!(self.low.unwrap_or(-LARGEST)));
            prepared.insert("maximum".into(), json!(self.high.unwrap_or(LARGEST)));
        }
        if let Some(step) = self.step {
            prepared.insert("multipleOf".into(), step.value());
        }
    }
}

/// A step: a whole number, and how many of its digits are decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    digits: u64,
    decimals: usize,
}

impl Step {
    /// `None` if it has more digits than can be followed.
    fn new(value: f64) -> Option<Self> {
        let text = value.to_string();
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        Self { digits: text.replace('.', "").parse().ok()?, decimals }.limited()
    }

    /// The step of what is a multiple of both.
    fn and(self, other: Self) -> Option<Self> {
        let decimals = self.decimals.max(other.decimals);
        let (left, right) = (self.shifted(decimals), other.shifted(decimals));
        Self { digits: left / gcd(left, right) * right, decimals }.limited()
    }

    fn shifted(self, decimals: usize) -> u64 {
        // Both are small: a thousand at most, and six decimals.
        (self.decimals..decimals).fold(self.digits, |digits, _| digits * 10)
    }

    fn limited(mut self) -> Option<Self> {
        while self.decimals > 0 && self.digits.is_multiple_of(10) {
            self = Self { digits: self.digits / 10, decimals: self.decimals - 1 };
        }
        (self.digits <= MAX_STEP.0 && self.decimals <= MAX_STEP.1).then_some(self)
    }

    fn value(self) -> Value {
        match self.decimals {
            0 => json!(self.digits),
            decimals => {
                let digits = format!("{:0>width$}", self.digits, width = decimals + 1);
                let (whole, rest) = digits.split_at(digits.len() - decimals);
                json!(format!("{whole}.{rest}").parse::<f64>().unwrap_or_default())
            }
        }
    }
}

fn gcd(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { gcd(right, left % right) }
}

/// Refuses a number that is not the same as a float.
pub(super) fn check_exact(path: &Path<'_>, number: &Number) -> Result<(), GrammarError> {
    match whole_number(number) {
        Some(whole) if whole.abs() > EXACT => Err(path.unsupported("a constant beyond 2^53")),
        _ => Ok(()),
    }
}

/// The innermost bound at one end, inclusive.
fn bound(walk: &Walk<'_>, source: &Source<'_>, end: End, whole: bool) -> Result<Option<f64>, GrammarError> {
    let (inclusive, exclusive) = match end {
        End::Low => ("minimum", "exclusiveMinimum"),
        End::High => ("maximum", "exclusiveMaximum"),
    };
    // Draft 4 says with a boolean that the other bound is exclusive.
    let sharp = source.map.get(exclusive) == Some(&Value::Bool(true));
    let mut found: Option<f64> = None;
    for (key, is_exclusive) in [(inclusive, sharp), (exclusive, true)] {
        let number = match source.map.get(key) {
            None => continue,
            Some(Value::Bool(_)) if key == exclusive => continue,
            Some(Value::Number(number)) => number,
            Some(_) => return Err(source.path.at(key).invalid("expected a number")),
        };
        // The upper end is the lower end of the negatives.
        let sign = if end == End::Low { 1 } else { -1 };
        let low = low(number, sign, is_exclusive, whole);
        if low > LARGEST {
            walk.cannot(&source.path.at(key), "a bound beyond 64 bits".to_owned())?;
            continue;
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

    #[test]
    fn steps_are_combined() {
        let step = |value| Step::new(value).unwrap();
        assert_eq!(step(2.5), Step { digits: 25, decimals: 1 });
        assert_eq!(step(0.5).and(step(0.75)).unwrap().value(), json!(1.5));
        assert_eq!(step(4.0).and(step(6.0)).unwrap().value(), json!(12));
        assert_eq!(step(0.01).and(step(0.02)).unwrap().value(), json!(0.02));
        assert_eq!(step(997.0).and(step(991.0)), None);
        assert_eq!(Step::new(0.123_456_7), None);
    }
}
