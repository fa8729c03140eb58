//! Numbers, times and tables for people.

use std::time::Duration;

/// Bytes in decimal units, three significant figures: `92 MB`, `1.6 GB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];
    for (unit, size) in UNITS {
        if count >= size {
            let value = count as f64 / size as f64;
            return if value >= 10.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") };
        }
    }
    format!("{count} B")
}

/// A span in the largest unit that fits, in words: `3 minutes`, `2 days`.
pub(crate) fn span(duration: Duration) -> String {
    const UNITS: [(&str, u64); 5] =
        [("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60)];
    let seconds = duration.as_secs();
    let (name, size) = UNITS.into_iter().find(|(_, size)| seconds >= *size).unwrap_or(("second", 1));
    let count = seconds / size;
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// A measured duration as ollama prints it: `1.204s`, `35.1ms`, `2m3.5s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 60.0 {
        let minutes = duration.as_secs() / 60;
        format!("{minutes}m{:.1}s", seconds - minutes as f64 * 60.0)
    } else if seconds >= 1.0 {
        format!("{seconds:.3}s")
    } else if seconds >= 0.001 {
        format!("{:.1}ms", seconds * 1e3)
    } else {
        format!("{:.1}µs", seconds * 1e6)
    }
}

/// Left-aligned columns, four blanks apart, no blanks at line ends.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 4 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_spans_and_durations_read_well() {
        assert_eq!(
            [0, 999, 1_000, 92_400_000, 1_640_000_000].map(bytes),
            ["0 B", "999 B", "1.0 KB", "92 MB", "1.6 GB"]
        );
        assert_eq!(span(Duration::from_secs(1)), "1 second");
        assert_eq!(span(Duration::from_secs(119)), "1 minute");
        assert_eq!(span(Duration::from_hours(72)), "3 days");
        assert_eq!(duration(Duration::from_micros(35_100)), "35.1ms");
        assert_eq!(duration(Duration::from_millis(123_500)), "2m3.5s");
    }

    #[test]
    fn columns_line_up_without_trailing_blanks() {
        let rows = [vec!["NAME".into(), "ID".into()], vec!["smollm2:latest".into(), String::new()]];
        assert_eq!(table(&rows), "NAME              ID\nsmollm2:latest\n");
    }
}
