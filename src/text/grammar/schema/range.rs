//! Least and largest counts: of items, characters and properties.

use super::GrammarError;
use super::parts::Source;

/// Most items, characters or properties that a schema may demand.
const MAX_DEMANDED: u64 = 2_000;

/// The largest of all least counts and the least of all largest ones.
pub(super) fn of<'a>(
    sources: &[Source<'a>],
    least: &'a str,
    most: &'a str,
) -> Result<(Option<u64>, Option<u64>), GrammarError> {
    let mut range = (None, None);
    for source in sources {
        if let Some(count) = count(source, least)? {
            if count > MAX_DEMANDED {
                let reason = format!("it demands {count}; at most {MAX_DEMANDED} can be demanded");
                return Err(GrammarError::TooLarge(reason));
            }
            range.0 = range.0.max(Some(count));
        }
        if let Some(count) = count(source, most)? {
            range.1 = Some(range.1.map_or(count, |other: u64| other.min(count)));
        }
    }
    Ok(range)
}

fn count<'a>(source: &Source<'a>, key: &'a str) -> Result<Option<u64>, GrammarError> {
    let Some((value, path)) = source.get(key) else { return Ok(None) };
    // 2.0 is as good as 2.
    let whole =
        value.as_u64().or_else(|| value.as_f64().filter(|count| count.fract() == 0.0).and_then(to_u64));
    whole.map(Some).ok_or_else(|| path.invalid("expected a whole number, at least 0"))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn to_u64(number: f64) -> Option<u64> {
    (0.0..9e15).contains(&number).then_some(number as u64)
}
