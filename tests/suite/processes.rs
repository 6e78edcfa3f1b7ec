//! Processes that are supervised: whatever happens to the supervisor, the guard or the program,
//! nobody is left behind, and what went wrong is said.
#![cfg(target_os = "linux")]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flakelab_live::{Child, Launch, StartError, check_free};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Machines that are busy may take their time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a child gets to end by itself, where it will not.
const SHORT: Duration = Duration::from_millis(20);

/// Names the folder of a test to the process that plays its supervisor.
const SUPERVISE: &str = "FLAKELAB_TEST_SUPERVISE";

/// Asks nobody, hears nothing, and has a child, and a daemon in a session of its own.
const STUBBORN: &str = r#"#!/bin/sh
trap '' TERM HUP INT
echo $$ >> "$1"
sleep 1000 & echo $! >> "$1"
setsid sh -c 'echo $$ >> "$0"; exec sleep 1000' "$1" &
echo "this is my output"
while :; do sleep 0.02; done
"#;

fn own() -> PathBuf {
    env!("CARGO_BIN_EXE_flakelab").into()
}

fn script(folder: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("program.sh");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn servers(folder: &Path, arguments: &[&str]) -> Launch {
    let arguments = [&["failingserver", "--supervised"], arguments].concat();
    Launch {
        name: "the servers".to_owned(),
        program: own(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        log: folder.join("servers.log"),
    }
}

fn guarded(folder: &Path, text: &str) -> Launch {
    let program = script(folder, text);
    let arguments = [folder.join("pids").into()];
    Launch::guarded("the program", own(), &program, &arguments, folder.join("guard.log"))
}

/// The processes of [`STUBBORN`]. A test that fails does not leave them behind either.
struct Stubborn(Vec<i32>);

impl Drop for Stubborn {
    fn drop(&mut self) {
        for pid in self.0.iter().filter(|pid| runs(**pid)) {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
}

/// The processes of [`STUBBORN`], once all are there.
fn stubborn(folder: &Path) -> Stubborn {
    let path = folder.join("pids");
    wait_for("three processes", || {
        std::fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 3)
    });
    let text = std::fs::read_to_string(&path).unwrap();
    Stubborn(text.lines().map(|line| line.parse().unwrap()).collect())
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; one that ended and that nobody has asked about does not.
fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(')').unwrap().1.trim_start().chars().next();
        !matches!(state, Some('Z' | 'X'))
    })
}

fn wait_until_gone(pids: &[i32]) {
    wait_for(&format!("the end of {pids:?}"), || !pids.iter().any(|pid| runs(*pid)));
}

fn pid(child: &Child) -> i32 {
    child.id().try_into().unwrap()
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Not a test: a process of the test below, which is killed.
#[test]
#[ignore = "plays the supervisor in a process of its own"]
fn supervises_until_it_is_killed() {
    let Ok(folder) = std::env::var(SUPERVISE) else { return };
    let folder = Path::new(&folder);
    let mut children = [
        servers(folder, &["--null", "--port-base", "0"]).start().unwrap(),
        guarded(folder, STUBBORN).start().unwrap(),
    ];
    for child in &mut children {
        child.wait_until_ready(PATIENCE).unwrap();
    }
    let pids = children.iter().map(|child| child.id().to_string()).collect::<Vec<_>>().join(" ");
    std::fs::write(folder.join("children.new"), pids).unwrap();
    std::fs::rename(folder.join("children.new"), folder.join("children")).unwrap();
    sleep(PATIENCE);
}

fn killed_supervisor_leaves_nobody(before: impl FnOnce(&[i32])) {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "processes::supervises_until_it_is_killed"])
        .env(SUPERVISE, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let children = folder.path().join("children");
    wait_for("the children", || children.exists());
    let text = std::fs::read_to_string(children).unwrap();
    let mut pids: Vec<i32> = text.split(' ').map(|pid| pid.parse().unwrap()).collect();
    let program = stubborn(folder.path());
    pids.extend(&program.0);
    assert!(pids.len() == 5 && pids.iter().all(|pid| runs(*pid)));
    before(&program.0);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    wait_until_gone(&pids);
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_orphan() {
    killed_supervisor_leaves_nobody(|_| {});
}

#[test]
fn a_program_that_is_stopped_does_not_outlive_its_killed_supervisor() {
    killed_supervisor_leaves_nobody(|program| {
        program.iter().for_each(|p| signal(*p, Signal::SIGSTOP))
    });
}

#[test]
fn a_child_of_ours_ends_by_itself_when_asked_and_is_made_to_when_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let launch = servers(folder.path(), &["--null", "--port-base", "0"]);
    let mut willing = launch.start().unwrap();
    willing.wait_until_ready(PATIENCE).unwrap();
    assert!(willing.is_alive());
    assert_eq!(willing.stop(PATIENCE).unwrap().code(), Some(0));
    assert_eq!(willing.stop(PATIENCE).unwrap().code(), Some(0), "twice is once");
    let mut stopped = launch.start().unwrap();
    stopped.wait_until_ready(PATIENCE).unwrap();
    signal(pid(&stopped), Signal::SIGSTOP);
    stopped.stop(SHORT).unwrap();
    assert!(!stopped.is_alive() && !runs(pid(&stopped)));
    let dropped = launch.start().unwrap();
    let dropped_pid = pid(&dropped);
    drop(dropped);
    assert!(!runs(dropped_pid));
}

#[test]
fn a_guarded_program_ends_with_all_it_started_whatever_became_of_the_guard() {
    let fates: [fn(i32); 3] =
        [|_| {}, |guard| signal(guard, Signal::SIGSTOP), |guard| signal(guard, Signal::SIGTERM)];
    for fate in fates {
        let folder = tempfile::tempdir().unwrap();
        let mut child = guarded(folder.path(), STUBBORN).start().unwrap();
        assert!(child.wait_until_ready(PATIENCE).unwrap().is_empty());
        let program = stubborn(folder.path());
        fate(pid(&child));
        child.stop(Duration::from_secs(1)).unwrap();
        wait_until_gone(&program.0);
        assert!(child.last_messages().contains("this is my output"));
    }
}

#[test]
fn a_program_whose_guard_was_killed_is_ended_by_the_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = guarded(folder.path(), STUBBORN).start().unwrap();
    child.wait_until_ready(PATIENCE).unwrap();
    let program = stubborn(folder.path());
    signal(pid(&child), Signal::SIGKILL);
    wait_for("the guard's end", || !child.is_alive());
    // The third left the group, and the guard that would have found it is gone.
    wait_until_gone(&program.0[..2]);
}

#[test]
fn a_child_that_dies_at_its_start_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = servers(folder.path(), &["--model", "missing.toml"]).start().unwrap();
    let message = child.wait_until_ready(PATIENCE).unwrap_err().to_string();
    assert!(message.contains("the servers ended at once (exit status: 2)"), "{message}");
    assert!(message.contains("It said") && message.contains("missing.toml"), "{message}");
    let missing = Launch { program: "/no/such/program".into(), ..servers(folder.path(), &[]) };
    let message = missing.start().unwrap_err().to_string();
    assert!(message.contains("/no/such/program"), "{message}");
    let log = folder.path().join("guard.log");
    let guard = Launch::guarded("it", own(), Path::new("/no/such/program"), &[], log);
    let message = guard.start().unwrap().wait_until_ready(PATIENCE).unwrap_err().to_string();
    assert!(message.contains("cannot start /no/such/program"), "{message}");
}

#[test]
fn a_child_that_says_nothing_is_not_waited_for_forever() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch {
        program: "/bin/sleep".into(),
        arguments: vec!["1000".into()],
        ..servers(folder.path(), &[])
    };
    let mut child = launch.start().unwrap();
    let message = child.wait_until_ready(SHORT).unwrap_err().to_string();
    assert!(message.contains("within 0.02 s") && message.contains("--start-timeout"), "{message}");
    assert!(child.is_alive());
    child.give_up_on(Arc::new(true.into()));
    let forever = Duration::from_secs(1_000_000);
    let waited =
        [child.wait_until_ready(forever).map(drop), child.wait_until_open(&[closed()], forever)];
    for waited in waited {
        assert!(matches!(waited, Err(StartError::Interrupted { .. })), "{waited:?}");
    }
}

fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_program_that_does_not_open_its_ports_is_named_with_them_and_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let address = closed();
    let mut silent = guarded(folder.path(), STUBBORN).start().unwrap();
    silent.wait_until_ready(PATIENCE).unwrap();
    let _program = stubborn(folder.path());
    wait_for("its output", || silent.last_messages().contains("this is my output"));
    let message = silent.wait_until_open(&[address], SHORT).unwrap_err().to_string();
    for part in ["the program: ", &address.to_string(), "--start-timeout", "this is my output"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    drop(silent);
    let mut brief = guarded(folder.path(), "#!/bin/sh\necho I cannot go on >&2\nexit 7\n");
    brief.log = folder.path().join("brief.log");
    brief.arguments[2] = brief.log.clone().into();
    let mut brief = brief.start().unwrap();
    brief.wait_until_ready(PATIENCE).unwrap();
    let message = brief.wait_until_open(&[address], PATIENCE).unwrap_err().to_string();
    assert!(message.contains("it ended before it opened all its ports"), "{message}");
    assert!(message.contains("I cannot go on") && message.contains("exit status: 7"), "{message}");
}

#[test]
fn a_port_is_taken_until_its_process_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = servers(folder.path(), &["--null", "--port-base", "0"]).start().unwrap();
    let listening = child.wait_until_ready(PATIENCE).unwrap();
    let address: SocketAddr = listening[0].split_once(' ').unwrap().1.parse().unwrap();
    child.wait_until_open(&[address], PATIENCE).unwrap();
    let message = check_free(&[closed(), address]).unwrap_err().to_string();
    let taken = format!("{address} is taken by another process; ");
    assert!(message.starts_with(&taken), "{message}");
    child.stop(PATIENCE).unwrap();
    check_free(&[address]).unwrap();
}
