//! Makes go wrong what was asked for, where a call begins.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::trouble::Trouble;
use crate::call::Call;
use crate::fault::Fault;
use crate::status::{self, Common, Part};

/// Functions that load a model.
const LOADS: [&str; 6] = [
    "axclrtEngineLoadFromFile",
    "axclrtEngineLoadFromMem",
    "AX_ENGINE_CreateHandle",
    "AX_ENGINE_CreateHandleV2",
    "AXCL_ENGINE_CreateHandle",
    "AXCL_ENGINE_CreateHandleV2",
];
/// Functions with which a program begins anew.
const BEGINNINGS: [&str; 2] = ["axclInit", "AX_SYS_Init"];
/// The library's own memory on the host: it can be freed without a card.
const WITHOUT_CARD: [&str; 1] = ["axclrtFreeHost"];

/// What shall go wrong.
#[derive(Default)]
pub(crate) struct Injection {
    troubles: Vec<Trouble>,
    lost: Option<Lost>,
    delays: BTreeMap<String, Duration>,
}

/// A card that dropped off the bus.
#[derive(Debug, Clone, Copy)]
struct Lost {
    /// What every call returns. `None`: as the interface of the function has it.
    code: Option<i32>,
    /// It is there again, for a program that begins anew.
    back: bool,
}

/// What happens to one call.
#[derive(Default)]
struct Effect {
    delay: Option<Duration>,
    /// For how long it does not return.
    hang: Option<Duration>,
    code: Option<(i32, &'static str)>,
    /// The card is there again, and empty.
    renewed: bool,
}

impl Injection {
    pub(super) fn add(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn set_delay(&mut self, function: &str, delay: Duration) {
        self.delays.insert(function.to_owned(), delay);
    }

    pub(super) fn set_lost(&mut self, code: Option<i32>) {
        self.lost = Some(Lost { code, back: false });
    }

    /// The card is as it was.
    pub(super) fn forget_loss(&mut self) {
        self.lost = None;
    }

    /// The card can be used again by a program that begins anew.
    pub(super) fn bring_back(&mut self) {
        if let Some(lost) = &mut self.lost {
            lost.back = true;
        }
    }

    pub(crate) fn firmware_differs(&self) -> bool {
        self.troubles.contains(&Trouble::FirmwareMismatch)
    }

    /// Whether nothing is free while so many models are loaded.
    pub(crate) fn is_full(&self, models: usize) -> bool {
        let full =
            |trouble: &Trouble| matches!(trouble, Trouble::MemoryFull { models: limit } if models >= *limit);
        self.troubles.iter().any(full)
    }

    /// Counts a run that has a tensor `name`; returns whether its values are to be NaN.
    pub(super) fn is_nan(&mut self, name: &str) -> bool {
        let mut hit = false;
        self.troubles.retain_mut(|trouble| match trouble {
            Trouble::NotANumber { tensor, runs } if tensor == name => {
                hit |= runs.count();
                !runs.are_over()
            }
            _ => true,
        });
        hit
    }

    /// Counts a run; returns the code with which it is to fail.
    fn run_code(&mut self) -> Option<i32> {
        let mut found = None;
        self.troubles.retain_mut(|trouble| match trouble {
            Trouble::FailRun { runs, code } => {
                if runs.count() {
                    found.get_or_insert(*code);
                }
                !runs.are_over()
            }
            _ => true,
        });
        found
    }

    /// Counts a call of `function` while `models` are loaded.
    fn effect(&mut self, function: &str, models: usize) -> Effect {
        let mut effect = Effect { delay: self.delays.get(function).copied(), ..Effect::default() };
        let lost = &mut self.lost;
        self.troubles.retain_mut(|trouble| match trouble {
            Trouble::Fail { function: name, calls, code } if name == function => {
                if calls.count() {
                    effect.code.get_or_insert((*code, "a test made this call fail"));
                }
                !calls.are_over()
            }
            Trouble::Hang { function: name, calls, limit } if name == function => {
                if calls.count() {
                    effect.hang = Some(limit.unwrap_or(Duration::MAX));
                }
                !calls.are_over()
            }
            Trouble::Lost { function: name, nth, returns }
                if name.as_ref().is_none_or(|name| name == function) =>
            {
                *nth = nth.saturating_sub(1);
                if *nth == 0 {
                    lost.get_or_insert(Lost { code: None, back: *returns });
                }
                *nth > 0
            }
            _ => true,
        });
        self.lasting(function, models, &mut effect);
        effect
    }

    /// What does not depend on a count.
    fn lasting(&mut self, function: &str, models: usize, effect: &mut Effect) {
        let loads = LOADS.contains(&function);
        for trouble in &self.troubles {
            let code = match trouble {
                Trouble::NoAsync if function == "axclrtEngineExecuteAsync" => {
                    (status::common(Part::Engine, Common::Unsupported), "runs cannot be queued")
                }
                Trouble::MemoryFull { models: limit } if loads && models >= *limit => {
                    (status::exhausted(function), "device memory exhausted, as a test wished")
                }
                Trouble::FirmwareMismatch
                    if function.starts_with("axclrtEngineLoad") || function == "axclrtEngineInit" =>
                {
                    let reason = "the card's software does not understand the host's";
                    (status::common(Part::Engine, Common::Decode), reason)
                }
                _ => continue,
            };
            effect.code.get_or_insert(code);
        }
        if let Some(lost) = self.lost {
            if lost.back && BEGINNINGS.contains(&function) {
                self.lost = None;
                effect.renewed = true;
            } else if !WITHOUT_CARD.contains(&function) {
                let code = lost.code.unwrap_or_else(|| code_of_loss(function));
                effect.code = Some((code, "the card is gone"));
            }
        }
    }
}

/// What a function returns without a card. With AXCL that the request could not be sent, and at the start that no
/// device is connected (HOST `task/axcl_task.cpp`, `device/device_manager.cpp`). The library does not return at all
/// where it waits for an answer (HOST `task/task.hpp`): a test that wants this makes the call [hang](Trouble::Hang). On
/// the chip, where nothing is published, a failure of the hardware or of the operating system: our choice.
fn code_of_loss(function: &str) -> i32 {
    if function.starts_with("AX_ENGINE") {
        0x8006_0087_u32.cast_signed()
    } else if function.starts_with("AX_SYS") {
        0x800B_0030_u32.cast_signed()
    } else if BEGINNINGS.contains(&function) {
        status::DEVICE_NO_CONNECT
    } else {
        status::TASK_EXECUTE_FAIL
    }
}

/// Calls that do not return.
#[derive(Default)]
pub(crate) struct Hangs {
    state: Mutex<Hanging>,
    released: Condvar,
}

#[derive(Default)]
struct Hanging {
    calls: usize,
    /// How often all were released.
    releases: u64,
}

impl Hangs {
    /// Calls that hang now.
    pub(super) fn calls(&self) -> usize {
        self.state.lock().calls
    }

    /// Lets all calls that hang now go on.
    pub(super) fn release(&self) {
        self.state.lock().releases += 1;
        self.released.notify_all();
    }

    fn hang(&self, limit: Duration) {
        // Too late to be a time: never.
        let until = Instant::now().checked_add(limit);
        let mut state = self.state.lock();
        let entered_at = state.releases;
        state.calls += 1;
        while state.releases == entered_at {
            match until {
                None => self.released.wait(&mut state),
                Some(until) => {
                    if self.released.wait_until(&mut state, until).timed_out() {
                        break;
                    }
                }
            }
        }
        state.calls -= 1;
    }
}

/// Does to a run what a test has prepared for it.
pub(crate) fn fail_run(call: &Call<'_>) -> Result<(), Fault> {
    let code = call.card.log.lock().injection.run_code();
    code.map_or(Ok(()), |code| Err(Fault::plain(code, "a test made this run fail")))
}

/// Does to a call what a test has prepared for it.
pub(crate) fn interfere(call: &Call<'_>) -> Result<(), Fault> {
    let models =
        || call.card.state.lock().devices_mut().iter().map(|device| device.engines.models.len()).sum();
    let models = if LOADS.contains(&call.name) { models() } else { 0 };
    let effect = call.card.log.lock().injection.effect(call.name, models);
    if let Some(delay) = effect.delay {
        thread::sleep(delay);
    }
    if let Some(limit) = effect.hang {
        call.card.hangs.hang(limit);
    }
    if effect.renewed {
        call.card.state.lock().renew();
    }
    effect.code.map_or(Ok(()), |(code, reason)| Err(Fault::plain(code, reason)))
}
