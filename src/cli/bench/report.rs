//! What was measured, as stable JSON for programs and as a table for people.

use std::time::Duration;

use serde::Serialize;

use super::figures::{Phase, ratio};
use crate::cli::format;

/// Everything measured of one model on one card. The names are a promise: scripts read them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) model: String,
    pub(super) device: Device,
    pub(super) layers: usize,
    pub(super) vocab: usize,
    /// Tokens that a conversation can hold.
    pub(super) context: usize,
    /// Whether only the plain path was measured.
    pub(super) plain: bool,
    /// Ways to save work that were on.
    pub(super) paths: Vec<&'static str>,
    pub(super) load: Load,
    #[serde(flatten)]
    pub(super) run: Run,
    /// What `memory_wall_share` is a share of.
    pub(super) memory_wall: Option<MemoryWall>,
    /// The same without any way to save work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plain_path: Option<Run>,
}

#[derive(Debug, Serialize)]
pub(super) struct Device {
    pub(super) kind: &'static str,
    pub(super) summary: String,
    /// The software card's profile.
    pub(super) profile: Option<String>,
    /// Whether `npu_busy` is the time inside the calls that run and wait, which no NPU has told us itself.
    pub(super) npu_busy_estimated: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Load {
    pub(super) seconds: f64,
}

/// One prompt and its answer.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) time_to_first_token_seconds: f64,
    pub(super) prefill: Option<Phase>,
    /// `None` if the prompt left no room for an answer.
    pub(super) decode: Option<Phase>,
}

#[derive(Debug, Serialize)]
pub(super) struct MemoryWall {
    pub(super) bytes_per_second: u64,
    /// Where the speed comes from.
    pub(super) source: String,
}

/// A figure of the table: its name, the sense in which more is better, how it is told.
struct Row {
    name: &'static str,
    value: fn(&Phase) -> Option<f64>,
    show: fn(f64) -> String,
}

const ROWS: [Row; 17] = [
    Row { name: "tokens per second", value: |p| p.tokens_per_second, show: |v| number(v) },
    Row { name: "NPU busy", value: |p| p.npu_busy, show: percent },
    Row { name: "share of the memory wall", value: |p| p.memory_wall_share, show: percent },
    Row { name: "bytes of weights read", value: |p| Some(p.weight_bytes_per_token), show: bytes },
    Row { name: "host time", value: |p| Some(p.host_seconds_per_token), show: seconds },
    Row { name: "CPU time", value: |p| p.cpu_seconds_per_token, show: seconds },
    Row { name: "driver calls", value: |p| Some(p.driver_calls_per_token), show: number },
    Row { name: "round trips", value: |p| Some(p.round_trips_per_token), show: number },
    Row { name: "bytes to the card", value: |p| p.bytes_to_device_per_token, show: number },
    Row { name: "bytes from the card", value: |p| p.bytes_from_device_per_token, show: number },
    Row { name: "bytes beyond row and logits", value: |p| p.extra_bus_bytes_per_token, show: number },
    Row { name: "cache maintenance calls", value: |p| p.cache_calls_per_token, show: number },
    Row {
        name: "bytes copied beyond row and logits",
        value: |p| p.extra_copied_bytes_per_token,
        show: number,
    },
    Row {
        name: "waiting for a grammar, share",
        value: |p| p.grammar.share,
        show: |share| format!("{:.2} %", share * 100.0),
    },
    Row { name: "waiting for a grammar", value: |p| p.grammar.seconds_per_token, show: seconds },
    Row { name: "grammar beside the card", value: |p| p.grammar.mask_seconds_per_token, show: seconds },
    Row { name: "tokens", value: |p| Some(p.tokens as f64), show: number },
];

impl Report {
    /// One JSON object.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Lines about the model and the card, then a table of both phases, the plain path beside the fast one.
    pub(super) fn table(&self) -> String {
        let paths = if self.paths.is_empty() { "none".to_owned() } else { self.paths.join(" ") };
        let mut text = format!(
            "{}: {} layers, {} tokens, context {}\n{}\nFast paths: {paths}\nLoaded in {}\n\n",
            self.model,
            self.layers,
            self.vocab,
            self.context,
            self.device.summary,
            seconds(self.load.seconds)
        );

        let mut rows = vec![self.head()];
        let first = |run: &Run| Some(run.time_to_first_token_seconds);
        rows.push(self.row("time to the first token", &first, seconds));
        for (phase, of) in [
            ("prompt", (|run| run.prefill.as_ref()) as fn(&Run) -> Option<&Phase>),
            ("answer", |run| run.decode.as_ref()),
        ] {
            if of(&self.run).is_none() {
                continue;
            }
            rows.push(Vec::new());
            rows.push(vec![format!("{} (per token)", phase)]);
            for row in &ROWS {
                let value = |run: &Run| of(run).and_then(row.value);
                if value(&self.run).is_some() {
                    rows.push(self.row(&format!("  {}", row.name), &value, row.show));
                }
            }
        }
        text.push_str(&format::table(&rows));
        text.push_str(&self.notes());
        text
    }

    fn head(&self) -> Vec<String> {
        match (self.plain, &self.plain_path) {
            (true, _) => vec![String::new(), "PLAIN".into()],
            (false, None) => vec![String::new(), "FAST".into()],
            (false, Some(_)) => vec![String::new(), "FAST".into(), "PLAIN".into(), "FAST/PLAIN".into()],
        }
    }

    fn row(&self, name: &str, value: &dyn Fn(&Run) -> Option<f64>, show: fn(f64) -> String) -> Vec<String> {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), show);
        let fast = value(&self.run);
        let mut cells = vec![name.to_owned(), shown(fast)];
        if let Some(plain) = &self.plain_path {
            let plain = value(plain);
            let share = fast.zip(plain).and_then(|(fast, plain)| ratio(fast, plain));
            cells.extend([shown(plain), share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"))]);
        }
        cells
    }

    fn notes(&self) -> String {
        let profile = self.device.profile.as_ref();
        let profile =
            profile.map(|name| format!("Times are those of the card that the profile {name} describes."));
        let wall = self.memory_wall.as_ref().map(|wall| {
            let speed = number(wall.bytes_per_second as f64 / 1e9);
            format!("Memory wall: weights read at {speed} GB/s ({}).", wall.source)
        });
        let estimate = self.device.npu_busy_estimated.then(|| {
            "NPU busy is an estimate: the time inside the calls that run the model and wait for it."
                .to_owned()
        });
        let notes: Vec<String> = [profile, wall, estimate].into_iter().flatten().collect();
        if notes.is_empty() { String::new() } else { format!("\n{}\n", notes.join("\n")) }
    }
}

/// Three significant figures below a thousand, whole numbers above.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn bytes(count: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
    format::bytes(count as u64)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn seconds(value: f64) -> String {
    format::duration(Duration::try_from_secs_f64(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::figures::Grammar;
    use super::*;

    fn phase(tokens_per_second: f64) -> Phase {
        Phase {
            tokens: 64,
            tokens_per_second: Some(tokens_per_second),
            npu_busy: Some(0.991),
            round_trips_per_token: 1.0,
            driver_calls_per_token: 41.5,
            bytes_to_device_per_token: Some(2_560.0),
            bytes_from_device_per_token: Some(303_872.0),
            extra_bus_bytes_per_token: Some(512.0),
            cache_calls_per_token: None,
            extra_copied_bytes_per_token: None,
            host_seconds_per_token: 0.000_05,
            cpu_seconds_per_token: None,
            weight_bytes_per_token: 4e9,
            memory_wall_share: None,
            grammar: Grammar { share: Some(0.001), ..Grammar::default() },
        }
    }

    fn report() -> Report {
        let run = |speed| Run {
            time_to_first_token_seconds: 0.25,
            prefill: Some(phase(10.0 * speed)),
            decode: Some(phase(speed)),
        };
        Report {
            version: "1.2.3",
            model: "m:latest".into(),
            device: Device {
                kind: "software",
                summary: "a card".into(),
                profile: Some("instant".into()),
                npu_busy_estimated: false,
            },
            layers: 36,
            vocab: 151_936,
            context: 2_559,
            plain: false,
            paths: vec!["pinned", "async"],
            load: Load { seconds: 2.5 },
            run: run(30.0),
            memory_wall: None,
            plain_path: Some(run(20.0)),
        }
    }

    #[test]
    fn names_of_the_json_are_what_scripts_read() {
        let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(json["device"]["profile"], "instant");
        assert_eq!(json["paths"], serde_json::json!(["pinned", "async"]));
        assert_eq!(json["load"]["seconds"], 2.5);
        assert_eq!(json["decode"]["tokens_per_second"], 30.0);
        assert_eq!(json["prefill"]["npu_busy"], 0.991);
        assert_eq!(json["plain_path"]["decode"]["tokens_per_second"], 20.0);
        assert_eq!(json["time_to_first_token_seconds"], 0.25);
        assert_eq!(json["decode"]["grammar_share"], 0.001);
        // Unknown is null, and the key is there.
        let decode = json["decode"].as_object().unwrap();
        assert!(decode["cache_calls_per_token"].is_null() && decode["memory_wall_share"].is_null());
        assert!(json.as_object().unwrap().contains_key("memory_wall"));
    }

    #[test]
    fn the_table_puts_both_paths_side_by_side() {
        let table = report().table();
        let line =
            |name: &str| table.lines().filter(|line| line.trim_start().starts_with(name)).collect::<Vec<_>>();
        let speeds = line("tokens per second");
        assert_eq!(speeds.len(), 2, "{table}");
        assert_eq!(speeds[1].split_whitespace().skip(3).collect::<Vec<_>>(), ["30", "20", "1.50"]);
        assert!(table.contains("99.1 %") && table.contains("Fast paths: pinned async"), "{table}");
        assert!(line("cache maintenance").is_empty(), "what is unknown takes no line: {table}");
    }

    #[test]
    fn one_path_alone_has_one_column() {
        let report = Report { plain: true, paths: Vec::new(), plain_path: None, ..report() };
        let table = report.table();
        assert!(
            table.contains("PLAIN") && !table.contains("FAST/") && table.contains("Fast paths: none"),
            "{table}"
        );
        assert!(!report.json().unwrap().contains("plain_path"));
    }

    #[test]
    fn figures_are_told_with_three_digits() {
        assert_eq!([0.0, 0.5, 12.34, 123.4, 303_872.0].map(number), ["0", "0.50", "12.3", "123", "303872"]);
        assert_eq!(percent(0.9876), "98.8 %");
    }
}
