//! A profile of the software card from a recording: figures that were measured, and for the rest those of a known
//! machine.

use std::fmt::Write;

use ax650_sim::profile::{Figure, Profile, ProfileError};

use super::Recording;
use crate::device::survey::{FileShape, GroupShape};

/// Where figures come from that a recording does not tell, by the interface.
const KNOWN_CARD: &str = "pi5-llm8850";
const KNOWN_BOARD: &str = "board-ax650n";

/// Share of a run that may be taken for its fixed cost (our choice).
const MOST_FIXED: f64 = 0.8;

/// How many times more than the smallest file the largest must read, so that what is fixed can be told from what is
/// read (our choice).
const APART: f64 = 1.5;

/// Sizes of the copies and of the cache calls that are compared.
const SMALL: u64 = 4 << 10;
const LARGE: u64 = 4 << 20;

/// Text of a profile that does what was recorded. Each figure says how it came about.
///
/// # Errors
///
/// Only if the profile that the rest is taken from is unusable.
pub fn profile(recording: &Recording) -> Result<String, ProfileError> {
    let is_board = recording.card.interface == "board";
    let known = Profile::named(if is_board { KNOWN_BOARD } else { KNOWN_CARD })?;
    let measured = Measured::of(recording, &known);
    let machine = recording.machine.as_deref().unwrap_or("a host");
    let summary = format!("{} in {machine}, recorded", or_card(&recording.card.soc));
    let interface = if is_board { "board" } else { "pcie" };
    let mut text = format!("summary = {summary:?}\ninterface = {interface:?}\n");
    for (name, of_known) in known.figures() {
        let figure = measured.figure(name).unwrap_or_else(|| Figure {
            value: of_known.value,
            source: format!("not in the recording; as {}: {}", known.name(), of_known.source),
        });
        let value = if figure.value.is_finite() { format!("{:?}", figure.value) } else { "inf".to_owned() };
        // Writing to a string cannot fail.
        write!(text, "\n[{name}]\nvalue = {value}\nsource = {:?}\n", figure.source).ok();
    }
    Ok(text)
}

fn or_card(soc: &str) -> &str {
    if soc.is_empty() { "card" } else { soc }
}

/// Figures by name, as far as the recording has what they need.
#[derive(Debug, Default)]
struct Measured(Vec<(&'static str, Figure)>);

impl Measured {
    fn of(recording: &Recording, known: &Profile) -> Self {
        let mut measured = Self::default();
        if recording.card.total_memory > 0 {
            let value = recording.card.total_memory as f64 / f64::from(1 << 20);
            measured.set("device_memory_mib", value, "recorded: the card's own word");
        }
        measured.copies(recording);
        measured.runs(recording, known);
        measured
    }

    fn figure(&self, name: &str) -> Option<Figure> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, figure)| figure.clone())
    }

    fn set(&mut self, name: &'static str, value: f64, source: &str) {
        // What a profile would refuse is not worth having.
        if value.is_finite() && value >= 0.0 && (name.ends_with("_us") || value > 1e-3) {
            let value = (value * 1000.0).round() / 1000.0;
            self.0.push((name, Figure { value, source: source.to_owned() }));
        }
    }

    fn copies(&mut self, recording: &Recording) {
        let ns = |call: &str, bytes| recording.call(call, bytes).map(|timing| timing.median_ns as f64);
        // Bytes per nanosecond beyond what every call costs.
        let rate = |call: &str| {
            let more = ns(call, LARGE)? - ns(call, SMALL)?;
            (more > 0.0).then(|| (LARGE - SMALL) as f64 / more)
        };
        let best = |direction: &str| {
            let of = |kind: &str| rate(&format!("axclrtMemcpy {direction} {kind}"));
            of("pinned").or_else(|| of("unpinned"))
        };
        let copies = "recorded: copies of 4 MiB less copies of 4 KiB";
        if let Some(rate) = best("to-device") {
            self.set("to_device_mb_per_s", rate * 1e3, copies);
        }
        if let Some(rate) = best("from-device") {
            self.set("from_device_mb_per_s", rate * 1e3, copies);
        }
        if let Some(rate) = rate("axclrtMemcpy on-device") {
            self.set("device_copy_gb_per_s", rate, copies);
        }
        if let Some(rate) = rate("AX_SYS_MflushCache") {
            self.set("cache_gb_per_s", rate, "recorded: flushing 4 MiB less flushing 4 KiB");
        }
        let pinned = ns("axclrtMemcpy to-device pinned", SMALL);
        let unpinned = ns("axclrtMemcpy to-device unpinned", SMALL);
        if let (Some(copy), Some(rate)) = (pinned.or(unpinned), best("to-device")) {
            let round_trip = (copy - SMALL as f64 / rate).max(0.0);
            self.set(
                "round_trip_us",
                round_trip / 1e3,
                "recorded: a copy of 4 KiB to the card less the time of its bytes",
            );
        }
        if let (Some(pinned), Some(unpinned)) = (pinned, unpinned) {
            let source = "recorded: a copy of 4 KiB from ordinary memory less one from pinned memory";
            self.set("unpinned_copy_us", (unpinned - pinned).max(0.0) / 1e3, source);
        }
    }

    fn runs(&mut self, recording: &Recording, known: &Profile) {
        let round_trip =
            self.figure("round_trip_us").map_or(known.round_trip_us.value, |figure| figure.value) * 1e3;
        let layers: Vec<&FileShape> = recording.files("layer").collect();
        if let Some(speed) = Speed::of_layers(&layers, round_trip, known) {
            self.set("layer_call_us", speed.fixed_ns / 1e3, &speed.source_of_fixed);
            self.set("layer_gb_per_s", speed.rate, &speed.source_of_rate);
            if let Some(tops) = chunk_tops(&layers, round_trip, &speed) {
                let source = "recorded: 2 x weights x rows over what is left of a chunk of the largest layer";
                self.set("chunk_tops", tops, source);
            }
        }
        let heads: Vec<&FileShape> = recording.files("head").collect();
        if let Some(speed) = Speed::of_heads(&heads, round_trip) {
            self.set("head_call_us", speed.fixed_ns / 1e3, &speed.source_of_fixed);
            self.set("head_gb_per_s", speed.rate, &speed.source_of_rate);
        }
        let loads = layers.iter().map(|layer| &layer.load).filter(|load| load.median_ns > 0);
        if let Some(load) = loads.max_by_key(|load| load.bytes) {
            self.set(
                "load_mb_per_s",
                load.bytes as f64 / load.median_ns as f64 * 1e3,
                "recorded: the largest layer",
            );
        }
    }
}

/// What a run of one row costs.
struct Speed {
    fixed_ns: f64,
    /// Bytes per nanosecond, that is 10^9 bytes a second.
    rate: f64,
    source_of_fixed: String,
    source_of_rate: String,
}

/// A run of one row: what it reads, and its time without the round trip.
#[derive(Clone, Copy)]
struct Run {
    bytes: f64,
    ns: f64,
}

impl Speed {
    /// By the smallest and the largest run, if they differ enough.
    fn of_two(runs: &[Run], what: &str) -> Option<Self> {
        let small = runs.iter().min_by(|a, b| a.bytes.total_cmp(&b.bytes))?;
        let large = runs.iter().max_by(|a, b| a.bytes.total_cmp(&b.bytes))?;
        if large.bytes < small.bytes * APART || large.ns <= small.ns {
            return None;
        }
        let rate = (large.bytes - small.bytes) / (large.ns - small.ns);
        Some(Self {
            fixed_ns: (small.ns - small.bytes / rate).max(0.0),
            rate,
            source_of_fixed: format!("recorded: what is left of the shortest run of a {what}"),
            source_of_rate: format!("recorded: longest less shortest run of a {what}, by what they read"),
        })
    }

    fn of_layers(layers: &[&FileShape], round_trip: f64, known: &Profile) -> Option<Self> {
        let runs: Vec<Run> = layers
            .iter()
            .flat_map(|layer| layer.groups.iter().map(move |group| (layer, group)))
            .filter(|(_, group)| rows(group) == Some(1) && group.run.count > 0)
            .map(|(layer, group)| Run {
                bytes: layer.weight_bytes as f64 + cache_bytes(group) as f64,
                ns: group.run.median_ns as f64 - round_trip,
            })
            .collect();
        Self::of_two(&runs, "layer").or_else(|| {
            let run = runs.iter().max_by(|a, b| a.bytes.total_cmp(&b.bytes))?;
            // One file cannot tell the fixed cost from the rate; most of a short run may be fixed, but not all.
            let fixed_ns = (known.layer_call_us.value * 1e3).min(run.ns * MOST_FIXED).max(0.0);
            let source_of_fixed = format!(
                "not told apart from the rate by models of one size; as {}, at most 0.8 of a run",
                known.name()
            );
            Some(Self {
                fixed_ns,
                rate: run.bytes / (run.ns - fixed_ns),
                source_of_fixed,
                source_of_rate: "recorded: weights and K/V cache over the time of a run less its fixed cost"
                    .to_owned(),
            })
        })
    }

    fn of_heads(heads: &[&FileShape], round_trip: f64) -> Option<Self> {
        let runs: Vec<Run> = heads
            .iter()
            .filter_map(|head| Some((head, head.groups.first()?)))
            .filter(|(head, group)| head.weight_bytes > 0 && group.run.count > 0)
            .map(|(head, group)| Run {
                bytes: head.weight_bytes as f64,
                ns: group.run.median_ns as f64 - round_trip,
            })
            .collect();
        Self::of_two(&runs, "head").or_else(|| {
            let run = runs.first()?;
            Some(Self {
                fixed_ns: 0.0,
                rate: run.bytes / run.ns,
                source_of_fixed: "not told apart from the rate by models of one size".to_owned(),
                source_of_rate: "recorded: weights over the time of a run".to_owned(),
            })
        })
    }
}

/// 10^12 operations a second of a chunk with little history: what is left of its time without reading.
fn chunk_tops(layers: &[&FileShape], round_trip: f64, speed: &Speed) -> Option<f64> {
    let layer = layers.iter().max_by_key(|layer| layer.weight_bytes)?;
    let chunks =
        layer.groups.iter().filter(|group| rows(group).is_some_and(|rows| rows > 1) && group.run.count > 0);
    let chunk = chunks.min_by_key(|group| group.run.median_ns)?;
    let reading = (layer.weight_bytes as f64 + cache_bytes(chunk) as f64) / speed.rate;
    let computing = chunk.run.median_ns as f64 - round_trip - speed.fixed_ns - reading;
    // A weight is a byte in the usual files, and a multiply-add for every row.
    let operations = 2.0 * layer.weight_bytes as f64 * rows(chunk)? as f64;
    (computing > 0.0).then(|| operations / computing / 1e3)
}

/// Rows that a group computes: the elements of `indices`.
fn rows(group: &GroupShape) -> Option<u64> {
    let indices = group.inputs.iter().find(|tensor| tensor.name == "indices")?;
    indices.dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(u64::try_from(dim).ok()?))
}

fn cache_bytes(group: &GroupShape) -> u64 {
    let caches = group.inputs.iter().filter(|tensor| matches!(tensor.name.as_str(), "K_cache" | "V_cache"));
    caches.map(|tensor| tensor.bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
