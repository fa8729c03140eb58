//! Runs the program with a store and an address of its own.

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use assert_cmd::assert::Assert;

/// A store in a temporary directory and an address where nobody listens.
pub(crate) struct Program {
    home: tempfile::TempDir,
    host: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        // Port 1 needs privileges to listen on, so nothing of ours does.
        Self { home: tempfile::tempdir().unwrap(), host: "127.0.0.1:1".to_owned() }
    }

    /// The same store, seen by clients of a server at `host`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ax650"));
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("OLLAMA_MODELS", self.models())
            .env("OLLAMA_HOST", &self.host)
            .env("AX650_DEVICE", "software")
            .env("AX650_THREADS", "1")
            .env_remove("OLLAMA_DEBUG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Assert {
        assert_cmd::Command::from_std(self.command(arguments)).timeout(Duration::from_mins(2)).assert()
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.home.path().join("models")
    }

    /// Where the server of this program listens.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// A path beside the store.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Imports the tiny model under a name.
    pub(crate) fn create(&self, name: &str) {
        let file = self.path("tiny.gguf");
        crate::gguf::write_tiny_llama(&file);
        self.run(&["create", name, "--from", file.to_str().unwrap()]).success();
    }

    /// Starts a server on a free port; commands of this program go there from now on.
    pub(crate) fn serve(&mut self) -> Server {
        self.serve_with(&[])
    }

    /// The same with arguments.
    pub(crate) fn serve_with(&mut self, arguments: &[&str]) -> Server {
        let mut child = self
            .command(&[&["serve"], arguments].concat())
            .env("OLLAMA_HOST", "127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        loop {
            let start = log.len();
            assert!(lines.read_line(&mut log).unwrap() > 0, "the server ended:\n{log}");
            if let Some((_, address)) = log[start..].split_once("listens on http://") {
                address.trim().clone_into(&mut self.host);
                break;
            }
        }
        // A full pipe would stop the server.
        let rest = thread::spawn(move || {
            lines.read_to_string(&mut log).unwrap();
            log
        });
        Server { child, rest: Some(rest) }
    }
}

/// A running server; killed when a test fails before it is stopped.
pub(crate) struct Server {
    child: Child,
    rest: Option<thread::JoinHandle<String>>,
}

impl Server {
    /// The most memory that the server has had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Sends SIGTERM, waits, and returns exit code and log.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "the server does not end");
            thread::sleep(Duration::from_millis(10));
        };
        (status.code(), self.rest.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Standard output of a finished program.
pub(crate) fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Standard error of a finished program.
pub(crate) fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}
