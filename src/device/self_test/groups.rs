//! All paths that passed, in every shape group.
//!
//! The groups of a compiled file are programs of their own, and a card that does right in one may do wrong in another.
//! So the paths that are to be used go through all of them, behind histories of each length: pseudo-random keys and
//! values, put there from the host. Only where something differs are the paths tested by themselves.

use sha2::{Digest, Sha256};

use super::super::{DeviceError, Path, Paths, Sequence, Verdict};
use super::probe::{Probe, Step, plan};
use super::{Bench, different_logits, one_by_one, passed, value};

/// Rows of the history that are put there at once and again: a prime, so that no two cells that are some groups apart
/// hold the same, and few enough for the memory of a small host.
const PIECE: usize = 251;

/// What one probe has computed.
struct Sample {
    /// Logits, `[vocab]` each.
    logits: Vec<Vec<u16>>,
    /// Digest of its hidden states, where it is looked at those of all rows.
    states: Option<[u8; 32]>,
    /// Digest of its keys and values, which are too many to keep.
    rows: [u8; 32],
}

/// Tests the paths that passed, and corrects the verdicts of those that do not in some group; returns the verdict of
/// the rest at once.
///
/// # Errors
/// As [`run`](super::run).
pub(super) fn test(bench: &Bench<'_>, verdicts: &mut [(Path, Verdict)]) -> Result<Verdict, DeviceError> {
    let walk = Walk::new(bench, passed(verdicts))?;
    loop {
        let usable = passed(verdicts);
        if usable.is_plain() {
            return Ok(Verdict::NotAvailable);
        }
        let together = walk.verdict(usable)?;
        if !together.is_bad() {
            return Ok(together);
        }
        if let Some(difference) = walk.difference(|_| vec![Paths::PLAIN])? {
            return Ok(Verdict::Failed(format!("the plain path does not repeat itself: {difference}")));
        }
        if !walk.blame(usable, verdicts)? {
            let again = walk.verdict(usable)?;
            let accident =
                || Verdict::Failed(format!("the paths together do not repeat themselves: {together}"));
            return Ok(if again.is_bad() { again } else { accident() });
        }
    }
}

/// The probes of a model, and what the plain path computes there.
struct Walk<'a> {
    bench: &'a Bench<'a>,
    probes: Vec<Probe>,
    reference: Vec<Sample>,
    /// K and V rows.
    piece: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(bench: &'a Bench<'a>, usable: Paths) -> Result<Self, DeviceError> {
        let model = bench.model;
        let probes = plan(&model.groups(), model.context_len(), usable.contains(Path::SmallestGroup));
        let values = PIECE.min(model.context_len()) * model.row_bytes() / size_of::<u16>();
        let piece = (0..values).flat_map(|index| value(index).to_le_bytes()).collect();
        let mut walk = Self { bench, probes, reference: Vec::new(), piece };
        let mut reference = Vec::with_capacity(walk.probes.len());
        walk.each(
            |_| vec![Paths::PLAIN],
            |_, sample| {
                reference.push(sample);
                None
            },
        )?;
        walk.reference = reference;
        Ok(walk)
    }

    /// The verdict of these paths at once.
    fn verdict(&self, paths: Paths) -> Result<Verdict, DeviceError> {
        self.bench.judge(paths, || self.difference(|probe| probe.sets(paths)))
    }

    /// Tests the paths one by one, and notes what is bad; returns whether any is.
    fn blame(&self, usable: Paths, verdicts: &mut [(Path, Verdict)]) -> Result<bool, DeviceError> {
        let mut found = false;
        for (path, verdict) in one_by_one(usable, |_, paths| self.verdict(paths))? {
            if verdict.is_bad() {
                found = true;
                verdicts
                    .iter_mut()
                    .filter(|(of, _)| *of == path)
                    .for_each(|(_, known)| *known = verdict.clone());
            }
        }
        Ok(found)
    }

    /// The first difference from the reference, on the sets of paths that each probe is to be computed on.
    fn difference(&self, sets: impl Fn(&Probe) -> Vec<Paths>) -> Result<Option<String>, DeviceError> {
        self.each(sets, |index, sample| {
            let difference = sample.difference(self.reference.get(index)?)?;
            Some(format!("{}: {difference}", self.probes.get(index)?))
        })
    }

    /// Computes the probes, until `look` finds what it looks for.
    fn each(
        &self,
        sets: impl Fn(&Probe) -> Vec<Paths>,
        mut look: impl FnMut(usize, Sample) -> Option<String>,
    ) -> Result<Option<String>, DeviceError> {
        let model = self.bench.model;
        let longest = self.probes.iter().map(|probe| probe.at).max().unwrap_or(0);
        let mut sequence = self.filled(longest)?;
        for (index, probe) in self.probes.iter().enumerate() {
            for paths in sets(probe) {
                // What is not available any more is for `judge` to see.
                let paths = paths & model.available_paths();
                if model.paths() != paths {
                    model.set_paths(paths)?;
                }
                if let Some(found) = look(index, self.sample(probe, &mut sequence)?) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// A sequence of so many rows.
    fn filled(&self, len: usize) -> Result<Sequence, DeviceError> {
        let Bench { model, cancel } = *self.bench;
        let mut sequence = model.new_sequence()?;
        while sequence.len() < len {
            if cancel.is_cancelled() {
                return Err(DeviceError::Cancelled);
            }
            let missing = (len - sequence.len()) * model.row_bytes();
            sequence.import(sequence.len(), &self.piece[..missing.min(self.piece.len())])?;
        }
        Ok(sequence)
    }

    fn sample(&self, probe: &Probe, sequence: &mut Sequence) -> Result<Sample, DeviceError> {
        let bench = self.bench;
        let Probe { at, rows, .. } = *probe;
        sequence.truncate(at);
        let (mut logits, mut states) = (Vec::new(), None);
        match probe.step {
            Step::Tokens => {
                for row in at..at + rows {
                    logits.push(bench.decode(sequence, row)?);
                }
            }
            Step::Prompt => logits.push(bench.prefill(sequence, at, rows)?),
            Step::States => {
                let bytes: Vec<u8> =
                    bench.states(sequence, at, rows)?.into_iter().flat_map(u16::to_le_bytes).collect();
                states = Some(Sha256::digest(bytes).into());
            }
        }
        let rows = Sha256::digest(sequence.export(at, rows)?).into();
        Ok(Sample { logits, states, rows })
    }
}

impl Sample {
    fn difference(&self, expected: &Self) -> Option<String> {
        let rows = || (self.rows != expected.rows).then(|| "keys and values".to_owned());
        let states = || (self.states != expected.states).then(|| "hidden states".to_owned());
        different_logits(&self.logits, &expected.logits).or_else(states).or_else(rows)
    }
}
