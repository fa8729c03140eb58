//! Times and durations on the wire.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, SecondsFormat, Utc};

/// Now, RFC 3339 in UTC with `Z` and six fraction digits: the form that every client checked can parse.
pub(crate) fn created_at() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A moment in the server's local offset, RFC 3339 with six fraction digits, as `modified_at` and `expires_at` are.
pub(crate) fn local(time: SystemTime) -> String {
    DateTime::<Local>::from(time).to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// A moment in whole seconds since 1970, as `created` is in the families of `OpenAI`.
pub(crate) fn unix(time: SystemTime) -> i64 {
    DateTime::<Utc>::from(time).timestamp()
}

/// When a model that is kept forever "expires": as far ahead as Go's durations reach, about 292 years.
pub(crate) fn never() -> SystemTime {
    SystemTime::now() + Duration::from_nanos(i64::MAX.unsigned_abs())
}

/// A duration in nanoseconds, never 0: clients and upstream's own tests take 0 for "missing".
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let now = created_at();
        assert!(now.ends_with('Z') && now.len() == "2026-01-01T00:00:00.000000Z".len(), "{now}");
        assert!(DateTime::parse_from_rfc3339(&local(SystemTime::now())).is_ok());
        assert!(local(never()).as_str() > "2290");
        assert_eq!(unix(SystemTime::UNIX_EPOCH + Duration::from_millis(2900)), 2);
        assert_eq!(nanos(Duration::ZERO), 1);
        assert_eq!(nanos(Duration::from_micros(2)), 2000);
    }
}
