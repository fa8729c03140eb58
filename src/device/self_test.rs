//! Whether the paths compute what the plain path computes.
//!
//! Cards differ by driver and firmware, some do one of the things silently wrong (abi.md section 6), and this program
//! has never seen most of them. So when a model is first loaded on a card, a few fixed rows go through the plain path
//! and through each path, and logits, hidden states, keys and values are compared bit by bit. What differs is not used.
//!
//! The rows are pseudo-random: any finite input will do, and random ones make every misplaced byte show. Two chunks,
//! because a chunk that is written to the beginning of the cache instead of its place is right when it is the first;
//! tokens that are taken back and followed by others, because a mask out of date is right as long as it only grows.
//!
//! A short tail is compared with the padded chunk that it replaces. The shape groups of a compiled model need not round
//! alike, and where they do not, the time it saves is not worth answers that depend on where a prompt was cut.
//!
//! Each path by itself meets the groups of short sequences. What has passed then goes through all groups (`groups`).

mod groups;
mod probe;

use super::model::LoadedModel;
use super::{CancelFlag, DeviceError, Path, Paths, Sequence, Verdict};

/// Counts the changes of this test: verdicts of another version are not believed.
pub(super) const VERSION: u32 = 5;

/// Rows of the two chunks, more than a short tail has.
const CHUNKS: [usize; 2] = [7, 6];
const PROMPT: usize = CHUNKS[0] + CHUNKS[1];
/// Tokens after the prompt, of which as many as [`TAKEN_BACK`] are replaced by others.
const TOKENS: usize = 4;
const TAKEN_BACK: usize = 2;
const TAIL: usize = 2;
/// Cells that the first part of the test needs.
const CONTEXT: usize = PROMPT + TOKENS + TAIL;

/// What a path has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Chunks of a prompt.
    Prompt,
    /// Tokens of an answer.
    Tokens,
    /// The last few tokens of a prompt.
    Tail,
    /// The hidden states of a chunk, of which the head sees the last one alone: vectors are made of all.
    Hidden,
}

const EVERY_PART: [Part; 4] = [Part::Prompt, Part::Tokens, Part::Tail, Part::Hidden];

fn parts_of(path: Path) -> &'static [Part] {
    match path {
        Path::SharedInputs | Path::AliasedHidden | Path::Pinned | Path::Async => {
            &[Part::Prompt, Part::Tokens, Part::Hidden]
        }
        Path::KvInPlacePrefill => &[Part::Prompt, Part::Hidden],
        Path::KvInPlace | Path::SmallestGroup => &[Part::Tokens],
        Path::ShortTail => &[Part::Tail],
    }
}

/// What one part has computed.
#[derive(Debug, PartialEq, Eq)]
struct Sample {
    /// Logits, `[vocab]` each, in the order in which they were computed.
    logits: Vec<Vec<u16>>,
    /// Hidden states, `[rows, hidden]`, where the part looks at them.
    states: Vec<u16>,
    /// The K and V rows of the sequence.
    rows: Vec<u8>,
}

/// The plain path's samples.
struct Reference {
    prompt: Sample,
    tokens: Sample,
    tail: Sample,
    hidden: Sample,
}

/// What the test has shown of each path in [`Path::ALL`], and of all that passed at once.
pub(super) struct Outcome {
    pub(super) paths: Vec<(Path, Verdict)>,
    pub(super) together: Verdict,
}

/// Tests the wanted paths. The model's paths are the plain one afterwards, also after an error.
///
/// # Errors
/// What ends the load: the plain path fails, the card is lost, or the flag was set. A path that fails is a verdict.
pub(super) fn run(model: &LoadedModel, wanted: Paths, cancel: &CancelFlag) -> Result<Outcome, DeviceError> {
    model.set_paths(Paths::PLAIN)?;
    let too_small = model.context_len() < CONTEXT || model.chunk_len() < CHUNKS[0];
    if too_small || (wanted & model.available_paths()).is_plain() {
        tracing::debug!(context = model.context_len(), "no path can be tested");
        return Ok(nothing_tested(wanted));
    }
    let bench = Bench { model, cancel };
    let reference = bench.reference()?;
    let tested = one_by_one(wanted & model.available_paths(), |path, paths| {
        bench.verdict(paths, parts_of(path), &reference)
    })?;
    let mut paths = untested(wanted);
    for (path, verdict) in &mut paths {
        if let Some((_, found)) = tested.iter().find(|(of, _)| of == path) {
            verdict.clone_from(found);
        }
    }
    let all = passed(&paths);
    let together =
        if all.is_plain() { Verdict::NotAvailable } else { bench.verdict(all, &EVERY_PART, &reference)? };
    let something_differs = paths.iter().map(|(_, verdict)| verdict).chain([&together]).any(Verdict::is_bad);
    let together = if something_differs { bench.blame(together, &reference)? } else { together };
    let together = if together == Verdict::Passed { groups::test(&bench, &mut paths)? } else { together };
    Ok(Outcome { paths, together })
}

/// Those that have passed so far.
fn passed(verdicts: &[(Path, Verdict)]) -> Paths {
    verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Passed).map(|(path, _)| *path).collect()
}

/// Tests each path by itself. Decode groups but the largest are reached through the choice of the smallest alone: where
/// that is right, the others are tested with it.
fn one_by_one(
    paths: Paths,
    test: impl Fn(Path, Paths) -> Result<Verdict, DeviceError>,
) -> Result<Vec<(Path, Verdict)>, DeviceError> {
    let choice = paths & Path::SmallestGroup.into();
    let mut with = Paths::PLAIN;
    let mut verdicts = Vec::with_capacity(Path::ALL.len());
    for path in choice.iter().chain((paths - choice).iter()) {
        let verdict = test(path, Paths::from(path) | with)?;
        if verdict == Verdict::Passed {
            with = with | (choice & path.into());
        }
        verdicts.push((path, verdict));
    }
    Ok(verdicts)
}

fn nothing_tested(wanted: Paths) -> Outcome {
    Outcome { paths: untested(wanted), together: Verdict::NotAvailable }
}

fn untested(wanted: Paths) -> Vec<(Path, Verdict)> {
    let verdict = |path| if wanted.contains(path) { Verdict::NotAvailable } else { Verdict::SwitchedOff };
    Path::ALL.map(|path| (path, verdict(path))).into()
}

/// A model under test.
struct Bench<'a> {
    model: &'a LoadedModel,
    cancel: &'a CancelFlag,
}

impl Bench<'_> {
    fn reference(&self) -> Result<Reference, DeviceError> {
        let prompt = self.prompt()?;
        let tokens = self.tokens(&prompt)?;
        let tail = self.tail(&prompt)?;
        let hidden = self.hidden()?;
        Ok(Reference { prompt, tokens, tail, hidden })
    }

    /// Tests one set of paths.
    fn verdict(&self, paths: Paths, parts: &[Part], reference: &Reference) -> Result<Verdict, DeviceError> {
        self.judge(paths, || self.compare(parts, reference))
    }

    /// Switches to one set of paths, looks for a difference, and goes back to the plain one.
    fn judge(
        &self,
        paths: Paths,
        look: impl FnOnce() -> Result<Option<String>, DeviceError>,
    ) -> Result<Verdict, DeviceError> {
        let outcome = self.model.set_paths(paths).and_then(|()| look());
        let available = self.model.available_paths();
        self.model.set_paths(Paths::PLAIN)?;
        match outcome {
            Ok(_) if !(paths - available).is_plain() => Ok(Verdict::NotAvailable),
            Ok(None) => Ok(Verdict::Passed),
            Ok(Some(difference)) => Ok(Verdict::Differs(difference)),
            Err(error @ (DeviceError::Lost { .. } | DeviceError::NoCard(_) | DeviceError::Cancelled)) => {
                Err(error)
            }
            Err(error) => Ok(Verdict::Failed(error.to_string())),
        }
    }

    /// A plain path that does not repeat itself makes all comparisons worthless, and the paths innocent.
    fn blame(&self, together: Verdict, reference: &Reference) -> Result<Verdict, DeviceError> {
        Ok(match self.compare(&[Part::Prompt, Part::Tokens], reference)? {
            None => together,
            Some(difference) => {
                Verdict::Failed(format!("the plain path does not repeat itself: {difference}"))
            }
        })
    }

    /// The first difference from the reference.
    fn compare(&self, parts: &[Part], reference: &Reference) -> Result<Option<String>, DeviceError> {
        for part in parts {
            let (what, sample, expected) = match part {
                Part::Prompt => ("a prompt in chunks", self.prompt()?, &reference.prompt),
                Part::Tokens => ("single tokens", self.tokens(&reference.prompt)?, &reference.tokens),
                Part::Tail => ("the tail of a prompt", self.tail(&reference.prompt)?, &reference.tail),
                Part::Hidden => ("the states of a chunk", self.hidden()?, &reference.hidden),
            };
            if let Some(difference) = sample.difference(expected) {
                return Ok(Some(format!("{what}: {difference}")));
            }
        }
        Ok(None)
    }

    fn prompt(&self) -> Result<Sample, DeviceError> {
        let mut sequence = self.model.new_sequence()?;
        let [first, second] = CHUNKS;
        sequence.prefill_before(&self.rows(0, first), &self.rows(first, second), self.cancel)?;
        let logits = self.prefill(&mut sequence, first, second)?;
        sample(vec![logits], Vec::new(), &sequence)
    }

    fn hidden(&self) -> Result<Sample, DeviceError> {
        let mut sequence = self.model.new_sequence()?;
        let states = self.states(&mut sequence, 0, CHUNKS[0])?;
        sample(Vec::new(), states, &sequence)
    }

    fn tokens(&self, prompt: &Sample) -> Result<Sample, DeviceError> {
        let mut sequence = self.behind(prompt)?;
        let mut logits = Vec::with_capacity(TOKENS + TAKEN_BACK);
        for row in 0..TOKENS {
            logits.push(self.decode(&mut sequence, PROMPT + row)?);
        }
        sequence.truncate(PROMPT + TOKENS - TAKEN_BACK);
        for row in 0..TAKEN_BACK {
            logits.push(self.decode(&mut sequence, PROMPT + TOKENS + row)?);
        }
        sample(logits, Vec::new(), &sequence)
    }

    fn tail(&self, prompt: &Sample) -> Result<Sample, DeviceError> {
        let mut sequence = self.behind(prompt)?;
        let states = self.states(&mut sequence, PROMPT, TAIL)?;
        sequence.truncate(PROMPT);
        let logits = self.prefill(&mut sequence, PROMPT, TAIL)?;
        sample(vec![logits], states, &sequence)
    }

    /// A sequence that holds the prompt of the reference.
    fn behind(&self, prompt: &Sample) -> Result<Sequence, DeviceError> {
        let mut sequence = self.model.new_sequence()?;
        sequence.import(0, &prompt.rows)?;
        Ok(sequence)
    }

    fn prefill(&self, sequence: &mut Sequence, first: usize, count: usize) -> Result<Vec<u16>, DeviceError> {
        let mut logits = vec![0; self.model.vocab()];
        sequence.prefill(&self.rows(first, count), Some(&mut logits), self.cancel)?;
        Ok(logits)
    }

    /// The hidden states of some rows behind a sequence, `[count, hidden]`.
    fn states(&self, sequence: &mut Sequence, first: usize, count: usize) -> Result<Vec<u16>, DeviceError> {
        let mut states = vec![0; count * self.model.hidden()];
        sequence.prefill_hidden(&self.rows(first, count), &mut states, self.cancel)?;
        Ok(states)
    }

    fn decode(&self, sequence: &mut Sequence, row: usize) -> Result<Vec<u16>, DeviceError> {
        let mut logits = vec![0; self.model.vocab()];
        sequence.decode(&self.rows(row, 1), &mut logits, self.cancel)?;
        Ok(logits)
    }

    /// Embedding rows `first..first + count` of the test's text, `[count, hidden]` bf16.
    fn rows(&self, first: usize, count: usize) -> Vec<u16> {
        let hidden = self.model.hidden();
        (first * hidden..(first + count) * hidden).map(value).collect()
    }
}

fn sample(logits: Vec<Vec<u16>>, states: Vec<u16>, sequence: &Sequence) -> Result<Sample, DeviceError> {
    Ok(Sample { logits, states, rows: sequence.export(0, sequence.len())? })
}

/// A bf16 number between 2^-7 and 2^-3 of either sign, as embeddings have: the same for the same index, always.
fn value(index: usize) -> u16 {
    // SplitMix64, whose low bits are as good as its high ones.
    let mut bits = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let [low, high, exponent, ..] = (bits ^ (bits >> 31)).to_le_bytes();
    let sign_and_fraction = u16::from_le_bytes([low & 0x7F, high & 0x80]);
    sign_and_fraction | ((120 + u16::from(exponent & 3)) << 7)
}

impl Sample {
    fn difference(&self, expected: &Self) -> Option<String> {
        let rows = || {
            let different =
                self.rows.iter().zip(&expected.rows).filter(|(got, wanted)| got != wanted).count();
            let differs = different > 0 || self.rows.len() != expected.rows.len();
            differs.then(|| format!("{different} of {} bytes of keys and values", expected.rows.len()))
        };
        let states = || {
            let different =
                self.states.iter().zip(&expected.states).filter(|(got, wanted)| got != wanted).count();
            (different > 0).then(|| format!("{different} of {} hidden values", expected.states.len()))
        };
        different_logits(&self.logits, &expected.logits).or_else(states).or_else(rows)
    }
}

/// The first logits that differ.
fn different_logits(logits: &[Vec<u16>], expected: &[Vec<u16>]) -> Option<String> {
    logits.iter().zip(expected).enumerate().find_map(|(index, (got, wanted))| {
        let different = got.iter().zip(wanted).filter(|(got, wanted)| got != wanted).count();
        (different > 0).then(|| format!("{different} of {} logits of step {}", wanted.len(), index + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::{Sample, value};

    #[test]
    fn rows_are_finite_small_and_varied() {
        let values: Vec<u16> = (0..4096).map(value).collect();
        assert!(values.iter().all(|raw| (120..124).contains(&((raw >> 7) & 0xFF))));
        let different: std::collections::HashSet<_> = values.iter().collect();
        assert!(different.len() > 900, "{}", different.len());
        assert_eq!(values[..2], [value(0), value(1)]);
    }

    #[test]
    fn the_first_difference_is_told() {
        let sample = |logits: &[u16], rows: &[u8]| Sample {
            logits: vec![vec![1, 2], logits.into()],
            states: vec![8, 9],
            rows: rows.into(),
        };
        let expected = sample(&[3, 4], &[5, 6, 7]);
        assert_eq!(sample(&[3, 4], &[5, 6, 7]).difference(&expected), None);
        assert_eq!(sample(&[3, 0], &[5, 0, 0]).difference(&expected).unwrap(), "1 of 2 logits of step 2");
        assert_eq!(
            sample(&[3, 4], &[5, 0, 0]).difference(&expected).unwrap(),
            "2 of 3 bytes of keys and values"
        );
        assert!(sample(&[3, 4], &[5]).difference(&expected).is_some());
        let other = Sample { states: vec![8, 7], ..sample(&[3, 4], &[5, 6, 7]) };
        assert_eq!(other.difference(&expected).unwrap(), "1 of 2 hidden values");
    }
}
