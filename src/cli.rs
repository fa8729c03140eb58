//! The command line, in the manner of ollama: one file per command.
//!
//! Commands that need a card go to the server at `OLLAMA_HOST`, or (`run` only) start the engine in this process.
//! Commands that only look at or change the model store do so themselves when no server answers.

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::{
    cli::terminal::note,
    device::{DeviceChoice, DriverOptions, KeptVerdicts, PathsWish, SOFTWARE_THREADS},
    models::store::Store,
};

mod bench;
pub mod client;
mod connect;
mod copy;
mod create;
mod doctor;
mod format;
mod list;
mod ps;
mod remove;
mod run;
mod serve;
mod show;
mod signals;
mod stop;
mod terminal;
mod verify;
mod version;

/// Version and git revision this binary was built from.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("AX650_REVISION"), ")");

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "ax650",
    about = "Runs language models on the Axera AX650N / AX8850 NPU and answers Ollama clients",
    long_about = "Runs language models compiled for the Axera AX650N / AX8850 NPU and answers Ollama clients.\n\
        Without a card it computes on the CPU through the same interface (the software card).",
    after_help = "First steps:\n  \
        ax650 create smollm2 --from SmolLM2-135M-Instruct.Q4_1.gguf\n  \
        ax650 run smollm2 \"Why is the sky blue?\"\n  \
        ax650 serve\n\n\
        Environment:\n  \
        OLLAMA_HOST       where the server listens and clients look (127.0.0.1:11434)\n  \
        OLLAMA_MODELS     model store (~/.ollama/models)\n  \
        OLLAMA_KEEP_ALIVE how long an idle model stays on the card (5m)\n  \
        OLLAMA_DEBUG      1: debug log on standard error, 2: trace",
    disable_version_flag = true,
    subcommand_required = false
)]
struct Cli {
    /// Print the version and leave
    #[arg(short = 'v', long = "version")]
    version: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Run(run::Arguments),
    Create(create::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Ps(ps::Arguments),
    Stop(stop::Arguments),
    Cp(copy::Arguments),
    Rm(remove::Arguments),
    Verify(verify::Arguments),
    Bench(bench::Arguments),
    Doctor(doctor::Arguments),
    Version(version::Arguments),
}

/// Which card computes. Shared by the commands that may open one.
#[derive(Debug, Clone, Args)]
struct CardArguments {
    /// Card to use: auto, board, pcie, pcie:N, software or software:PROFILE, the last two also with ,compute=none or
    /// ,interface=board|pcie behind them; auto takes a real card if one answers
    #[arg(long, env = "AX650_DEVICE", default_value = "auto", value_name = "CARD")]
    device: DeviceChoice,

    /// Vendor library, or the directory it lies in
    #[arg(long, env = "AX650_DRIVER_PATH", value_name = "PATH")]
    driver_path: Option<PathBuf>,

    /// Threads of the software card (all cores by default)
    #[arg(long, env = "AX650_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(SOFTWARE_THREADS))]
    threads: Option<u16>,

    /// Ways to save work: all, plain, or a list of names, or of names to leave out (-async,-pinned)
    #[arg(long, env = "AX650_PATHS", default_value = "all", value_name = "LIST", allow_hyphen_values = true)]
    paths: PathsWish,
}

impl CardArguments {
    fn driver_options(&self) -> DriverOptions {
        DriverOptions {
            driver_path: self.driver_path.clone(),
            software_threads: self.threads.map(usize::from),
            paths: self.paths,
            verdicts: Some(Store::from_env().folder().join(KeptVerdicts::FOLDER)),
            ..DriverOptions::default()
        }
    }
}

/// Runs the command line of this process. Exit code 0: done; 1: failed, the reason is on standard error;
/// 2: the command line itself was wrong; 130: interrupted.
pub fn main() -> ExitCode {
    execute(std::env::args_os())
}

fn execute(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; a closed pipe is no news.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        // `ax650 list | head -1` closes our output: that is success, not an error.
        Err(error) if closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("Error: {}", terminal::sanitise(&reason(&error))));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let Some(command) = cli.command else {
        if !cli.version {
            use clap::CommandFactory;
            Cli::command().print_help()?;
            return Ok(ExitCode::from(2));
        }
        return version::execute();
    };
    match command {
        Command::Serve(command) => command.execute(),
        Command::Run(command) => command.execute(),
        Command::Create(command) => command.execute(),
        Command::List(command) => command.execute(),
        Command::Show(command) => command.execute(),
        Command::Ps(ps::Arguments {}) => ps::execute(),
        Command::Stop(command) => command.execute(),
        Command::Cp(command) => command.execute(),
        Command::Rm(command) => command.execute(),
        Command::Verify(command) => command.execute(),
        Command::Bench(command) => command.execute(),
        Command::Doctor(command) => command.execute(),
        Command::Version(version::Arguments {}) => version::execute(),
    }
}

/// The whole chain of causes. Errors of the library tell their cause in their own text, because HTTP clients see only
/// that; what has been told is not told twice.
fn reason(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The async runtime of a command. Two workers: it carries HTTP, the computing happens on threads of its own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ax650-io")
        .enable_all()
        .build()
        .context("start the async runtime")
}

/// Log of this process on standard error: warnings, or what `OLLAMA_DEBUG` asks for.
fn start_logging(default: &str) {
    let level = match crate::api::settings::debug_level() {
        0 => default,
        1 => "ax650=debug,info",
        _ => "ax650=trace,info",
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .try_init();
    if let Err(error) = started {
        note(&format!("logging is off: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("no space");
        let told = anyhow::Error::new(cause()).context("cannot write x: no space; free some");
        assert_eq!(reason(&told), "cannot write x: no space; free some");
        let untold = anyhow::Error::new(cause()).context("create m");
        assert_eq!(reason(&untold), "create m: no space");
    }

    #[test]
    fn every_command_teaches_by_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("ax650 "), "{} has no example", command.get_name());
        }
    }
}
