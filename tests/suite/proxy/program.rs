//! The proxy as a process, and clients of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use flakelab_core::domain::{Identifier, Purpose, Streams};
use flakelab_live::{Metrics, Step};
use flakelab_sim::trace::Row;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::super::program::flakelab;
use super::servers::Server;

/// A proxy that runs.
pub struct Running {
    process: Process,
    pub address: SocketAddr,
    pub folder: TempDir,
}

/// `flakelab proxy` about to start in `folder`, with nothing of the environment to choose for it.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = flakelab(folder);
    command.env_remove("LB_STRATEGY").arg("proxy").args(arguments);
    command
}

pub fn targets(servers: &[Server]) -> String {
    let addresses: Vec<String> = servers.iter().map(|s| s.address.to_string()).collect();
    addresses.join(",")
}

impl Running {
    /// A supervised proxy of config 0 in front of ten servers, with all files; waits until it
    /// is ready.
    pub fn start(targets: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path(), &["--port", "0", "--supervised", "--quiet"]);
        command.args(["--targets", targets, "--metrics", "metrics.json"]);
        command.args(["--trace", "trace.csv", "--events", "events.csv"]).args(arguments);
        if !arguments.contains(&"--seed") {
            // The same coins each time, which a proxy draws anew otherwise.
            command.args(["--seed", "42"]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.strip_prefix("listening ").unwrap().parse().unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Self { process: Process(child), address, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.0.id() as i32), signal).unwrap();
    }

    /// The most memory that it has taken, in MB, where the system tells.
    pub fn peak_mb(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.process.0.id());
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.process.0.wait().unwrap()
    }

    /// Ends it as its supervisor's end would, and reads what it wrote.
    pub fn end(mut self) -> Written {
        drop(self.process.0.stdin.take());
        assert_eq!(self.wait().code(), Some(0));
        self.written()
    }

    /// What it wrote, after its end.
    pub fn written(self) -> Written {
        Written {
            metrics: Metrics::read(&self.folder.path().join("metrics.json")).unwrap(),
            folder: self.folder,
        }
    }
}

/// A process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or a test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The files of a run that has ended.
pub struct Written {
    pub metrics: Metrics,
    pub folder: TempDir,
}

impl Written {
    /// The events log.
    pub fn steps(&self) -> Vec<Step> {
        Step::read(std::fs::File::open(self.folder.path().join("events.csv")).unwrap()).unwrap()
    }

    /// The rows of the trace; it is that of a config.
    pub fn rows(&self) -> Vec<Row> {
        let path = self.folder.path().join("trace.csv");
        match std::fs::read_to_string(&path).unwrap().lines().count() {
            // The header alone: nothing was sent.
            1 => Vec::new(),
            _ => Row::read(&path).unwrap(),
        }
    }
}

/// Different identifiers.
pub fn identifiers(n: usize) -> Vec<Identifier> {
    let mut rng = Streams::new(5).stream(Purpose::Traffic, 0, 0);
    (0..n).map(|_| Identifier::random(&mut rng)).collect()
}

/// A whole request.
pub fn post(identifier: &Identifier) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n{identifier}")
}

/// Everything that comes back for these bytes; empty if the connection was just closed.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have been refused before all of it was written.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer, 0 for none.
pub fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Answers counted by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    pub sent: u64,
    pub ok: u64,
    pub error: u64,
    pub refused: u64,
    pub stopping: u64,
    pub lost: u64,
}

impl Answers {
    pub fn add(&mut self, more: &Self) {
        let Self { sent, ok, error, refused, stopping, lost } = more;
        self.sent += sent;
        self.ok += ok;
        self.error += error;
        self.refused += refused;
        self.stopping += stopping;
        self.lost += lost;
    }

    pub fn count(&mut self, status: u16) {
        self.sent += 1;
        match status {
            200 => self.ok += 1,
            500 => self.error += 1,
            400..=499 => self.refused += 1,
            503 => self.stopping += 1,
            _ => self.lost += 1,
        }
    }
}

/// Sends `n` requests from `clients` threads, each one after the other.
pub fn load(address: SocketAddr, n: usize, clients: usize) -> Answers {
    let mut parts = vec![Vec::new(); clients];
    for (i, identifier) in identifiers(n).into_iter().enumerate() {
        parts[i % clients].push(identifier);
    }
    let send = move |part: Vec<Identifier>| {
        let statuses = part.iter().map(|id| status(&exchange(address, post(id).as_bytes())));
        statuses.collect::<Vec<u16>>()
    };
    let threads: Vec<_> = parts.into_iter().map(|part| thread::spawn(move || send(part))).collect();
    let mut answers = Answers::default();
    for status in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        answers.count(status);
    }
    answers
}
