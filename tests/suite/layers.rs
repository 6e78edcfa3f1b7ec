//! The import table of DESIGN section 4, the `//!` rule, the length of files, banned calls and
//! the folders of heavy crates, as tests over the source text of `src/`.
//!
//! The checker reads tokens, not strings: comments and literals are dropped, `use` trees are
//! expanded, `self` and `super` are resolved through files and inline modules. Tests inside
//! `src/` obey the same table; they have needed no exception so far. `main.rs` counts as part of
//! `cli`, and `lib.rs`, which only declares, may name everything.

mod paths;

use std::fs;
use std::path::{Path, PathBuf};

use self::paths::{CodePath, paths, tokens};

/// What each module may import of the crate besides itself. "X and below" is spelled out: X,
/// and what X may import.
const MAY_IMPORT: [(&str, &[&str]); 15] = [
    ("domain", &[]),
    ("stats", &[]),
    ("strategy", &["domain", "stats"]),
    ("balancer", &["domain", "strategy"]),
    ("world", &["domain", "stats", "strategy"]),
    ("trace", &["domain"]),
    ("metrics", &["domain", "balancer"]),
    ("fit", &["domain", "stats", "trace", "world"]),
    ("sim", &["domain", "stats", "strategy", "balancer", "world"]),
    ("live", &["domain", "stats", "strategy", "balancer", "world", "trace", "metrics"]),
    ("experiment", &["domain", "stats", "strategy", "balancer", "world", "sim"]),
    (
        "validate",
        &["domain", "stats", "strategy", "balancer", "world", "sim", "experiment", "trace", "fit"],
    ),
    ("report", &BELOW_REPORT),
    ("watch", &BELOW_WATCH),
    ("cli", &BELOW_CLI),
];

const BELOW_REPORT: [&str; 10] = [
    "domain",
    "stats",
    "strategy",
    "balancer",
    "world",
    "sim",
    "experiment",
    "trace",
    "fit",
    "validate",
];

const BELOW_WATCH: [&str; 12] = [
    "domain",
    "stats",
    "strategy",
    "balancer",
    "world",
    "sim",
    "experiment",
    "trace",
    "fit",
    "validate",
    "report",
    "metrics",
];

const BELOW_CLI: [&str; 14] = [
    "domain",
    "stats",
    "strategy",
    "balancer",
    "world",
    "sim",
    "experiment",
    "trace",
    "fit",
    "validate",
    "report",
    "live",
    "watch",
    "metrics",
];

/// Crates that stay in few places: files, or folders with a slash at the end.
const HEAVY: [(&[&str], &[&str]); 5] = [
    (&["polars", "polars_io", "plotters", "ab_glyph", "epaint_default_fonts"], &["report/"]),
    (&["reqwest", "tokio", "httparse"], &["live/"]),
    (&["ratatui", "crossterm"], &["watch/"]),
    (&["clap", "indicatif", "inquire"], &["cli/", "main.rs"]),
    (&["rayon"], &["experiment/", "fit/", "stats/", "validate/", "cli/pool.rs"]),
];

/// The wall clock is read where time is real, or shown to people who wait.
const CLOCKS: [[&str; 2]; 2] = [["Instant", "now"], ["SystemTime", "now"]];
const MAY_READ_CLOCKS: [&str; 3] = ["live/", "cli/progress.rs", "cli/sweep/mod.rs"];

/// Randomness that no seed controls.
const AMBIENT_CALLS: [[&str; 2]; 2] = [["rand", "rng"], ["rand", "random"]];
const AMBIENT_NAMES: [&str; 5] = ["ThreadRng", "make_rng", "SysRng", "OsRng", "thread_rng"];

const MOST_LINES: usize = 400;

/// The module of a file of `src/`, given with forward slashes: `world/mod.rs` is `world`.
fn module_of(file: &str) -> Vec<String> {
    let mut parts: Vec<String> =
        file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

fn stands_in(file: &str, places: &[&str]) -> bool {
    places.iter().any(|p| if p.ends_with('/') { file.starts_with(p) } else { file == *p })
}

/// Everything that is wrong with a file, as `file:line: what`.
fn violations(file: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !code.starts_with("//!") {
        found.push(format!("{file}:1: does not open with `//!`"));
    }
    let lines = code.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{file}:{MOST_LINES}: has {lines} lines, more than {MOST_LINES}"));
    }
    let module = module_of(file);
    for path in paths(&tokens(code), &module) {
        let problems = [
            forbidden_import(file, &module, &path),
            heavy_crate(file, &path),
            banned_call(file, &path),
        ];
        let at = |problem| format!("{file}:{}: {problem}", path.line);
        found.extend(problems.into_iter().flatten().map(at));
    }
    found
}

fn forbidden_import(file: &str, module: &[String], path: &CodePath) -> Option<String> {
    let own = match module.first() {
        Some(own) => own.as_str(),
        None if file == "main.rs" => "cli",
        None => return None,
    };
    let [root, other, ..] = path.segments.as_slice() else { return None };
    if root != "crate" && root != "flakelab" || other == own {
        return None;
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == own) else {
        return Some(format!("`{own}` is not in the import table"));
    };
    let known = MAY_IMPORT.iter().any(|(name, _)| name == other);
    (known && !allowed.contains(&other.as_str()) || other == "*")
        .then(|| format!("`{own}` may not import `{other}`"))
}

fn heavy_crate(file: &str, path: &CodePath) -> Option<String> {
    let [first, _, ..] = path.segments.as_slice() else { return None };
    let (_, places) = HEAVY.iter().find(|(crates, _)| crates.contains(&first.as_str()))?;
    (!stands_in(file, places)).then(|| format!("`{first}` stays in {}", places.join(", ")))
}

fn banned_call(file: &str, path: &CodePath) -> Option<String> {
    let holds = |call: &[&str; 2]| path.segments.windows(2).any(|pair| pair == call);
    let clock = CLOCKS.iter().any(holds) && !stands_in(file, &MAY_READ_CLOCKS);
    let ambient = AMBIENT_CALLS.iter().any(holds)
        || path.segments.iter().any(|s| AMBIENT_NAMES.contains(&s.as_str()));
    (clock || ambient).then(|| format!("`{}` is banned", path.segments.join("::")))
}

/// Every Rust file of `src/` with its path relative to it.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src/ can be read") {
            let path = entry.expect("src/ can be read").path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let relative = |path: &PathBuf| {
        let inside = path.strip_prefix(&root).expect("found inside src/");
        inside.to_string_lossy().replace('\\', "/")
    };
    let read = |path: &PathBuf| fs::read_to_string(path).expect("sources are UTF-8");
    files.iter().map(|path| (relative(path), read(path))).collect()
}

#[test]
fn the_sources_keep_to_the_rules_of_the_house() {
    let sources = sources();
    assert!(sources.len() > 50, "{} files were found", sources.len());
    let found: Vec<String> =
        sources.iter().flat_map(|(file, code)| violations(file, code)).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_table_knows_every_module_and_has_no_cycle() {
    for (position, (name, allowed)) in MAY_IMPORT.iter().enumerate() {
        for other in *allowed {
            let below = MAY_IMPORT.iter().position(|(n, _)| n == other);
            assert!(below.is_some_and(|b| b < position), "{name} imports {other}");
        }
    }
}

/// The checker on one file of code that opens as it should.
fn found_in(file: &str, code: &str) -> Vec<String> {
    violations(file, &format!("//! Test.\n{code}"))
}

#[test]
fn planted_imports_are_found_with_their_line() {
    let planted = [
        ("strategy/x.rs", "use crate::world::Instance;"),
        ("strategy/x.rs", "use crate::{domain::Span, world::{Model, Oracle}};"),
        ("strategy/parts/x.rs", "use super::super::super::balancer::Ledger;"),
        ("strategy/x.rs", "fn f() -> crate::sim::EventQueue { todo!() }"),
        ("strategy/x.rs", "mod tests { mod inner { use super::super::super::super::sim::X; } }"),
        ("strategy/x.rs", "use flakelab::world::Instance;"),
        ("strategy/mod.rs", "pub use super::experiment::Plan;"),
        ("domain/x.rs", "use crate::stats::Moments;"),
        ("sim/x.rs", "use crate::trace::Row;"),
        ("world/x.rs", "use crate::*;"),
        ("newcomer/x.rs", "use crate::domain::Span;"),
    ];
    for (file, code) in planted {
        let found = found_in(file, code);
        assert_eq!(found.len(), 1 + usize::from(code.contains("Oracle}")), "{code}: {found:?}");
        assert!(found[0].starts_with(&format!("{file}:2: ")), "{found:?}");
    }
}

#[test]
fn planted_calls_and_heavy_crates_are_found() {
    let planted = [
        ("sim/x.rs", "let t = std::time::Instant::now();"),
        ("cli/models.rs", "let t = SystemTime::now();"),
        ("strategy/x.rs", "let mut rng = rand::rng();"),
        ("live/x.rs", "use rand::{Rng, rng};"),
        ("live/x.rs", "let x: f64 = rand::random();"),
        ("stats/x.rs", "use rand::rngs::SysRng;"),
        ("stats/x.rs", "let mut rng: ChaCha8Rng = make_rng();"),
        ("experiment/x.rs", "use polars::prelude::*;"),
        ("cli/x.rs", "fn f(p: plotters::style::RGBColor) {}"),
        ("sim/x.rs", "use rayon::prelude::*;"),
        ("cli/progress.rs", "use rayon::prelude::*;"),
        ("report/x.rs", "#[derive(clap::Args)] struct X;"),
    ];
    for (file, code) in planted {
        assert_eq!(found_in(file, code).len(), 1, "{code}: {:?}", found_in(file, code));
    }
}

#[test]
fn what_is_allowed_or_only_looks_like_a_violation_passes() {
    let innocent = [
        ("strategy/x.rs", "use crate::domain::{self, Span}; use super::parts::Tallies;"),
        ("strategy/x.rs", "// use crate::world::Model;\n/* crate::sim /* nested */ crate::sim */"),
        (
            "strategy/x.rs",
            r##"const A: &str = "crate::world \" crate::sim"; const B: &str = r#"""#;"##,
        ),
        ("strategy/x.rs", "fn f<'a>(c: &'a char) -> bool { *c == '\"' || *c == '\\'' }"),
        ("strategy/x.rs", "mod tests { use super::super::parts::testing; use super::*; }"),
        ("stats/x.rs", "pub(in crate::stats) fn f() {} pub(crate) fn g() {}"),
        ("stats/x.rs", "use rand::{Rng, rngs::SmallRng}; fn now() {} struct Instant;"),
        ("live/x.rs", "let t = Instant::now();"),
        ("cli/sweep/mod.rs", "let t = Instant::now();"),
        ("cli/pool.rs", "let p = rayon::ThreadPoolBuilder::new();"),
        ("main.rs", "fn main() { flakelab::cli::run(); }"),
        ("lib.rs", "pub use crate::live::Proxy;"),
    ];
    for (file, code) in innocent {
        assert!(found_in(file, code).is_empty(), "{code}: {:?}", found_in(file, code));
    }
}

#[test]
fn a_missing_head_and_a_long_file_are_found() {
    assert_eq!(violations("sim/x.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(found_in("sim/x.rs", &"// one more line\n".repeat(MOST_LINES)).len(), 1);
    assert!(found_in("sim/x.rs", &"// one more line\n".repeat(MOST_LINES - 1)).is_empty());
}
