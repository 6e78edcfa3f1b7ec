//! `rust-version` is the lowest that the lock file allows: what the packages that are built into the
//! program declare, without those of tests and benches.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

#[test]
fn the_rust_version_is_the_one_that_the_lock_file_needs() {
    let said = Command::new("rustc").arg("-vV").output().expect("rustc runs").stdout;
    let said = String::from_utf8(said).expect("text");
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    // Packages for other machines may never have been downloaded.
    let run =
        ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host];
    let run =
        Command::new(env!("CARGO")).args(run).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let data: Value = serde_json::from_slice(&run.expect("cargo runs").stdout).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let nodes: BTreeMap<String, Value> = list(&data["resolve"]["nodes"])
        .into_iter()
        .map(|node| (node["id"].to_string(), node))
        .collect();
    let members: BTreeSet<String> =
        list(&data["workspace_members"]).iter().map(Value::to_string).collect();
    let (mut built, mut todo) = (members.clone(), Vec::from_iter(members.clone()));
    while let Some(id) = todo.pop() {
        for need in list(&nodes[&id]["deps"]) {
            let is_built = list(&need["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            if is_built && built.insert(need["pkg"].to_string()) {
                todo.push(need["pkg"].to_string());
            }
        }
    }
    let version = |package: &Value| -> Vec<u32> {
        let numbers = package["rust_version"].as_str().unwrap_or("1").split('.');
        numbers.map(|n| n.parse().expect("a number")).chain([0, 0]).take(3).collect()
    };
    let (ours, others): (Vec<Value>, Vec<Value>) = list(&data["packages"])
        .into_iter()
        .filter(|package| built.contains(&package["id"].to_string()))
        .partition(|package| members.contains(&package["id"].to_string()));
    let needed = others.iter().map(version).max();
    for package in ours {
        assert_eq!(Some(version(&package)), needed, "{}", package["name"]);
    }
}
