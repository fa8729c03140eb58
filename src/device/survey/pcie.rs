//! The survey over AXCL.

use std::ffi::{CStr, c_char};
use std::ptr;

use ax650_sys::code::VendorCode;
use ax650_sys::vendor::{
    AXCL_ERR_SYSCTRL_EXECUTE_FAIL, AXCL_ERR_TASK_TIMEOUT, ax_pcie_table, axclError, axclrtDeviceList,
    axclrtDeviceProperties,
};

use super::{Survey, SurveyError};

const KIB: u64 = 1 << 10;

/// Surveys card `index` of the list. What was opened is given back, whatever fails.
pub(super) fn survey(
    table: &ax_pcie_table,
    index: u32,
    watch: &mut dyn FnMut(&str),
) -> Result<Survey, SurveyError> {
    let mut session = Session::new(table, watch);
    session.initialise()?;
    let found = session.ask(index);
    let ended = session.finalise();
    let mut found = found?;
    ended?;
    found.absent = absent(table);
    Ok(found)
}

/// The vendor's functions, each call told before it is made.
pub(super) struct Session<'a> {
    pub(super) table: &'a ax_pcie_table,
    watch: &'a mut dyn FnMut(&str),
    /// Why no call is made any more.
    over: Option<SurveyError>,
}

impl<'a> Session<'a> {
    pub(super) fn new(table: &'a ax_pcie_table, watch: &'a mut dyn FnMut(&str)) -> Self {
        Self { table, watch, over: None }
    }

    /// From here on every call fails with this error without being made: a run may still use what it was given, so
    /// nothing may be given back until the process ends.
    pub(super) fn abandon(&mut self, error: &SurveyError) {
        self.over = Some(error.clone());
    }

    pub(super) fn initialise(&mut self) -> Result<(), SurveyError> {
        self.call("axclInit", |table| {
            let function = table.axclInit?;
            // SAFETY: the parameter is optional; null means the defaults (abi.md 9: measured).
            Some(unsafe { function(ptr::null()) })
        })
    }

    pub(super) fn finalise(&mut self) -> Result<(), SurveyError> {
        self.call("axclFinalize", |table| {
            let function = table.axclFinalize?;
            // SAFETY: takes nothing; the library was initialised by this session and nothing of it is in use.
            Some(unsafe { function() })
        })
    }

    fn ask(&mut self, index: u32) -> Result<Survey, SurveyError> {
        let (device, cards) = self.take(index)?;
        let found = self.properties(device);
        let released = self.release(device);
        let found = found?;
        released?;
        Ok(Survey { cards, index, ..found })
    }

    /// Binds card `index` of the list to this thread; its number for the library, and how many cards there are.
    pub(super) fn take(&mut self, index: u32) -> Result<(i32, u32), SurveyError> {
        let mut list = axclrtDeviceList::default();
        self.call("axclrtGetDeviceList", |table| {
            let function = table.axclrtGetDeviceList?;
            // SAFETY: writes one structure of this layout (checked by the bindings), a local.
            Some(unsafe { function(&raw mut list) })
        })?;
        let known = list.devices.iter().take(usize::try_from(list.num).unwrap_or(0));
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let device = known.copied().nth(place).ok_or(SurveyError::NoSuchCard { cards: list.num, index })?;
        self.call("axclrtSetDevice", |table| {
            let function = table.axclrtSetDevice?;
            // SAFETY: takes a number, one of the library's own list.
            Some(unsafe { function(device) })
        })?;
        Ok((device, list.num))
    }

    pub(super) fn release(&mut self, device: i32) -> Result<(), SurveyError> {
        self.call("axclrtResetDevice", |table| {
            let function = table.axclrtResetDevice?;
            // SAFETY: takes the number that `take` gave; this thread uses nothing of the device any more.
            Some(unsafe { function(device) })
        })
    }

    /// What the card tells; absent functions leave their fields empty.
    fn properties(&mut self, device: i32) -> Result<Survey, SurveyError> {
        let mut found = Survey {
            version: self.text("axclrtGetFullVersion", |table| table.axclrtGetFullVersion),
            soc: self.text("axclrtGetSocName", |table| table.axclrtGetSocName),
            ..Survey::default()
        };
        if self.table.axclrtGetDeviceProperties.is_none() {
            return Ok(found);
        }
        let mut properties = axclrtDeviceProperties::default();
        let asked = self.call("axclrtGetDeviceProperties", |table| {
            let function = table.axclrtGetDeviceProperties?;
            // SAFETY: writes one structure of this layout (checked by the bindings), a local.
            Some(unsafe { function(device, &raw mut properties) })
        });
        match asked {
            Err(SurveyError::Call { code, .. }) if is_of_a_shell(code) => return Ok(found),
            asked => asked?,
        }
        found.firmware = text(&properties.swVersion);
        found.total_memory = u64::from(properties.totalCmmSize) * KIB;
        found.free_memory = u64::from(properties.freeCmmSize) * KIB;
        found.temperature = Some(properties.temperature);
        found.npu_load = Some(properties.npuLoading);
        found.cpu_load = Some(properties.cpuLoading);
        Ok(found)
    }

    /// Makes a call, named for whoever watches. A function that is absent has nothing to fail; a table that came from
    /// the loader has all required ones.
    pub(super) fn call(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&ax_pcie_table) -> Option<axclError>,
    ) -> Result<(), SurveyError> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        (self.watch)(name);
        match call(self.table) {
            Some(0) | None => Ok(()),
            Some(code) => Err(SurveyError::Call { call: name, code: VendorCode(code) }),
        }
    }

    fn text(
        &mut self,
        name: &'static str,
        function: impl FnOnce(&ax_pcie_table) -> Option<unsafe extern "C" fn() -> *const c_char>,
    ) -> String {
        let Some(function) = function(self.table) else { return String::new() };
        (self.watch)(name);
        // SAFETY: takes nothing; the library is initialised.
        let text = unsafe { function() };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: not null, NUL-terminated by the vendor's contract, copied at once.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

/// Whether a command on the card failed or took longer than its second: the card may be busy, and is there (HOST
/// `device/axcl_device.cpp`, `system/control.cpp`).
fn is_of_a_shell(code: VendorCode) -> bool {
    matches!(code.bits(), AXCL_ERR_TASK_TIMEOUT | AXCL_ERR_SYSCTRL_EXECUTE_FAIL)
}

fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Optional functions that make a difference to ax650 and are absent.
fn absent(table: &ax_pcie_table) -> Vec<&'static str> {
    let optional = [
        ("axclrtEngineExecuteAsync", table.axclrtEngineExecuteAsync.is_none()),
        ("axclrtCreateStream", table.axclrtCreateStream.is_none()),
        ("axclrtSynchronizeStream", table.axclrtSynchronizeStream.is_none()),
        ("axclrtMemcpyAsync", table.axclrtMemcpyAsync.is_none()),
        ("axclrtMallocHost", table.axclrtMallocHost.is_none()),
        ("axclrtGetDeviceProperties", table.axclrtGetDeviceProperties.is_none()),
        ("axclrtGetSocName", table.axclrtGetSocName.is_none()),
        ("axclrtGetFullVersion", table.axclrtGetFullVersion.is_none()),
    ];
    optional.into_iter().filter_map(|(name, absent)| absent.then_some(name)).collect()
}
