//! Hands the commit that is being built to the program, for `manifest.json`.

use std::process::Command;

fn main() {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let hash = git(&describe).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=FLAKELAB_GIT_HASH={hash}");
    // The reflog changes with every commit and checkout; without git nothing is watched.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
}
