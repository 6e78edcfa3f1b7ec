//! `failingserver` as a process: what it answers is what the simulator would have answered, to
//! the last attempt, and what it writes down is what it did.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use flakelab_core::domain::{Outcome, ServerId, Span, Streams, Timestamp};
use flakelab_core::stats::chi_square_sf;
use flakelab_live::{Child, Launch};
use flakelab_sim::world::{
    ErrorFamily, Instance as Truth, Limiter, LuckTape, Model, Outage, OutageKind,
    REPLICATIONS_PER_DRAW, RateLimit,
};

use super::common::{constant_ms, model, servers};
use super::program::{flakelab, stderr};

/// Machines that are busy may take their time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of stand-in servers.
struct Servers {
    process: Child,
    addresses: BTreeMap<u16, SocketAddr>,
    folder: PathBuf,
}

impl Servers {
    /// On ports from the system, with a log.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let fixed = ["failingserver", "--supervised", "--port-base", "0", "--log"];
        let mut all: Vec<_> = fixed.map(Into::into).into();
        all.push(folder.join("log.csv").into());
        all.extend(arguments.iter().map(Into::into));
        let launch = Launch {
            name: "the servers".to_owned(),
            program: env!("CARGO_BIN_EXE_flakelab").into(),
            arguments: all,
            log: folder.join("stderr.log"),
        };
        let mut process = launch.start().unwrap();
        let ready = process.wait_until_ready(PATIENCE).unwrap();
        let listening = ready.iter().map(|line| {
            let (port, address) = line.split_once(' ').unwrap();
            (port.parse().unwrap(), address.parse().unwrap())
        });
        Self { process, addresses: listening.collect(), folder: folder.to_owned() }
    }

    /// Ends them and reads what they wrote down, per server.
    fn stop(mut self) -> BTreeMap<u16, Vec<Line>> {
        let status = self.process.stop(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.process.last_messages());
        let mut log: BTreeMap<u16, Vec<Line>> = BTreeMap::new();
        let text = std::fs::read_to_string(self.folder.join("log.csv")).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("at_s,port,request_id,outcome,latency_ms"));
        for line in lines {
            let (port, line) = Line::parse(line);
            log.entry(port).or_default().push(line);
        }
        log
    }
}

/// A line of the servers' log.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    at: Timestamp,
    identifier: String,
    outcome: Outcome,
    latency: Span,
}

impl Line {
    fn parse(line: &str) -> (u16, Self) {
        let cells: Vec<&str> = line.split(',').collect();
        let [at, port, identifier, outcome, latency] = cells[..] else { panic!("{line}") };
        // Seconds with nine and milliseconds with six digits: nanoseconds without the point.
        let nanos = |text: &str| text.replace('.', "").parse().unwrap();
        let outcome = match outcome {
            "success" => Outcome::Success,
            "failure" => Outcome::Failure,
            "rate_limited" => Outcome::RateLimited,
            other => panic!("{other}"),
        };
        let (at, latency) = (Timestamp::from_nanos(nanos(at)), Span::from_nanos(nanos(latency)));
        let line = Self { at, identifier: identifier.to_owned(), outcome, latency };
        (port.parse().unwrap(), line)
    }

    fn status(&self) -> u16 {
        match self.outcome {
            Outcome::Success => 200,
            Outcome::RateLimited => 429,
            _ => 500,
        }
    }
}

/// Server 0 refuses connections for the first second and from the third on, server 1 never does:
/// nobody listens, then it answers, then nobody listens, on one port. No other time is asserted.
#[test]
fn a_server_that_refuses_connections_lets_nobody_in_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut of_two = servers(&[0.0; 2], constant_ms(1.0));
    let refuse = |from_s, until_s| Outage {
        from_s,
        until_s,
        servers: Some(vec![0]),
        kind: OutageKind::Refuse,
    };
    of_two.conditions.outages = vec![refuse(0.0, 1.0), refuse(2.0, 1_000.0)];
    let path = folder.path().join("two.toml");
    std::fs::write(&path, of_two.to_toml()).unwrap();
    let servers = Servers::start(folder.path(), &["--model", path.to_str().unwrap()]);
    let address = |port: u16| servers.addresses[&port];
    let listens = |port: u16| match TcpStream::connect(address(port)) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            false
        }
    };
    let wait_until = |listening: bool| {
        let begin = Instant::now();
        while listens(4000) != listening {
            assert!(begin.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(5));
        }
        assert!(listens(4001));
    };
    wait_until(false);
    wait_until(true);
    assert_eq!(attempt(address(4000), &identifier(0, 0)).0, 200);
    wait_until(false);
    assert_eq!(attempt(address(4001), &identifier(1, 0)).0, 200);
    let log = servers.stop();
    assert_eq!((log[&4000].len(), log[&4001].len()), (1, 1));
}

/// Sends bytes and returns the status of the answer, 0 if there is none.
fn send(address: SocketAddr, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    // Who refuses may have closed already.
    let _ = stream.write_all(bytes);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// One attempt: what was answered, and after how long.
fn attempt(address: SocketAddr, identifier: &str) -> (u16, Duration) {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n";
    let begin = Instant::now();
    let status = send(address, format!("{head}{identifier}").as_bytes());
    (status, begin.elapsed())
}

fn identifier(server: u16, number: usize) -> String {
    format!("server{server:06}attempt{number:05}")
}

/// `each` attempts at every server, those at one server one after the other: what the clients saw.
fn drive(servers: &Servers, each: usize) -> BTreeMap<u16, Vec<(u16, Duration)>> {
    thread::scope(|scope| {
        let client = |(port, address): (&u16, &SocketAddr)| {
            let (port, address) = (*port, *address);
            let client =
                move || (0..each).map(|i| attempt(address, &identifier(port, i))).collect();
            (port, scope.spawn(client))
        };
        let clients: Vec<_> = servers.addresses.iter().map(client).collect();
        clients.into_iter().map(|(port, client)| (port, client.join().unwrap())).collect()
    })
}

fn save(folder: &Path, name: &str, model: &Model) -> String {
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, model.to_toml()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn committed(config: u16) -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Model::read(&root.join(format!("models/config-{config}.toml"))).unwrap()
}

/// Whether limiters that meet attempts at these moments refuse the very same ones.
fn same_refusals(mut limiter: Limiter, lines: &[Line]) -> bool {
    lines.iter().all(|l| limiter.accept(l.at) == (l.outcome != Outcome::RateLimited))
}

/// The core of it: thirty servers, each attempt compared with the simulator's own parts. The
/// planted bugs: another seed, and a limit that is a little higher.
#[test]
fn every_attempt_meets_the_limiter_and_the_luck_that_the_simulator_has_there() {
    const SEED: u64 = 5;
    const EACH: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth");
    let started =
        Servers::start(folder.path(), &["--seed", "5", "--truth", truth.to_str().unwrap()]);
    assert_eq!(started.addresses.len(), 30);
    let seen = drive(&started, EACH);
    let log = started.stop();
    let (mut refused, mut caught) = (0, 0);
    for config in 0..3_u16 {
        let model = committed(config);
        let (streams, replication) =
            (Streams::new(SEED), u64::from(config) * REPLICATIONS_PER_DRAW);
        let instance = Truth::draw(&model, &streams, replication);
        let mut tape = LuckTape::new(&instance, &model.latency, &streams, replication);
        let other = Truth::draw(&model, &Streams::new(SEED + 1), replication);
        let mut other_tape =
            LuckTape::new(&other, &model.latency, &Streams::new(SEED + 1), replication);
        for server in ServerId::all(10) {
            let port = model.ports.first + server.0;
            let (lines, answers) = (&log[&port], &seen[&port]);
            assert_eq!((lines.len(), answers.len()), (EACH, EACH), "{port}");
            for (i, (line, (status, took))) in lines.iter().zip(answers).enumerate() {
                assert_eq!(line.identifier, identifier(port, i));
                assert_eq!(line.status(), *status, "{port}, attempt {i}");
                assert!(took.as_nanos() >= u128::from(line.latency.as_nanos()), "too early");
            }
            let limiter = instance.limiters[server.index()].clone();
            assert!(same_refusals(limiter.clone(), lines), "{port}: {limiter:?}");
            if let Limiter::Bucket { mean, amplitude, omega, phase, burst, .. } = limiter {
                let burst = burst + 1.0;
                let tokens = burst;
                let at = Timestamp::ZERO;
                let higher = Limiter::Bucket { mean, amplitude, omega, phase, burst, tokens, at };
                caught += usize::from(!same_refusals(higher, lines));
            }
            let accepted: Vec<&Line> =
                lines.iter().filter(|line| line.outcome != Outcome::RateLimited).collect();
            refused += EACH - accepted.len();
            let met: Vec<_> = accepted.iter().map(|l| (l.outcome, l.latency)).collect();
            let luck = |tape: &mut LuckTape| -> Vec<_> {
                let luck = (0..met.len()).map(|k| tape.luck(server, k));
                luck.map(|luck| (luck.outcome, luck.latency)).collect()
            };
            assert_eq!(met, luck(&mut tape), "{port}");
            assert_ne!(met, luck(&mut other_tape), "{port}");
        }
        let name = format!("config-{config}.toml");
        let written = Model::read(&truth.join(name)).unwrap();
        let expected = model.drawn(&streams, replication);
        assert_eq!(written.error_rate, expected.error_rate);
        assert_eq!(written.error_rate.family, ErrorFamily::Fixed { values: instance.error_rates });
        assert_eq!(written.rate_limit, expected.rate_limit);
        assert!(!written.has_posterior());
        assert_eq!((written.latency, written.ports), (expected.latency, expected.ports));
    }
    assert!(refused > 0, "limits must have been met");
    assert!(caught > 0, "a limit that is one higher must be noticed");
}

/// Pearson's chi-square over the servers' failures. False alarm 1e-4, fixed seed; servers that
/// changed places must be caught.
#[test]
fn servers_fail_as_often_as_their_model_says() {
    const EACH: usize = 600;
    const RATES: [f64; 4] = [0.05, 0.3, 0.6, 0.9];
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), "known", &servers(&RATES, constant_ms(0.05)));
    let started = Servers::start(folder.path(), &["--model", &path, "--seed", "11"]);
    let seen = drive(&started, EACH);
    started.stop();
    let failures: Vec<f64> = seen
        .values()
        .map(|answers| answers.iter().filter(|(status, _)| *status == 500).count() as f64)
        .collect();
    let p_value = |rates: &[f64]| {
        let n = EACH as f64;
        let term = |(x, p): (&f64, &f64)| (x - n * p).powi(2) / (n * p * (1.0 - p));
        chi_square_sf(failures.iter().zip(rates).map(term).sum(), rates.len() as f64)
    };
    assert!(p_value(&RATES) > 1e-4, "{failures:?}");
    assert!(p_value(&[0.3, 0.05, 0.6, 0.9]) < 1e-4);
}

#[test]
fn what_is_no_attempt_is_refused_and_not_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let started = Servers::start(folder.path(), &["--null", "--seed", "1"]);
    let address = started.addresses[&4000];
    let id = identifier(1, 1);
    let post = |path: &str, body: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}", body.len());
        send(address, format!("{head}\r\n\r\n{body}").as_bytes())
    };
    assert_eq!(post("/", &id[1..]), 400);
    assert_eq!(post("/", &format!("{id}x")), 400);
    assert_eq!(post("/", "abcdefghijklmnopqrstuv-X"), 400);
    assert_eq!(post("/other", &id), 404);
    assert_eq!(send(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
    assert_eq!(send(address, b"nonsense\r\n\r\n"), 400);
    // Who only looks whether the port is open.
    drop(TcpStream::connect(address).unwrap());
    TcpStream::connect(address).unwrap().shutdown(Shutdown::Both).unwrap();
    let json = format!("{{\"id\": \"{id}\"}}");
    assert!([200, 500].contains(&post("/", &json)));
    let log = started.stop();
    assert_eq!(log[&4000].len(), 1);
    assert_eq!(log[&4000][0].latency, Span::from_millis_f64(1.0));
    assert_eq!(log[&4000][0].identifier, id);
}

#[test]
fn two_starts_stand_side_by_side_and_draw_anew_unless_the_seed_is_given() {
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let seeds: [&[&str]; 4] = [&["--seed", "8"], &["--seed", "8"], &[], &[]];
    let started: Vec<Servers> = folders
        .iter()
        .zip(seeds)
        .map(|(folder, seed)| {
            let folder = folder.path();
            let truth = ["--config", "1", "--truth", folder.to_str().unwrap()];
            Servers::start(folder, &[&truth, seed].concat())
        })
        .collect();
    let truth = |i: usize| Model::read(&folders[i].path().join("config-1.toml")).unwrap();
    assert_eq!(truth(0), truth(1));
    assert_ne!(truth(1).error_rate, truth(2).error_rate);
    assert_ne!(truth(2).error_rate, truth(3).error_rate);
    for servers in started {
        assert!(servers.addresses.keys().copied().eq(5000..5010));
        let said = std::fs::read_to_string(servers.folder.join("stderr.log")).unwrap();
        assert!(said.starts_with("seed ") && said.contains("draws the same servers again"));
        let (status, _) = attempt(servers.addresses[&5009], &identifier(5009, 0));
        assert!([200, 500].contains(&status));
        assert_eq!(servers.stop()[&5009].len(), 1);
    }
}

#[test]
fn ports_that_are_taken_are_all_named_with_the_flag_that_chooses_others() {
    let folder = tempfile::tempdir().unwrap();
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut command = flakelab(folder.path());
    command.args(["failingserver", "--truth", "truth"]);
    for listener in &listeners {
        let mut model = model(1, super::common::UNIFORM, RateLimit::None, constant_ms(1.0));
        model.ports.first = listener.local_addr().unwrap().port();
        let path = save(folder.path(), &format!("on-{}", model.ports.first), &model);
        command.args(["--model", &path]);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    for listener in &listeners {
        assert!(message.contains(&listener.local_addr().unwrap().to_string()), "{message}");
    }
    assert!(message.contains("are taken by another process"), "{message}");
    assert!(message.contains("--port-base"), "{message}");
    assert!(!folder.path().join("truth").exists(), "nothing is written");
}

#[test]
fn bad_input_is_one_error_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("other")).unwrap();
    let null = model(1, super::common::UNIFORM, RateLimit::None, constant_ms(1.0));
    let a = save(folder.path(), "a", &null);
    let b = save(folder.path(), "b", &null);
    let also_a = save(&folder.path().join("other"), "a", &null);
    let cases: [(&[&str], &str); 6] = [
        (&["--model", "missing.toml"], "missing.toml"),
        (&["--model", &a, "--model", &b, "--port-base", "0"], "belongs to two models, a and b"),
        (&["--model", &a, "--model", &also_a, "--port-base", "0"], "two models are called a"),
        (&["--config", "7"], "expected 0, 1, 2 or all"),
        (&["--port-base", "64000"], "ports end at 65535"),
        (&["--null", "--port-base", "0", "--log", "no/such/log.csv"], "no/such/log.csv"),
    ];
    for (arguments, expected) in cases {
        let output = flakelab(folder.path()).arg("failingserver").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = stderr(&output);
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.lines().filter(|line| line.starts_with("error")).count(), 1);
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// As at any server that ends: no answer, rather than an early one.
#[test]
fn an_answer_that_is_far_off_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), "slow", &servers(&[0.5], constant_ms(3_600_000.0)));
    let started = Servers::start(folder.path(), &["--model", &path, "--seed", "1"]);
    let address = started.addresses[&4000];
    let client = thread::spawn(move || attempt(address, &identifier(4000, 0)));
    let log = folder.path().join("log.csv");
    while std::fs::read_to_string(&log).unwrap().lines().count() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(started.stop()[&4000].len(), 1);
    assert_eq!(client.join().unwrap().0, 0);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_servers_with_130_and_a_whole_log() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let folder = tempfile::tempdir().unwrap();
        let mut servers = Servers::start(folder.path(), &["--null", "--seed", "1"]);
        drive(&servers, 20);
        kill(Pid::from_raw(servers.process.id().try_into().unwrap()), signal).unwrap();
        while servers.process.is_alive() {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(servers.process.stop(PATIENCE).unwrap().code(), Some(130));
        let text = std::fs::read_to_string(folder.path().join("log.csv")).unwrap();
        assert_eq!(text.lines().count(), 21);
        assert!(TcpStream::connect(servers.addresses[&4000]).is_err(), "the port is free again");
    }
}
