//! A profile of the software card from a recording: figures that were measured, and for the rest those of a known machine.

use std::fmt::Write;

use ax650_sim::profile::{Figure, Profile, ProfileError};

use super::Recording;
use crate::device::survey::{FileShape, GroupShape};

/// Where figures come from that a recording does not tell.
const KNOWN: &str = "pi5-llm8850";

/// Share of a run that may be taken for its fixed cost (our choice).
const MOST_FIXED: f64 = 0.8;

/// Text of a profile that does what was recorded. Each figure says how it came about.
///
/// # Errors
///
/// Only if the profile that the rest is taken from is unusable.
pub fn profile(recording: &Recording) -> Result<String, ProfileError> {
    let known = Profile::named(KNOWN)?;
    let measured = Measured::of(recording, &known);
    let machine = recording.machine.as_deref().unwrap_or("a host");
    let summary = format!("{} in {machine}, recorded", or_card(&recording.card.soc));
    let mut text = format!("summary = {summary:?}\ninterface = \"pcie\"\n");
    for (name, of_known) in known.figures() {
        let figure = measured.figure(name).unwrap_or_else(|| Figure {
            value: of_known.value,
            source: format!("not in the recording; as {KNOWN}: {}", of_known.source),
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
        const SMALL: u64 = 4 << 10;
        const LARGE: u64 = 4 << 20;
        let ns = |call: &str, bytes| recording.call(call, bytes).map(|timing| timing.median_ns as f64);
        // Bytes per nanosecond beyond what every copy costs.
        let rate = |call: &str| {
            let more = ns(call, LARGE)? - ns(call, SMALL)?;
            (more > 0.0).then(|| (LARGE - SMALL) as f64 / more)
        };
        let best = |direction: &str| {
            let of = |kind: &str| rate(&format!("axclrtMemcpy {direction} {kind}"));
            of("pinned").or_else(|| of("unpinned"))
        };
        if let Some(rate) = best("to-device") {
            self.set("to_device_mb_per_s", rate * 1e3, "recorded: copies of 4 MiB less copies of 4 KiB");
        }
        if let Some(rate) = best("from-device") {
            self.set("from_device_mb_per_s", rate * 1e3, "recorded: copies of 4 MiB less copies of 4 KiB");
        }
        if let Some(rate) = rate("axclrtMemcpy on-device") {
            self.set("device_copy_gb_per_s", rate, "recorded: copies of 4 MiB less copies of 4 KiB");
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
        if let Some(layer) = recording.file("layer") {
            self.layer(layer, round_trip, known);
            if layer.load.median_ns > 0 && layer.file_bytes > 0 {
                let rate = layer.file_bytes as f64 / layer.load.median_ns as f64;
                self.set("load_mb_per_s", rate * 1e3, "recorded: the first layer");
            }
        }
        let head = recording.file("head").and_then(|head| Some((head.weight_bytes, head.groups.first()?)));
        if let Some((bytes, group)) = head.filter(|(bytes, group)| *bytes > 0 && group.run.count > 0) {
            let ns = group.run.median_ns as f64 - round_trip;
            self.set("head_call_us", 0.0, "recorded: within the rate");
            self.set("head_gb_per_s", bytes as f64 / ns, "recorded: weights over the time of a run");
        }
    }

    fn layer(&mut self, layer: &FileShape, round_trip: f64, known: &Profile) {
        let Some(decode) = layer.groups.iter().find(|group| rows(group) == Some(1) && group.run.count > 0)
        else {
            return;
        };
        let ns = decode.run.median_ns as f64 - round_trip;
        // One file cannot tell the fixed cost from the rate; most of a short run may be fixed, but not all.
        let fixed = (known.layer_call_us.value * 1e3).min(ns * MOST_FIXED).max(0.0);
        let read = layer.weight_bytes as f64 + cache_bytes(decode) as f64;
        let rate = read / (ns - fixed);
        self.set(
            "layer_call_us",
            fixed / 1e3,
            &format!("not told apart from the rate; as {KNOWN}, at most 0.8 of a run"),
        );
        self.set(
            "layer_gb_per_s",
            rate,
            "recorded: weights and K/V cache over the time of a run less its fixed cost",
        );
        let chunks = layer
            .groups
            .iter()
            .filter(|group| rows(group).is_some_and(|rows| rows > 1) && group.run.count > 0);
        if let Some(chunk) = chunks.min_by_key(|group| group.run.median_ns) {
            let reading = (layer.weight_bytes as f64 + cache_bytes(chunk) as f64) / rate;
            let computing = chunk.run.median_ns as f64 - round_trip - fixed - reading;
            // A weight is a byte in the usual files, and a multiply-add for every row.
            let operations = 2.0 * layer.weight_bytes as f64 * rows(chunk).unwrap_or(0) as f64;
            if computing > 0.0 {
                self.set(
                    "chunk_tops",
                    operations / computing / 1e3,
                    "recorded: 2 x weights x rows over what is left of a chunk",
                );
            }
        }
    }
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
