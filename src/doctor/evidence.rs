//! Signs of a card, gathered first: they decide which probes have something to say.

use super::Surroundings;
use super::libraries::{self, FoundLibrary};
use super::nodes::{self, FoundNode};
use super::pci::{self, PciCard};
use super::{modules, pi};
use crate::device::{DeviceChoice, Interface};

/// What hints at a card.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Axera devices on the PCIe bus.
    pub(super) cards: Vec<PciCard>,
    /// Kernel modules of the card's driver that are loaded.
    pub(super) modules: Vec<String>,
    /// Device nodes of the card's driver.
    pub(super) nodes: Vec<FoundNode>,
    /// The vendor's libraries for hosts of cards.
    pub(super) card_libraries: Vec<FoundLibrary>,
    /// The vendor's libraries for its own chips.
    pub(super) board_libraries: Vec<FoundLibrary>,
    /// Device nodes of the vendor's own Linux.
    pub(super) board_nodes: Vec<FoundNode>,
    /// The order in which `auto` tries cards there.
    pub(super) order_of_auto: [Interface; 2],
    /// What kind of Raspberry Pi 5 this is, if it is one.
    pub(super) pi5: Option<String>,
}

impl Evidence {
    pub(super) fn gather(around: &Surroundings) -> Self {
        Self {
            cards: pci::cards(&around.root),
            modules: modules::loaded(&around.root),
            nodes: nodes::find(&around.root, nodes::CARD),
            card_libraries: libraries::find(around, libraries::CARD),
            board_libraries: libraries::find(around, libraries::BOARD_ENGINE),
            board_nodes: nodes::find(&around.root, nodes::BOARD),
            order_of_auto: Interface::order_on(around.root.exists(Interface::HOST_NODE)),
            pi5: pi::model(&around.root),
        }
    }

    /// Whether this is the chip itself: its memory manager has a device node only there.
    pub(super) fn is_board(&self) -> bool {
        !self.board_nodes.is_empty()
    }

    /// Whether a driver was installed or a card put in: then it should work.
    pub(super) fn hints_at_card(&self) -> bool {
        !(self.cards.is_empty()
            && self.modules.is_empty()
            && self.nodes.is_empty()
            && self.card_libraries.is_empty())
    }

    /// Whether findings about a PCIe card are of interest.
    pub(super) fn card_matters(&self, around: &Surroundings) -> bool {
        let goes_first = !self.is_board() || self.order_of_auto[0] == Interface::Pcie;
        matches!(around.device, DeviceChoice::Pcie(_)) || (self.hints_at_card() && goes_first)
    }

    /// Whether findings about the board's own drivers are of interest.
    pub(super) fn board_matters(&self, around: &Surroundings) -> bool {
        matches!(around.device, DeviceChoice::Board) || self.is_board()
    }
}
