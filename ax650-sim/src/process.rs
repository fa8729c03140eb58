//! The cards of a process that calls the vendor's functions without filling a table: programs linked with the shared
//! libraries of the software card.
//!
//! There are two, one for each interface: a host with a PCIe card is not the board, so what a program allocates
//! through `AX_SYS` is nothing that AXCL knows. All libraries and threads of the process share them. They
//! are made at the first call that reaches one, and live until the process ends: programs leave a great deal to that
//! end (devices that are set, running engines), which is no reason to stop one.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::card::Card;
use crate::fault::Fault;
use crate::options::CardOptions;
use crate::status;
use crate::violations::Violation;

/// What the cards of a process are like.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Of each card.
    pub options: CardOptions,
    /// Told each breach of the vendor's contract when it happens, on the thread of the call.
    pub on_violation: Option<fn(&Violation)>,
    /// Breaches that a real card would not notice make their call fail too.
    pub fatal: bool,
    /// What goes wrong on each of them.
    #[cfg(any(test, feature = "testing"))]
    pub troubles: crate::control::Troubles,
}

/// Asked once, at the first call. `Err` is why there can be no card: every call then fails with the vendor's code for a
/// configuration that cannot be loaded.
pub type Source = fn() -> Result<Setup, String>;

static SOURCE: Mutex<Option<Source>> = Mutex::new(None);
static CARDS: OnceLock<Cards> = OnceLock::new();

struct Cards {
    host: Arc<Card>,
    chip: Arc<Card>,
}

/// Sets who describes the cards of this process. Without one they have default options; later than the first call it
/// changes nothing.
pub fn set_source(source: Source) {
    *SOURCE.lock() = Some(source);
}

/// The card that a call of `function` reaches.
pub(crate) fn card(function: &str) -> Arc<Card> {
    let cards = CARDS.get_or_init(|| {
        let source = *SOURCE.lock();
        let setup = source.map_or_else(|| Ok(Setup::default()), |source| source());
        Cards { host: Card::of_process(setup.clone()), chip: Card::of_process(setup) }
    });
    let chosen = if function.starts_with("AX_") { &cards.chip } else { &cards.host };
    Arc::clone(chosen)
}

/// The failure of every call of a process whose configuration is wrong.
pub(crate) fn refusal(function: &str, reason: &str) -> Fault {
    use crate::board::code::{CMM_NOT_READY, NPU_NOT_INIT};
    let code = match function {
        name if name.starts_with("AX_ENGINE_") => NPU_NOT_INIT,
        name if name.starts_with("AX_") => CMM_NOT_READY,
        _ => status::CONFIG_LOAD,
    };
    Fault::plain(code, reason)
}
