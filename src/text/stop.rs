//! Stop strings: ends an answer where one of them appears and never lets part of one out.
//!
//! The cut is defined as if text arrived byte by byte: the first stop string to be *complete* wins, and of several
//! that complete on the same byte the longest. So the emitted text does not depend on how the answer was cut into
//! tokens, and generation ends at the earliest token that proves a stop.

/// Finds stop strings in text that arrives in pieces.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop string; always shorter than the longest of them.
    held: String,
    stopped: bool,
}

/// What one push gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopOutcome {
    /// Text that is safe to show.
    pub text_to_emit: String,
    /// Whether a stop string was found: the answer is over.
    pub stopped: bool,
}

impl StopMatcher {
    /// Returns a matcher for the given strings; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, held: String::new(), stopped: false }
    }

    /// Takes the next piece of text and returns what may be shown of all text so far.
    ///
    /// After a stop was found every further push gives nothing.
    pub fn push(&mut self, text: &str) -> StopOutcome {
        if self.stopped {
            return StopOutcome { text_to_emit: String::new(), stopped: true };
        }
        self.held.push_str(text);
        if let Some(start) = self.first_match() {
            let mut text_to_emit = std::mem::take(&mut self.held);
            text_to_emit.truncate(start);
            self.stopped = true;
            return StopOutcome { text_to_emit, stopped: true };
        }
        let keep = self.longest_partial_match();
        let tail = self.held.split_off(self.held.len() - keep);
        StopOutcome { text_to_emit: std::mem::replace(&mut self.held, tail), stopped: false }
    }

    /// Returns the text still held back, when the answer ended without a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Returns whether a stop string was found.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Start of the stop string that completes first.
    fn first_match(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start)))
            .min()
            .map(|(_, start)| start)
    }

    /// Length in bytes of the longest end of the held text that begins a stop string.
    fn longest_partial_match(&self) -> usize {
        let held = self.held.as_bytes();
        self.stops
            .iter()
            .filter_map(|stop| {
                let longest = (stop.len() - 1).min(held.len());
                (1..=longest).rev().find(|&length| held.ends_with(&stop.as_bytes()[..length]))
            })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(ToString::to_string).collect());
        let mut out = String::new();
        for piece in pieces {
            let outcome = matcher.push(piece);
            out.push_str(&outcome.text_to_emit);
            if outcome.stopped {
                return (out, true);
            }
        }
        out.push_str(&matcher.finish());
        (out, false)
    }

    #[test]
    fn holds_back_what_may_become_a_stop_string() {
        let mut matcher = StopMatcher::new(vec!["</s>".into()]);
        assert_eq!(matcher.push("ab</").text_to_emit, "ab");
        assert_eq!(matcher.push("s").text_to_emit, "");
        assert_eq!(matcher.push("x").text_to_emit, "</sx");
        assert_eq!(matcher.push("<").text_to_emit, "");
        assert_eq!(matcher.finish(), "<");
    }

    #[test]
    fn stops_across_pieces_and_drops_the_rest() {
        assert_eq!(run(&["\nUser:"], &["Hi", "\nUs", "er", ": more"]), ("Hi".into(), true));
        let mut matcher = StopMatcher::new(vec!["x".into()]);
        assert!(matcher.push("axb").stopped);
        assert_eq!(matcher.push("more"), StopOutcome { text_to_emit: String::new(), stopped: true });
        assert!(matcher.is_stopped());
    }

    #[test]
    fn the_stop_that_completes_first_wins() {
        assert_eq!(run(&["abcd", "bc"], &["abcd"]), ("a".into(), true));
        assert_eq!(run(&["abcd", "bc"], &["a", "b", "c", "d"]), ("a".into(), true));
        assert_eq!(run(&["cd", "bcd"], &["abcd"]), ("a".into(), true));
    }

    #[test]
    fn overlapping_beginnings_are_found() {
        assert_eq!(run(&["aab"], &["a", "a", "a", "b"]), ("a".into(), true));
    }

    #[test]
    fn without_stops_everything_passes_at_once() {
        let mut matcher = StopMatcher::new(vec![String::new()]);
        assert_eq!(matcher.push("é").text_to_emit, "é");
    }

    /// Cuts `text` after the characters that `cuts` names.
    fn split<'a>(text: &'a str, cuts: &[bool]) -> Vec<&'a str> {
        let mut pieces = Vec::new();
        let mut start = 0;
        for ((at, _), cut) in text.char_indices().skip(1).zip(cuts) {
            if *cut {
                pieces.push(&text[start..at]);
                start = at;
            }
        }
        pieces.push(&text[start..]);
        pieces
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_text(
            text in "[abé🙂]{0,40}",
            stops in prop::collection::vec("[abé🙂]{1,5}", 0..4),
            cuts in prop::collection::vec(any::<bool>(), 40),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let whole = run(&stops, &[&text]);
            prop_assert_eq!(&run(&stops, &split(&text, &cuts)), &whole);
            prop_assert_eq!(whole.1, stops.iter().any(|stop| text.contains(stop)));
            prop_assert!(stops.iter().all(|stop| !whole.0.contains(stop)));
            prop_assert!(text.starts_with(&whole.0));
        }
    }
}
