//! Lines that programs write into the vendor's log, through `axclAppLog` and `AX_SYS_LogPrint`.
//!
//! A library prints nothing by itself: without a [sink](set_log_sink) the lines are dropped. Levels are
//! the vendor's own and differ by interface; a line below the level in force is dropped too.

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::RwLock;

/// The interface that a line came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// `axclAppLog`; levels: trace 0, debug 1, info 2, warning 3, error 4, critical 5.
    Axcl,
    /// `AX_SYS_LogPrint` and its kin; levels as of syslog: emergency 0 to debug 7.
    Sys,
}

/// One line of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// The interface, which says what `level` means.
    pub source: LogSource,
    /// The vendor's number.
    pub level: i32,
    /// Function, file or module, if the program gave one.
    pub tag: Option<&'a CStr>,
    /// The text, without a line end of ours; at most 1023 bytes.
    pub text: &'a CStr,
}

/// Takes lines, on the thread of the program that wrote them.
pub type LogSink = fn(&LogLine<'_>);

static SINK: RwLock<Option<LogSink>> = RwLock::new(None);
/// Everything from "info" up, as the vendor's default configuration.
static AXCL_LEVEL: AtomicI32 = AtomicI32::new(2);
/// Everything down to "notice".
static SYS_LEVEL: AtomicI32 = AtomicI32::new(5);

/// Hands the lines of programs to `sink`, `None` to nobody. One for the process, as the vendor's log is.
pub fn set_log_sink(sink: Option<LogSink>) {
    *SINK.write() = sink;
}

/// `axclSetLogLevel`: lines below `level` are dropped; 6 drops all.
pub(crate) fn set_axcl_level(level: i32) {
    AXCL_LEVEL.store(level, Ordering::Relaxed);
}

/// `AX_SYS_SetLogLevel`: lines above `level` are dropped.
pub(crate) fn set_sys_level(level: i32) {
    SYS_LEVEL.store(level, Ordering::Relaxed);
}

fn is_wanted(source: LogSource, level: i32) -> bool {
    match source {
        LogSource::Axcl => level >= AXCL_LEVEL.load(Ordering::Relaxed),
        LogSource::Sys => level <= SYS_LEVEL.load(Ordering::Relaxed),
    }
}

/// The address of a function that takes a `va_list`, which Rust has no type for: only to be exported.
pub type WithVaList = unsafe extern "C" fn();

/// Functions of `libax_sys` that are in no table, because a `va_list` is another type on every architecture.
pub const WITH_VA_LIST: [(&str, WithVaList); 2] =
    [("AX_SYS_LogOutput", ax650_sim_log_output), ("AX_SYS_LogOutput_Ex", ax650_sim_log_output_ex)];

// The definitions are in shim/log.c: Rust cannot define functions with a variable number of arguments.
unsafe extern "C" {
    /// `axclAppLog`.
    pub(crate) fn ax650_sim_app_log(
        level: i32,
        function: *const c_char,
        file: *const c_char,
        line: u32,
        format: *const c_char,
        ...
    );
    /// `AX_SYS_LogPrint`.
    pub(crate) fn ax650_sim_log_print(level: i32, format: *const c_char, ...);
    fn ax650_sim_log_output();
    fn ax650_sim_log_output_ex();
    /// `AX_SYS_LogPrint_Ex`.
    pub(crate) fn ax650_sim_log_print_ex(
        level: i32,
        tag: *const c_char,
        id: c_int,
        format: *const c_char,
        ...
    );
}

/// A formatted line from C.
///
/// # Safety
///
/// `tag` is null or a string, `text` is a string; both stay unchanged during the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn ax650_sim_log_line(
    source: c_int,
    level: i32,
    tag: *const c_char,
    _line: u32,
    text: *const c_char,
) {
    let source = if source == 0 { LogSource::Axcl } else { LogSource::Sys };
    let Some(sink) = SINK.read().filter(|_| is_wanted(source, level)) else { return };
    let tag = if tag.is_null() {
        None
    } else {
        // SAFETY: not null, and a string by the caller's promise.
        Some(unsafe { CStr::from_ptr(tag) })
    };
    // SAFETY: a buffer of the caller that vsnprintf has terminated.
    let text = unsafe { CStr::from_ptr(text) };
    // A panic of the sink ends here: the caller is C.
    std::panic::catch_unwind(|| sink(&LogLine { source, level, tag, text })).ok();
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn keep(line: &LogLine<'_>) {
        assert_ne!(line.text, c"panic", "on purpose");
        let tag = line.tag.unwrap_or_default().to_string_lossy();
        SEEN.lock().push(format!("{:?} {} {tag}: {}", line.source, line.level, line.text.to_string_lossy()));
    }

    /// Writes a line as a C program does.
    macro_rules! write {
        ($function:ident($($argument:expr),*)) => {
            // SAFETY: the formats match their arguments, and all strings are terminated.
            unsafe { $function($($argument),*) }
        };
    }

    /// One test for all: there is one sink.
    #[test]
    fn lines_are_formatted_cut_and_filtered() {
        let none = std::ptr::null();
        let main = c"main".as_ptr();
        let long = std::ffi::CString::new(vec![b'x'; 3000]).unwrap();
        set_log_sink(Some(keep));
        write!(ax650_sim_app_log(5, main, none, 7, c"json: %s, device: %d".as_ptr(), c"a".as_ptr(), 129));
        write!(ax650_sim_app_log(1, main, none, 7, c"below the level".as_ptr()));
        write!(ax650_sim_app_log(5, none, none, 7, none));
        write!(ax650_sim_app_log(5, none, none, 7, c"panic".as_ptr()));
        write!(ax650_sim_app_log(5, none, c"file.c".as_ptr(), 7, c"%s".as_ptr(), long.as_ptr()));
        write!(ax650_sim_log_print(3, c"%d of %lld".as_ptr(), 1, 1_i64 << 40));
        write!(ax650_sim_log_print_ex(7, c"TAG".as_ptr(), 3, c"too chatty".as_ptr()));
        set_sys_level(7);
        write!(ax650_sim_log_print_ex(7, c"TAG".as_ptr(), 3, c"now wanted".as_ptr()));
        set_log_sink(None);
        let seen = SEEN.lock();
        assert_eq!(seen[0], "Axcl 5 main: json: a, device: 129");
        assert_eq!(seen[1].len(), "Axcl 5 file.c: ".len() + 1023);
        assert_eq!(seen[2..], ["Sys 3 : 1 of 1099511627776", "Sys 7 TAG: now wanted"]);
    }
}
