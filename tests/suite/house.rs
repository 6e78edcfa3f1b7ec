//! Two rules of the house that neither the compiler nor clippy holds: every file says first what it
//! is for, and inside a crate no modules form a circle.
//!
//! The circles are found by reading lines, not Rust: `use` trees and paths that begin with `crate`,
//! `super`, `self`, a child or an imported name, outside of tests. A path leads to the file that
//! defines its last module or name, through whatever re-exports it; re-exports do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, path::Path};

/// Modules (`sim/world` for `sim/world.rs` or `sim/world/mod.rs`, `sim` for `sim/lib.rs`), with what
/// each file imports by name, and every path that it depends on.
#[derive(Default)]
struct House(BTreeMap<String, (BTreeMap<String, String>, Vec<String>)>);

impl House {
    fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut house = Self::default();
        for (file, text) in files {
            let stem = file.trim_end_matches(".rs");
            let module = stem.strip_suffix("/mod").or(stem.strip_suffix("/lib"));
            let (mut names, mut paths) = (BTreeMap::new(), Vec::new());
            for statement in format!(" {}", without_tests(text)).split(';') {
                let (code, tree) = statement.rsplit_once(" use ").unwrap_or((statement, ""));
                let is_word = |c: char| c.is_alphanumeric() || "_:".contains(c);
                let inline = code.split(|c| !is_word(c)).map(|path| path.trim_end_matches(':'));
                paths.extend(inline.filter(|path| path.contains("::")).map(str::to_owned));
                let is_public = code.ends_with("pub") || code.ends_with(')');
                for path in expanded("", tree) {
                    let (path, alias) = path.split_once(" as ").unwrap_or((&path, ""));
                    let path = path.trim_end_matches("::self").to_owned();
                    let own = path.rsplit("::").next().unwrap_or_default();
                    names.insert(
                        if alias.is_empty() { own } else { alias }.to_owned(),
                        path.clone(),
                    );
                    if module.is_none() || !is_public {
                        paths.push(path);
                    }
                }
            }
            house.0.insert(module.unwrap_or(stem).to_owned(), (names, paths));
        }
        house
    }

    /// The module that a path leads to from `module`; none if it leaves the crate.
    fn resolve(&self, module: &str, path: &str, steps: usize) -> Option<String> {
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        let parent = module.rsplit_once('/').map_or(module, |(parent, _)| parent);
        match first {
            "crate" => self.resolve(module.split('/').next()?, &format!("self::{rest}"), steps),
            "super" => self.resolve(parent, &format!("self::{rest}"), steps),
            "self" if rest.is_empty() => Some(module.to_owned()),
            "self" => self.resolve(module, rest, steps).or_else(|| {
                let is_own = !self.0.get(module)?.0.contains_key(rest.split("::").next()?);
                is_own.then(|| module.to_owned())
            }),
            _ if self.0.contains_key(&format!("{module}/{first}")) => {
                self.resolve(&format!("{module}/{first}"), &format!("self::{rest}"), steps)
            }
            _ => {
                let import = self.0.get(module)?.0.get(first).filter(|import| *import != path)?;
                let path = format!("{import}::{rest}");
                self.resolve(module, path.trim_end_matches(':'), steps.checked_sub(1)?)
            }
        }
    }

    /// Modules that depend on one another in a circle; empty if there is none.
    fn circle(&self) -> Vec<String> {
        let mut needs: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
        for (module, (_, paths)) in &self.0 {
            let found = paths.iter().filter_map(|path| self.resolve(module, path, 9));
            needs.insert(module, found.filter(|other| other != module).collect());
        }
        // Whatever needs nothing, or nothing that is left, stands in no circle.
        while let Some(free) = needs.iter().find(|(_, n)| !n.iter().any(|n| needs.contains_key(n)))
        {
            let free = *free.0;
            needs.remove(free);
        }
        let mut walk: Vec<String> = needs.keys().take(1).map(|first| (*first).clone()).collect();
        while let Some(next) =
            walk.last().and_then(|l| needs[l].iter().find(|n| needs.contains_key(n)))
        {
            if let Some(start) = walk.iter().position(|seen| seen == next) {
                return walk.split_off(start);
            }
            walk.push(next.clone());
        }
        walk
    }
}

/// A file without comments, test modules and items for tests alone.
fn without_tests(text: &str) -> String {
    let mut lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let mut code = String::new();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            code.extend([line.trim_start_matches("pub(in crate::"), " "]);
        } else if lines.next().is_some_and(|item| item.contains("mod ") && item.ends_with('{')) {
            break;
        }
    }
    code
}

/// The paths of a `use` tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expanded(prefix: &str, tree: &str) -> Vec<String> {
    let Some((head, inner)) = tree.split_once('{') else {
        return if tree.trim().is_empty() {
            Vec::new()
        } else {
            vec![prefix.to_owned() + tree.trim()]
        };
    };
    let (prefix, mut depth) = (prefix.to_owned() + head.trim(), 0);
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let branches = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    branches.flat_map(|branch| expanded(&prefix, branch)).collect()
}

/// Every Rust file below `src`, as `sim/world/mod.rs`, with its text.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).expect("below src").to_string_lossy();
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                files.insert(name.replace('\\', "/"), text);
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    files
}

#[test]
fn every_file_opens_with_its_idea_and_no_modules_form_a_circle() {
    let files = sources();
    let silent: Vec<&String> = files.keys().filter(|f| !files[*f].starts_with("//!")).collect();
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:?}");
    let root = |file: &str| format!("{}/lib.rs", file.split('/').next().unwrap_or_default());
    let of_crates = files.iter().filter(|(file, _)| files.contains_key(&root(file)));
    let circle = House::of(of_crates.map(|(file, text)| (&**file, &**text))).circle();
    assert!(circle.is_empty(), "each of these needs the next: {circle:#?}");
}

#[test]
fn a_planted_circle_is_found_through_re_exports_and_what_only_looks_like_one_is_not() {
    let planted = |lines: [&str; 3]| {
        let names = ["sim/lib.rs", "sim/a/mod.rs", "sim/a/x.rs", "sim/b.rs"];
        House::of(
            names.into_iter().zip(["pub mod a;\nmod b;\npub use b::B;"].into_iter().chain(lines)),
        )
        .circle()
    };
    let parent = "mod x;\npub use self::x::{X as Y, Z};\nstruct Own;";
    for (x, b) in [
        ("use crate::B;", "use super::a::{\n    self, Y,\n};"),
        ("fn f() -> crate::b::B { B }", "pub use crate::{a::{Own, Z}};"),
    ] {
        assert_eq!(planted([parent, x, b]).len(), 2, "{x} {b}");
    }
    assert_eq!(planted(["mod x;\nuse x::X;\nstruct Own;", "use super::Own;", ""]).len(), 2);
    let test = "//! crate::B\nuse super::Own;\n#[cfg(test)]\nmod tests {\n    use crate::B;\n}";
    assert_eq!(planted([parent, test, "use crate::a::Own;\nuse crate::a::Y;"]), [""; 0]);
}
