//! The card on the PCIe bus, from `/sys/bus/pci/devices`.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings, pi};

const DEVICES: &str = "/sys/bus/pci/devices";

/// PCI vendor id of Axera and device id of the AX650 (vendor document `doc_guide_faq`).
const VENDOR: u64 = 0x1F4B;
const AX650: u64 = 0x0650;

/// Name under which the vendor's driver binds the card (ibid.).
const DRIVER: &str = "ax_pcie_dev_host";

/// The one size of read requests that works (VVK: 128 and 256 crash the driver, 4096 is 30 % slower).
const READ_REQUEST: u32 = 512;

/// The card can do 5 GT/s (Gen2) on two lanes (`doc_guide_faq`).
const FULL_SPEED: f64 = 5.0;

/// A device of Axera.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct PciCard {
    /// `0000:01:00.0`.
    pub(super) address: String,
    /// PCI device id.
    device: u64,
    /// Driver that is bound to it.
    driver: Option<String>,
    /// Gigatransfers per second now, and at most.
    speed: Option<(f64, f64)>,
    /// Lanes now, and at most.
    width: Option<(u64, u64)>,
    /// Lanes of the port that the card is plugged into.
    port_width: Option<u64>,
    /// Bytes of a read request; readable by root only.
    read_request: Option<u32>,
    /// Whether the device answers on the bus.
    link: Link,
    /// Numbers of its interrupts.
    pub(super) interrupts: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Unknown,
    Up,
    /// All ones: nobody answers.
    Silent,
    /// The system has addresses for it that the device no longer knows; `lspci` shows such BARs as `[virtual]`.
    Forgotten,
}

/// All Axera devices on the bus.
pub(super) fn cards(root: &Root) -> Vec<PciCard> {
    let is_axera = |address: &String| id(root, address, "vendor") == Some(VENDOR);
    root.names(DEVICES).into_iter().filter(is_axera).map(|address| PciCard::read(root, address)).collect()
}

fn id(root: &Root, address: &str, file: &str) -> Option<u64> {
    hexadecimal(&root.text(format!("{DEVICES}/{address}/{file}"))?)
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

impl PciCard {
    fn read(root: &Root, address: String) -> Self {
        let directory = format!("{DEVICES}/{address}");
        let text = |file: &str| root.text(format!("{directory}/{file}"));
        let speed = |file: &str| text(file)?.split_whitespace().next()?.parse::<f64>().ok();
        let lanes = |file: &str| root.number(format!("{directory}/{file}")).filter(|&n| n > 0 && n <= 32);
        let config = root.bytes(format!("{directory}/config")).unwrap_or_default();
        let interrupts = root.names(format!("{directory}/msi_irqs"));
        // The entry is a link into the tree of devices, where the port is the directory above.
        let port = root.followed(&directory).and_then(|real| Some(real.parent()?.to_owned()));
        let port_width = port.and_then(|port| root.number(port.join("max_link_width")));
        Self {
            device: id(root, &address, "device").unwrap_or(0),
            driver: root.link_name(format!("{directory}/driver")),
            speed: speed("current_link_speed").zip(speed("max_link_speed")),
            width: lanes("current_link_width").zip(lanes("max_link_width")),
            port_width,
            read_request: read_request(&config),
            link: link(&config, &text("resource").unwrap_or_default()),
            interrupts: interrupts.iter().filter_map(|name| name.parse().ok()).collect(),
            address,
        }
    }

    fn place(&self, file: &str) -> String {
        format!("{DEVICES}/{}/{file}", self.address)
    }

    fn findings(&self, root: &Root, evidence: &Evidence) -> Vec<Finding> {
        let name = if self.device == AX650 { "AX650N or AX8850" } else { "Axera device of unknown kind" };
        let mut findings = vec![
            Finding::new("pcie.card", Group::Bus, Level::Ok, format!("{name} at {}", self.address))
                .seen(self.place("vendor"), format!("{VENDOR:#06x}:{:#06x}", self.device)),
        ];
        if let Some(lost) = self.lost() {
            // Whatever else the bus says of a silent card is old.
            findings.push(lost);
            return findings;
        }
        findings.extend(self.binding(evidence));
        findings.extend(self.link_speed(root, evidence));
        findings.extend(self.request_size());
        findings
    }

    fn lost(&self) -> Option<Finding> {
        let (text, value) = match self.link {
            Link::Up | Link::Unknown => return None,
            Link::Silent => ("does not answer on the bus: the link is down", "all bytes are 0xff"),
            Link::Forgotten => {
                ("was reset behind the system's back: its address registers are empty", "BARs are 0")
            }
        };
        Some(
            Finding::new(
                "pcie.link_down",
                Group::Bus,
                Level::Problem,
                format!("the card at {} {text}", self.address),
            )
            .seen(self.place("config"), value)
            .advice(
                "power the machine off (a restart does not reset the card), check that the card sits firmly, is cooled, \
                 and that the machine never sleeps (the card cannot), then power it on",
            )
            .command("sudo systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target")
            .command("sudo poweroff"),
        )
    }

    fn binding(&self, evidence: &Evidence) -> Option<Finding> {
        let place = self.place("driver");
        Some(match self.driver.as_deref() {
            Some(DRIVER) => {
                Finding::new("pcie.driver", Group::Bus, Level::Ok, "the vendor's driver has taken the card")
                    .seen(place, DRIVER)
            }
            Some(other) => Finding::new(
                "pcie.driver",
                Group::Bus,
                Level::Problem,
                format!("the driver {other} has taken the card at {}, not {DRIVER}", self.address),
            )
            .seen(place, other)
            .advice("unbind it, so that the vendor's driver can take it")
            .command(format!("echo {} | sudo tee /sys/bus/pci/drivers/{other}/unbind", self.address))
            .command("sudo modprobe ax_pcie_host_dev"),
            // The probe of the modules says what to do.
            None if evidence.modules.is_empty() => return None,
            None => Finding::new(
                "pcie.driver",
                Group::Bus,
                Level::Problem,
                format!("the driver is loaded but did not take the card at {}", self.address),
            )
            .seen(place, "no driver")
            .advice("see what the driver says while it is loaded")
            .command("sudo dmesg | grep -iE 'ax_pcie|axcl|pcie'"),
        })
    }

    fn link_speed(&self, root: &Root, evidence: &Evidence) -> Option<Finding> {
        let ((speed, most), (lanes, most_lanes)) = self.speed.zip(self.width)?;
        let level = |level, text: String| {
            Finding::new("pcie.link", Group::Bus, level, text)
                .seen(self.place("current_link_speed"), format!("{speed} GT/s of {most} GT/s"))
                .seen(self.place("current_link_width"), format!("x{lanes} of x{most_lanes}"))
        };
        if speed < most.min(FULL_SPEED) {
            let finding = level(
                Level::Warning,
                format!(
                    "the link runs at {speed} GT/s although the card can do {} GT/s",
                    most.min(FULL_SPEED)
                ),
            );
            return Some(if evidence.pi5.is_some() {
                finding
                    .advice("let the Pi use Gen 2, and restart")
                    .command(pi::append(root, &["dtparam=pciex1_gen=2"]))
                    .command("sudo reboot")
            } else {
                finding.advice("check the seat of the card, its cable or adapter, and the PCIe generation in the firmware settings")
            });
        }
        if lanes >= most_lanes {
            return Some(level(Level::Ok, format!("link at full speed: {speed} GT/s x{lanes}")));
        }
        let host_is_limit =
            self.port_width.is_some_and(|port| port <= lanes) || (evidence.pi5.is_some() && lanes == 1);
        Some(if host_is_limit {
            level(
                Level::Ok,
                format!(
                    "link at {speed} GT/s x{lanes}: all that this slot has (the card could do x{most_lanes})"
                ),
            )
        } else {
            level(Level::Warning, format!("the link uses {lanes} of the card's {most_lanes} lanes")).advice(
                "harmless if the slot has no more lanes (M.2 slots of RK3588 boards often have one); else reseat the card",
            )
        })
    }

    fn request_size(&self) -> Option<Finding> {
        let found = self.read_request?;
        let place = format!("{} (DevCtl)", self.place("config"));
        let value = format!("MaxReadReq {found} bytes");
        Some(if found == READ_REQUEST {
            Finding::new("pcie.max_read_request", Group::Bus, Level::Ok, "read requests of 512 bytes")
                .seen(place, value)
        } else {
            let works =
                if found > READ_REQUEST { "is known to be slow" } else { "is known to crash the driver" };
            let level = if found > READ_REQUEST { Level::Warning } else { Level::Problem };
            Finding::new(
                "pcie.max_read_request",
                Group::Bus,
                level,
                format!("read requests of {found} bytes: anything but {READ_REQUEST} {works}"),
            )
            .seen(place, value)
            .advice("set it back: bits 14 to 12 of the device control register to 2")
            .command(format!("sudo setpci -s {} CAP_EXP+8.w=2000:7000", self.address))
        })
    }
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if evidence.cards.is_empty() && evidence.card_matters(around) {
        let finding = Finding::new("pcie.card", Group::Bus, Level::Problem, "no Axera card on the PCIe bus")
            .seen(DEVICES, "no device with vendor 0x1f4b");
        let finding = if evidence.pi5.is_some() {
            finding.advice(
                "check the overlay (see Machine), the flat cable in both sockets, and the card's power; then power off and on",
            )
        } else {
            finding.advice("power off, check that the card sits firmly in a slot with PCIe lanes (not SATA only) and has power, power on")
        };
        return vec![finding.command("lspci -d 1f4b:")];
    }
    evidence.cards.iter().flat_map(|card| card.findings(&around.root, evidence)).collect()
}

/// What the beginning of the configuration space (64 bytes for ordinary users) says about the link.
fn link(config: &[u8], resource: &str) -> Link {
    let Some(header) = config.get(..64) else { return Link::Unknown };
    if header.iter().all(|&byte| byte == 0xFF) {
        return Link::Silent;
    }
    // The first line of `resource` is BAR 0 as the system has it: start, end, flags.
    let start = resource.split_whitespace().next().and_then(hexadecimal).unwrap_or(0);
    let registers_empty = header[0x10..0x28].iter().all(|&byte| byte == 0);
    if start != 0 && registers_empty { Link::Forgotten } else { Link::Up }
}

/// `MaxReadReq` of the PCI Express capability, if the configuration space was readable that far.
fn read_request(config: &[u8]) -> Option<u32> {
    const PCI_EXPRESS: u8 = 0x10;
    let mut at = usize::from(*config.get(0x34)?);
    // A chain in 256 bytes has at most 48 links; a damaged one may be a circle.
    for _ in 0..48 {
        if at < 0x40 {
            return None;
        }
        if *config.get(at)? == PCI_EXPRESS {
            let control = u16::from_le_bytes([*config.get(at + 8)?, *config.get(at + 9)?]);
            return Some(128 << u32::from((control >> 12) & 7));
        }
        at = usize::from(*config.get(at + 1)?);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Configuration space as the vendor's document prints it: power management, MSI, PCI Express at 0x70.
    fn config() -> Vec<u8> {
        let mut config = vec![0; 256];
        config[..4].copy_from_slice(&[0x4B, 0x1F, 0x50, 0x06]);
        config[0x10..0x14].copy_from_slice(&[0x08, 0, 0, 0xB6]);
        config[0x34] = 0x40;
        config[0x40..0x42].copy_from_slice(&[0x01, 0x50]);
        config[0x50..0x52].copy_from_slice(&[0x05, 0x70]);
        config[0x70..0x72].copy_from_slice(&[0x10, 0x00]);
        config[0x78..0x7A].copy_from_slice(&[0x1F, 0x20]);
        config
    }

    #[test]
    fn the_read_request_is_found_along_the_capabilities() {
        let mut config = config();
        assert_eq!(read_request(&config), Some(512));
        config[0x79] = 0x50;
        assert_eq!(read_request(&config), Some(4096));
        assert_eq!(read_request(&config[..64]), None);
        config[0x51] = 0x40;
        assert_eq!(read_request(&config), None, "a circle ends");
    }

    #[test]
    fn a_lost_link_shows_in_the_header() {
        let resource = "0x00000000b6000000 0x00000000b67fffff 0x0000000000042208";
        assert_eq!(link(&config(), resource), Link::Up);
        assert_eq!(link(&[0xFF; 64], resource), Link::Silent);
        let mut empty = config();
        empty[0x10..0x28].fill(0);
        assert_eq!(link(&empty, resource), Link::Forgotten);
        assert_eq!(link(&empty, "0x0 0x0 0x0"), Link::Up);
        assert_eq!(link(&[], resource), Link::Unknown);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise: Vec<u8>, resource: String) {
            link(&noise, &resource);
            read_request(&noise);
        }
    }
}
