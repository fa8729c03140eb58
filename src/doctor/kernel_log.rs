//! What the kernel's log says about the card, where it may be read.

use std::io::Read;

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

/// The kernel's own buffer, then files that system loggers keep.
const BUFFER: &str = "/dev/kmsg";
const FILES: [&str; 3] = ["/var/log/kern.log", "/var/log/dmesg", "/var/log/messages"];

/// Lines of the log that are looked at: the last ones.
const LINES: usize = 20_000;

/// A kind of bad news.
struct News {
    id: &'static str,
    level: Level,
    /// All of these are in the line.
    words: &'static [&'static str],
    text: &'static str,
    advice: &'static str,
}

const NEWS: [News; 5] = [
    News {
        id: "driver.log.dead",
        level: Level::Warning,
        words: &["device ", ": dead!"],
        text: "the driver lost the card",
        advice: "known causes: the host slept (the card cannot), the card was too hot (it resets at 120 degrees C), its system \
                 crashed, a program was killed in mid-load; if it does not come back by itself, power off and on",
    },
    News {
        id: "driver.log.port",
        level: Level::Warning,
        words: &["Recv port ack timeout"],
        text: "the card did not answer a program's request for a channel",
        advice: "load the driver again; if that does not help, power off and on",
    },
    News {
        id: "driver.log.cma",
        level: Level::Warning,
        words: &["cma_alloc", "fail"],
        text: "contiguous memory (CMA) ran out",
        advice: "enlarge it: cma=256M on the kernel's command line",
    },
    News {
        id: "driver.log.iommu",
        level: Level::Warning,
        words: &["IO_PAGE_FAULT"],
        text: "the IOMMU stopped a transfer of a device",
        advice: "if the device is the card: some versions of the driver need the IOMMU off (amd_iommu=off or intel_iommu=off on \
                 the kernel's command line)",
    },
    News {
        id: "driver.log.firmware",
        level: Level::Warning,
        words: &["ax650_card.pac", "fail"],
        text: "the card's firmware could not be loaded",
        advice: "install driver and firmware of one version again",
    },
];

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.card_matters(around) {
        return Vec::new();
    }
    let Some((place, log)) = read(&around.root) else {
        return vec![
            Finding::new(
                "driver.log",
                Group::Driver,
                Level::Note,
                "the kernel's log is not readable for this user",
            )
            .seen(BUFFER, "not readable")
            .command("sudo ax650 doctor"),
        ];
    };
    NEWS.iter().filter_map(|news| find(news, &log).map(|finding| finding.finding(news, place))).collect()
}

/// How often a kind of news occurs, and its last line.
struct Found<'a> {
    count: usize,
    last: &'a str,
}

fn find<'a>(news: &News, log: &'a str) -> Option<Found<'a>> {
    let mut lines =
        log.lines().rev().take(LINES).filter(|line| news.words.iter().all(|word| line.contains(word)));
    let last = lines.next()?;
    Some(Found { count: 1 + lines.count(), last })
}

impl Found<'_> {
    fn finding(&self, news: &News, place: &str) -> Finding {
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        Finding::new(
            news.id,
            Group::Driver,
            news.level,
            format!("{} ({times} since the log began)", news.text),
        )
        .seen(place, message(self.last))
        .advice(news.advice)
    }
}

/// Records of the buffer begin with numbers before a semicolon; a line of a file is taken whole.
fn message(line: &str) -> &str {
    match line.split_once(';') {
        Some((head, text)) if head.starts_with(|c: char| c.is_ascii_digit()) => text,
        _ => line,
    }
}

fn read(root: &Root) -> Option<(&'static str, String)> {
    if let Some(text) = buffer(root) {
        return Some((BUFFER, text));
    }
    FILES.iter().find_map(|path| Some((*path, root.end_of(path)?)))
}

/// All records of the kernel's buffer: each read gives one, and an error when there is no more or some were lost.
fn buffer(root: &Root) -> Option<String> {
    let mut file = root.open(BUFFER).ok()?;
    let mut record = vec![0; 16 << 10];
    let mut text = Vec::new();
    for _ in 0..LINES * 4 {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(record.get(..length)?),
            // EPIPE: the record was overwritten meanwhile; the next read goes on behind the gap.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(_) => break,
        }
    }
    (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_is_shown() {
        let log = "3,1,2,-;[heartbeat_recv_thread, 578]: device 4: dead!\n6,2,3,-;eth0: up\n3,3,4,-;device 5: dead!";
        let found = find(&NEWS[0], log).unwrap();
        assert_eq!((found.count, message(found.last)), (2, "device 5: dead!"));
        assert!(find(&NEWS[1], log).is_none());
        assert_eq!(message("Nov 1 x: device 4: dead!; y"), "Nov 1 x: device 4: dead!; y");
    }
}
