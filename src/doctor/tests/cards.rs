//! Hosts of cards: a Raspberry Pi 5, an RK3588 board, and what goes wrong with them.

use super::*;

fn pi() -> Machine {
    Machine::new().pi5().with_card().with_driver()
}

/// An RK3588 board: four slow and four fast cores.
fn rk3588() -> Machine {
    let mut machine = Machine::new()
        .with_card()
        .with_driver()
        .file("/proc/device-tree/model", "FriendlyElec CM3588 NAS\0")
        .file("/proc/meminfo", "CmaTotal: 262144 kB\nCmaFree: 250000 kB\n")
        .file("/proc/irq/143/smp_affinity_list", "0-7\n")
        .file("/proc/irq/143/effective_affinity_list", "0\n")
        .file("/proc/interrupts", "           CPU0       CPU4\n143:   99   0  ITS-MSI  0000:01:00.0\n");
    for cpu in 0..8 {
        let (capacity, governor) = if cpu < 4 { (530, "ondemand") } else { (1024, "performance") };
        let directory = format!("/sys/devices/system/cpu/cpu{cpu}");
        machine = machine
            .file(&format!("{directory}/cpu_capacity"), format!("{capacity}\n"))
            .file(&format!("{directory}/cpufreq/scaling_governor"), format!("{governor}\n"));
    }
    machine
}

#[test]
fn a_healthy_pi_5_is_fine() {
    let machine = pi();
    let report = machine.examine();
    assert!(machine.complaints().is_empty(), "{:#?}", report.findings);
    assert!(report.summary.contains("pcie card computes: AX650N, 7022 MiB free"), "{}", report.summary);
    let link = machine.finding("pcie.link");
    assert!(link.level == Level::Ok && link.text.contains("all that this slot has"), "{link:?}");
    assert!(machine.finding("pcie.max_read_request").text.contains("512"));
    let heat = machine.finding("speed.temperature");
    assert!(heat.text.contains("52 degrees") && heat.seen[0].value.contains("not documented"), "{heat:?}");
}

#[test]
fn a_pi_5_without_the_overlay_hears_the_lines_to_add() {
    let machine = Machine::new()
        .pi5()
        .with_driver()
        .file("/boot/firmware/config.txt", "dtparam=audio=on\n[cm5]\ndtparam=pciex1\n")
        .card(CardProbe::Failed {
            call: "axclrtSetDevice".into(),
            code: "0x80300181".into(),
            class: card::FailureClass::NoCard,
            reason: "no card is connected".into(),
        });
    assert_eq!(
        machine.complaints(),
        ["host.pi5_overlay problem", "pcie.card problem", "card.no_card problem"]
    );
    let overlay = machine.finding("host.pi5_overlay");
    assert!(overlay.commands[0].contains("dtparam=pciex1") && overlay.commands[0].contains("no-mip"));
    assert!(overlay.commands[1].contains("reboot"));
    let report = machine.examine();
    assert!(report.summary.contains("software card"), "auto falls back: {}", report.summary);
}

#[test]
fn library_without_driver_and_driver_without_card_are_told_apart() {
    let failed = |code: &str, class| CardProbe::Failed {
        call: "axclInit".into(),
        code: code.into(),
        class,
        reason: "words".into(),
    };
    let no_driver = pi().without("/proc/modules").card(failed("0x8030010B", card::FailureClass::NoDriver));
    assert_eq!(no_driver.complaints(), ["driver.modules problem", "card.no_driver problem"]);
    assert!(no_driver.finding("card.no_driver").seen[0].value.contains("0x8030010B"));
    let no_card = pi().card(failed("0x80300181", card::FailureClass::NoCard));
    assert_eq!(no_card.complaints(), ["card.no_card problem"]);
    assert!(no_card.finding("card.no_card").advice.contains("power off"));
}

#[test]
fn modules_that_the_kernel_lacks_are_told_from_modules_not_loaded() {
    let bare = || pi().without("/proc/modules").file("/proc/sys/kernel/osrelease", "6.12.1-v8\n");
    let built =
        bare().file("/lib/modules/6.12.1-v8/modules.dep", "extra/axcl_host.ko: extra/ax_pcie_msg.ko\n");
    assert_eq!(built.finding("driver.modules").commands[0], "sudo modprobe axcl_host");
    let unbuilt = bare().file("/lib/modules/6.12.1-v8/modules.dep", "kernel/fs/ext4.ko:\n");
    assert!(unbuilt.finding("driver.modules").commands[0].contains("linux-headers-6.12.1-v8"));
}

#[test]
fn nodes_that_are_closed_name_the_group_or_the_rule() {
    let group = std::os::unix::fs::MetadataExt::gid(&std::fs::metadata("/proc/self").unwrap());
    let closed = pi().mode("/dev/axcl_host", 0o600);
    assert_eq!(closed.complaints(), ["driver.nodes.permission problem"]);
    let finding = closed.finding("driver.nodes.permission");
    assert!(finding.commands[0].contains("udev") && finding.commands[0].contains("axcl_host"), "{finding:?}");
    if group != 0 {
        let by_group = pi().mode("/dev/axcl_host", 0o660).file("/etc/group", format!("npu:x:{group}:\n"));
        assert!(by_group.finding("driver.nodes.permission").commands[0].contains("usermod -aG npu"));
    }
    let mut root = pi().mode("/dev/axcl_host", 0o600);
    root.around.user = Some(User { id: 0, groups: vec![] });
    assert!(root.complaints().is_empty());
    let missing = pi().without("/dev/ax_mmb_dev");
    assert!(missing.finding("driver.nodes").text.contains("/dev/ax_mmb_dev"));
}

#[test]
fn libraries_are_judged_without_being_opened() {
    let some = library(AARCH64, &["axclInit", "axclFinalize"]);
    let old = pi().file("/usr/lib/axcl/libaxcl_rt.so", &some).finding("driver.library.symbols");
    assert!(old.level == Level::Problem && old.text.contains("axclrtEngineLoadFromFile"), "{old:?}");
    assert!(!old.text.contains("axclInit,"), "{old:?}");
    let broken = pi().file("/usr/lib/axcl/libaxcl_rt.so", "not a library");
    assert_eq!(broken.finding("driver.library").level, Level::Problem);
    let without_async: Vec<&str> = table::PCIE
        .required
        .iter()
        .chain(table::PCIE.optional)
        .copied()
        .filter(|name| *name != "axclrtEngineExecuteAsync")
        .collect();
    let older = pi().file("/usr/lib/axcl/libaxcl_rt.so", library(X86_64, &without_async));
    let finding = older.finding("driver.library");
    assert!(finding.level == Level::Ok && finding.text.contains("axclrtEngineExecuteAsync"), "{finding:?}");
}

#[test]
fn the_first_place_of_the_search_wins() {
    let symbols = table::PCIE.required.to_vec();
    let mut machine = pi().file("/opt/sdk/libaxcl_rt.so", library(AARCH64, &symbols));
    machine.around.driver_path = Some("/opt/sdk".into());
    let used = machine.finding("driver.library");
    assert!(used.seen[0].place == "/opt/sdk/libaxcl_rt.so" && used.seen[0].value.contains("--driver-path"));
    let other = machine.finding("driver.library.copy");
    assert!(other.seen[0].place.contains("/usr/lib/axcl") && other.seen[0].value == "V3.6.5", "{other:?}");
    let machine = pi().without("/etc/ld.so.conf.d/axcl.conf");
    assert!(machine.finding("driver.linker").commands[0].contains("ldconfig"));
}

#[test]
fn a_lost_link_needs_power_off() {
    let card = "/sys/devices/pci0000:00/0000:00:00.0/0000:01:00.0";
    let lost = pi().file(&format!("{card}/config"), [0xFF; 64]);
    assert_eq!(lost.complaints(), ["pcie.link_down problem"]);
    assert!(lost.finding("pcie.link_down").advice.contains("power the machine off"));
}

#[test]
fn links_below_what_is_possible_are_told() {
    let card = "/sys/devices/pci0000:00/0000:00:00.0/0000:01:00.0";
    let slow = pi().file(&format!("{card}/current_link_speed"), "2.5 GT/s PCIe\n");
    assert!(slow.finding("pcie.link").commands[0].contains("pciex1_gen=2"));
    let wide_slot = rk3588().file("/sys/devices/pci0000:00/0000:00:00.0/max_link_width", "4\n");
    assert_eq!(wide_slot.finding("pcie.link").level, Level::Warning);
    let mut config = vec![0; 256];
    config[0x10] = 8;
    config[0x34] = 0x70;
    config[0x70] = 0x10;
    config[0x79] = 0x50;
    let requests = pi().file(&format!("{card}/config"), config).finding("pcie.max_read_request");
    assert!(requests.text.contains("4096") && requests.commands[0].contains("setpci"), "{requests:?}");
}

#[test]
fn an_interrupt_on_a_slow_core_is_moved() {
    let machine = rk3588();
    assert_eq!(machine.complaints(), ["speed.interrupt warning"]);
    let finding = machine.finding("speed.interrupt");
    assert_eq!(finding.commands, ["echo 7 | sudo tee /proc/irq/143/smp_affinity_list"]);
    let moved = rk3588().file("/proc/irq/143/effective_affinity_list", "4\n");
    assert_eq!(moved.finding("speed.interrupt").level, Level::Ok);
    let governed = rk3588().file("/sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", "schedutil\n");
    let finding = governed.finding("speed.governor");
    assert!(finding.level == Level::Warning && finding.commands[0].contains("cpu5/"), "{finding:?}");
    assert!(!finding.commands[0].contains("cpu0/"), "slow cores may sleep: {finding:?}");
}

#[test]
fn too_little_contiguous_memory_is_enlarged_where_the_machine_keeps_its_settings() {
    let small = pi().file("/proc/meminfo", "CmaTotal: 65536 kB\nCmaFree: 60000 kB\n").finding("memory.cma");
    assert!(small.level == Level::Warning && small.commands[0].contains("cmdline.txt"), "{small:?}");
    let used = pi().file("/proc/meminfo", "CmaTotal: 262144 kB\nCmaFree: 4096 kB\n").finding("memory.cma");
    assert!(used.text.contains("4 MiB of 256 MiB"), "{used:?}");
}

#[test]
fn firmware_and_library_belong_together() {
    let with = |host: &str, firmware: &str| {
        let machine = pi();
        let CardProbe::Opened(facts) = machine.around.card.clone() else { unreachable!() };
        machine.card(CardProbe::Opened(CardFacts {
            version: host.into(),
            firmware: firmware.into(),
            ..facts
        }))
    };
    assert_eq!(with("V3.10.2", "V3.6.5_P1").complaints(), ["driver.pair problem"]);
    assert_eq!(with("V3.6.4", "V3.6.5").complaints(), ["driver.pair warning"]);
    let absent = pi().without("/lib/firmware/axcl/ax650_card.pac");
    assert_eq!(absent.complaints(), ["driver.firmware warning"]);
}

#[test]
fn the_kernel_log_is_read_for_bad_news() {
    let log = "3,1,2,-;[heartbeat_recv_thread, 578]: device 1: dead!\n3,1,3,-;device 1: dead!\n";
    let dead = pi().file("/dev/kmsg", log).finding("driver.log.dead");
    assert!(dead.text.contains("2 times") && dead.seen[0].value == "device 1: dead!", "{dead:?}");
    let file = pi().without("/dev/kmsg").file("/var/log/kern.log", "x kernel: device 1: dead!\n");
    assert!(file.finding("driver.log.dead").text.contains("once"));
    let none = pi().without("/dev/kmsg").finding("driver.log");
    assert_eq!(none.level, Level::Note);
}

#[test]
fn a_library_that_hangs_or_crashes_is_a_finding() {
    let hangs = pi().card(CardProbe::TimedOut { seconds: 20, call: "axclInit".into() });
    assert_eq!(hangs.complaints(), ["card.hangs problem"]);
    assert!(hangs.finding("card.hangs").text.contains("axclInit"));
    let crashes = CardProbe::Crashed { how: "signal 11".into(), call: String::new(), output: "oops".into() };
    let finding = pi().card(crashes).finding("card.crashes");
    assert!(finding.text.contains("signal 11") && finding.seen[1].value == "oops", "{finding:?}");
}

#[test]
fn a_warm_or_busy_card_is_told() {
    let machine = pi();
    let CardProbe::Opened(facts) = machine.around.card.clone() else { unreachable!() };
    let hot = CardFacts { temperature: Some(101_000), npu_load: Some(97), free_memory: 100 << 20, ..facts };
    let machine = machine.card(CardProbe::Opened(hot));
    assert_eq!(machine.complaints(), ["speed.temperature warning"]);
    assert!(machine.finding("speed.npu_load").text.contains("97 %"));
    assert_eq!(machine.finding("card.memory").level, Level::Note);
}

/// Runs what a finding advises, in the machine's own tree.
fn obey(machine: &Machine, command: &str) {
    let here = machine.around.root.path("/boot").display().to_string();
    let script = format!("sudo() {{ \"$@\"; }}\n{}", command.replace("/boot", &here));
    let done =
        std::process::Command::new("sh").arg("-c").arg(script).stdout(std::process::Stdio::null()).status();
    assert!(done.unwrap().success(), "{command}");
}

#[test]
fn advised_lines_count_whatever_the_last_section_is_and_wherever_the_file_lies() {
    for place in ["/boot/firmware/config.txt", "/boot/config.txt"] {
        let machine = pi().without("/boot/firmware/config.txt").file(place, "[cm4]\notg_mode=1");
        obey(&machine, &machine.finding("host.pi5_overlay").commands[0]);
        assert_eq!(machine.finding("host.pi5_overlay").level, Level::Ok, "{place}");
    }
    let nothing = Machine::new().pi5().file("/boot/firmware/config.txt", "[cm4]\n");
    obey(&nothing, &nothing.finding("card.none").commands[0]);
    assert_eq!(nothing.with_card().with_driver().finding("host.pi5_overlay").level, Level::Ok);
    let card = "/sys/devices/pci0000:00/0000:00:00.0/0000:01:00.0";
    let slow = pi().file(&format!("{card}/current_link_speed"), "2.5 GT/s PCIe\n");
    assert!(slow.finding("pcie.link").commands[0].contains("[all]"));
}

#[test]
fn no_contiguous_memory_is_a_warning_where_it_is_known_to_fail() {
    let without = "MemAvailable: 7000000 kB\n";
    assert_eq!(pi().file("/proc/meminfo", without).finding("memory.cma").level, Level::Warning);
    let elsewhere = Machine::new().with_card().with_driver().finding("memory.cma");
    assert_eq!((elsewhere.level, elsewhere.commands.len()), (Level::Note, 0), "{elsewhere:?}");
}

#[test]
fn a_copy_of_files_is_not_judged_by_who_looks_at_it() {
    let mut copy = pi().mode("/dev/axcl_host", 0o600);
    copy.around.user = None;
    copy.around.models = None;
    copy.around.card = CardProbe::Skipped;
    assert!(copy.complaints().is_empty(), "{:?}", copy.complaints());
    let report = copy.examine();
    assert!(report.findings.iter().all(|finding| finding.group != Group::Models), "{:#?}", report.findings);
    assert!(report.get("server.settings").is_none() && report.get("server.port").is_some());
}
