//! Machines made of files, and what the doctor says of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use ax650_sys::table;

use super::elf::tests::library;
use super::*;

mod boards;
mod cards;
mod models;

const AARCH64: u16 = 183;
const X86_64: u16 = 62;

/// A file tree that stands for a machine, and the rest of its surroundings.
struct Machine {
    root: tempfile::TempDir,
    around: Surroundings,
}

impl Machine {
    /// A laptop: memory, a processor, nothing of Axera.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let around = Surroundings {
            root: Root::new(root.path()),
            environment: BTreeMap::new(),
            program: None,
            device: DeviceChoice::Auto,
            driver_path: None,
            models: Some(PathBuf::from("/home/someone/.ollama/models")),
            user: Some(User { id: 12345, groups: vec![12345] }),
            card: CardProbe::NoLibrary { reason: "no libaxcl_rt.so could be opened".into() },
        };
        let machine = Self { root, around };
        machine
            .file("/proc/cpuinfo", "processor\t: 0\nflags\t: fma avx2\n\nprocessor\t: 1\nflags\t: fma avx2\n")
            .file("/proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n")
            .file("/proc/cmdline", "quiet splash\n")
            .file("/proc/net/tcp", "  sl  local_address\n")
    }

    fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let place = self.around.root.path(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        let place = self.around.root.path(path);
        if place.is_dir() {
            std::fs::remove_dir_all(place).unwrap();
        } else {
            std::fs::remove_file(place).unwrap();
        }
        self
    }

    fn mode(self, path: &str, mode: u32) -> Self {
        let place = self.around.root.path(path);
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        let place = self.around.root.path(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, place).unwrap();
        self
    }

    fn card(mut self, outcome: CardProbe) -> Self {
        self.around.card = outcome;
        self
    }

    fn device(mut self, device: &str) -> Self {
        self.around.device = device.parse().unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.around.environment.insert(name.into(), value.into());
        self
    }

    /// A card on the bus, taken by the driver, at full speed of one lane.
    fn with_card(self) -> Self {
        let card = "/sys/devices/pci0000:00/0000:00:00.0/0000:01:00.0";
        let mut config = vec![0; 256];
        config[..4].copy_from_slice(&[0x4B, 0x1F, 0x50, 0x06]);
        config[0x10..0x14].copy_from_slice(&[0x08, 0, 0, 0xB6]);
        config[0x34] = 0x70;
        config[0x70] = 0x10;
        config[0x78..0x7A].copy_from_slice(&[0x1F, 0x20]);
        self.file(&format!("{card}/vendor"), "0x1f4b\n")
            .file(&format!("{card}/device"), "0x0650\n")
            .file(&format!("{card}/config"), config)
            .file(&format!("{card}/resource"), "0x00000000b6000000 0x00000000b67fffff 0x0000000000042208\n")
            .file(&format!("{card}/current_link_speed"), "5.0 GT/s PCIe\n")
            .file(&format!("{card}/max_link_speed"), "5.0 GT/s PCIe\n")
            .file(&format!("{card}/current_link_width"), "1\n")
            .file(&format!("{card}/max_link_width"), "2\n")
            .file(&format!("{card}/msi_irqs/143"), "msi\n")
            .file("/sys/devices/pci0000:00/0000:00:00.0/max_link_width", "1\n")
            .link(&format!("{card}/driver"), "../../../../bus/pci/drivers/ax_pcie_dev_host")
            .link(
                "/sys/bus/pci/devices/0000:01:00.0",
                "../../../devices/pci0000:00/0000:00:00.0/0000:01:00.0",
            )
    }

    /// The vendor's host package, working.
    fn with_driver(self) -> Self {
        let modules = "axcl_host 57344 0 - Live 0x0 (O)\nax_pcie_mmb 20480 0 - Live 0x0 (O)\n\
             ax_pcie_msg 24576 1 axcl_host, Live 0x0 (O)\nax_pcie_host_dev 32768 2 axcl_host,ax_pcie_msg, Live 0x0 (O)\n\
             snd 100 0 - Live 0x0\n";
        let symbols: Vec<&str> = table::PCIE.required.iter().chain(table::PCIE.optional).copied().collect();
        let mut content = library(AARCH64, &symbols);
        content.extend(b"[Axera version]: libaxcl_rt.so V3.6.5 Sep 1 2025\0");
        self.file("/proc/modules", modules)
            .file("/dev/axcl_host", "")
            .mode("/dev/axcl_host", 0o666)
            .file("/dev/msg_userdev", "")
            .mode("/dev/msg_userdev", 0o666)
            .file("/dev/ax_mmb_dev", "")
            .mode("/dev/ax_mmb_dev", 0o666)
            .file("/usr/lib/axcl/libaxcl_rt.so", content)
            .file("/etc/ld.so.conf.d/axcl.conf", "/usr/lib/axcl\n")
            .file("/lib/firmware/axcl/ax650_card.pac", "firmware")
            .file("/dev/kmsg", "6,1,2,-;axcl: up\n")
            .file("/var/lib/dpkg/status", "Package: axclhost\nStatus: install ok installed\nVersion: 3.6.5\n")
            .card(CardProbe::Opened(CardFacts {
                kind: "pcie".into(),
                library: Some("/usr/lib/axcl/libaxcl_rt.so".into()),
                version: "V3.6.5".into(),
                soc: "AX650N".into(),
                firmware: "V3.6.5".into(),
                cards: 1,
                total_memory: 7040 << 20,
                free_memory: 7022 << 20,
                temperature: Some(52_000),
                npu_load: Some(0),
                cpu_load: Some(1),
                ..CardFacts::default()
            }))
    }

    /// A Raspberry Pi 5 that is set up for a card.
    fn pi5(self) -> Self {
        self.file("/proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
            .file("/boot/firmware/config.txt", "[all]\ndtparam=pciex1\ndtoverlay=pciex1-compat-pi5,no-mip\n")
            .file("/boot/firmware/cmdline.txt", "console=tty1 cma=256M\n")
            .file(
                "/proc/cpuinfo",
                "processor\t: 0\nFeatures\t: fp asimd\n\nprocessor\t: 1\nFeatures\t: fp asimd\n",
            )
            .file("/proc/cmdline", "console=tty1 cma=256M\n")
            .file("/proc/meminfo", "MemAvailable: 7000000 kB\nCmaTotal: 262144 kB\nCmaFree: 250000 kB\n")
            .file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n")
            .file("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "2400000\n")
    }

    /// The report, where errors of other rooms may name paths as they are here.
    fn examine_anywhere(&self) -> Report {
        examine(&self.around)
    }

    fn examine(&self) -> Report {
        let report = examine(&self.around);
        // Whatever is found, it can be told as JSON and read back.
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        assert!(!json.contains(self.root.path().to_str().unwrap()), "the root shows: {json}");
        report
    }

    /// Findings that matter: `id level`.
    fn complaints(&self) -> Vec<String> {
        let report = self.examine();
        let bad = report.findings.iter().filter(|finding| finding.level >= Level::Warning);
        bad.map(|finding| format!("{} {}", finding.id, finding.level)).collect()
    }

    /// The finding of that name.
    fn finding(&self, id: &str) -> Finding {
        let report = self.examine();
        report.get(id).unwrap_or_else(|| panic!("no {id} in {:#?}", report.findings)).clone()
    }
}

#[test]
fn a_laptop_with_nothing_is_fine_and_hears_how_to_get_a_card_going() {
    let machine = Machine::new();
    let report = machine.examine();
    assert!(machine.complaints().is_empty(), "{:#?}", report.findings);
    assert_eq!(report.verdict, Level::Note);
    assert!(report.summary.contains("software card"), "{}", report.summary);
    let none = machine.finding("card.none");
    assert!(none.advice.contains("axclhost") && none.text.contains("software card"), "{none:?}");
    assert!(report.findings.iter().all(|finding| !finding.id.starts_with("driver.")), "no noise");
}

#[test]
fn asking_for_a_card_that_is_not_there_is_a_problem() {
    let machine = Machine::new().device("pcie");
    let report = machine.examine();
    assert_eq!(report.verdict, Level::Problem);
    assert!(report.summary.contains("pcie was asked for"), "{}", report.summary);
    for id in ["pcie.card", "driver.modules", "driver.library", "card.no_library"] {
        assert_eq!(machine.finding(id).level, Level::Problem, "{id}");
    }
}

#[test]
fn the_json_keys_are_stable() {
    let report = Machine::new().device("pcie").examine();
    let json = serde_json::to_value(&report).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&json), ["version", "verdict", "summary", "card", "findings"]);
    let finding = json["findings"].as_array().unwrap().iter().find(|f| f["id"] == "driver.modules").unwrap();
    assert_eq!(keys(finding), ["id", "group", "level", "text", "seen", "advice", "commands"]);
    assert_eq!(keys(&finding["seen"][0]), ["place", "value"]);
    assert_eq!((&finding["group"], &finding["level"]), (&"driver".into(), &"problem".into()));
    assert_eq!(json["card"]["outcome"], "no_library");
}

#[test]
fn the_port_is_told_by_who_has_it() {
    let line = "  sl  local\n 1: 0100007F:2CAA 00000000:0000 0A 0:0 0:0 0 1000 0 4711 1\n";
    let taken = |name: &str| {
        Machine::new()
            .file("/proc/net/tcp", line)
            .file("/proc/812/comm", format!("{name}\n"))
            .link("/proc/812/fd/3", "socket:[4711]")
    };
    assert_eq!(taken("ollama").complaints(), ["server.port warning"]);
    assert!(taken("ollama").finding("server.port").commands[0].contains("ollama"));
    assert!(taken("ax650").complaints().is_empty());
    assert_eq!(taken("nginx").complaints(), ["server.port warning"]);
    let hidden = taken("ollama").without("/proc/812/fd").finding("server.port");
    assert_eq!(hidden.level, Level::Note);
    let elsewhere = taken("ollama").variable("OLLAMA_HOST", ":8080").finding("server.port");
    assert!(elsewhere.text.contains("8080") && elsewhere.level == Level::Ok, "{elsewhere:?}");
}

#[test]
fn settings_are_judged_as_their_readers_judge_them() {
    let level = |name: &str, value: &str| {
        let report = Machine::new().variable(name, value).examine();
        assert!(report.get("server.ignored").is_none(), "{name} is read");
        report.get("server.wrong_setting").map(|finding| finding.level)
    };
    for (name, value) in [
        ("OLLAMA_NOHISTORY", "1"),
        ("OLLAMA_CONTEXT_LENGTH", "5000000000"),
        ("AX650_THREADS", "1024"),
        ("AX650_DEVICE", "pcie:1"),
        ("AX650_PATHS", "-async"),
    ] {
        assert_eq!(level(name, value), None, "{name}={value}");
    }
    for (name, value) in
        [("OLLAMA_MAX_QUEUE", "-1"), ("OLLAMA_KEEP_ALIVE", "soon"), ("OLLAMA_HOST", "a:99999")]
    {
        assert_eq!(level(name, value), Some(Level::Warning), "{name}={value}: the default is used");
    }
    for (name, value) in [
        ("AX650_THREADS", "abc"),
        ("AX650_THREADS", "0"),
        ("AX650_THREADS", "5000"),
        ("AX650_DEVICE", "gpu"),
        ("AX650_PATHS", "warp"),
        ("OLLAMA_ORIGINS", "example.com"),
    ] {
        assert_eq!(level(name, value), Some(Level::Problem), "{name}={value}: the server ends");
    }
}

#[test]
fn settings_are_shown_and_secrets_are_not() {
    let machine = Machine::new()
        .variable("OLLAMA_KEEP_ALIVE", "10m")
        .variable("OLLAMA_NUM_PARALLEL", "many")
        .variable("OLLAMA_API_KEY", "hunter2");
    assert_eq!(machine.complaints(), ["server.wrong_setting warning"]);
    assert!(machine.finding("server.ignored").text.contains("OLLAMA_API_KEY"));
    let json = serde_json::to_string(&machine.examine()).unwrap();
    assert!(json.contains("10m") && !json.contains("hunter2"));
}
