//! `flakelab strategies`: what there is to play with, from what every strategy says of itself.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::common::{Ending, OutputArguments, Style, print, terminal_width};
use crate::cli::models;
use crate::report::folded;
use flakelab_core::strategy::{Group, Parameter, Range, StrategySpec};

const EXAMPLES: &str = "\
Examples:
  flakelab strategies                      every strategy with its parameters
  flakelab strategies v1 thompson-scaled   these two
  flakelab strategies mesh                 a group
  flakelab strategies --format json

Anywhere else: --strategy v1,v5:decay=0.7 names strategies, and parameters behind colons.";

/// Lines are folded here at the latest: longer ones are hard to read.
const WIDEST: usize = 100;

/// The width of what is not a terminal.
const USUAL: usize = 80;

/// Keys and defaults are set in a column up to this wide.
const WIDEST_KEY: usize = 26;

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct StrategiesArguments {
    /// Names, aliases or groups; all without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// What to print: table or json
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

pub(crate) fn run(
    arguments: &StrategiesArguments,
    output: &OutputArguments,
) -> anyhow::Result<Ending> {
    let wanted = wanted(&arguments.names)?;
    print(&match arguments.format {
        Format::Json => {
            serde_json::to_string_pretty(&wanted.iter().map(described).collect::<Vec<_>>())?
        }
        Format::Table => {
            let width = terminal_width().unwrap_or(USUAL).min(WIDEST);
            list(&wanted, width, output.color.on_stdout())
        }
    })?;
    Ok(Ending::Done)
}

fn groups() -> impl Iterator<Item = Group> {
    Group::RANKED.into_iter().chain([Group::Reference])
}

/// The strategies that the names stand for, in the order of lists, each once.
fn wanted(names: &[String]) -> anyhow::Result<Vec<StrategySpec>> {
    let mut named: Vec<StrategySpec> = Vec::new();
    for name in names.iter().flat_map(|name| name.split(',')).map(str::trim) {
        if let Some(group) = groups().find(|g| g.name() == name.to_ascii_lowercase()) {
            named.extend(StrategySpec::of_group(group));
            continue;
        }
        let many = StrategySpec::named_by(name).map_err(|error| models::spec_error(&error))?;
        named.extend(many);
        // References, which stand for nothing to rank, are described all the same.
        named.extend(StrategySpec::from_name(name));
    }
    let is_wanted = |spec: &StrategySpec| {
        names.is_empty() || named.iter().any(|other| other.name() == spec.name())
    };
    let all = groups().flat_map(StrategySpec::of_group);
    Ok(all.filter(is_wanted).collect())
}

/// For people: groups, ideas, parameters.
fn list(specs: &[StrategySpec], width: usize, style: Style) -> String {
    let keys = specs.iter().flat_map(|spec| spec.entry().parameters.iter().map(|p| key(spec, p)));
    let column = keys.map(|key| key.chars().count()).max().unwrap_or(0).min(WIDEST_KEY);
    let mut text = String::new();
    // Writing to a string cannot fail.
    for group in groups() {
        let of_group: Vec<&StrategySpec> =
            specs.iter().filter(|spec| spec.entry().group == group).collect();
        if of_group.is_empty() {
            continue;
        }
        let heading = format!("{}: {}", group.name(), group.meaning());
        let _ = writeln!(text, "{}", style.strong(&folded(&heading, "  ", Some(width))));
        for spec in of_group {
            let alias = spec.alias().map_or_else(String::new, |alias| format!(" ({alias})"));
            let _ = writeln!(text, "\n  {}{alias}", style.strong(spec.name()));
            let idea = format!("    {}", spec.entry().idea);
            let _ = writeln!(text, "{}", folded(&idea, "    ", Some(width)));
            for parameter in spec.entry().parameters {
                let key = key(spec, parameter);
                let rest = " ".repeat(column + 8);
                let mut first = format!("      {key:<column$}  ");
                if key.chars().count() > column {
                    let _ = writeln!(text, "{}", first.trim_end());
                    first.clone_from(&rest);
                }
                let line = format!("{first}{}", said(parameter));
                let _ = writeln!(text, "{}", folded(&line, &rest, Some(width.max(column + 28))));
            }
        }
        text.push('\n');
    }
    text + &folded(
        "`flakelab tune --strategy NAME` searches for better parameters; `oracle`, which is shown \
         the truth, and `random` stand beside every comparison.",
        "",
        Some(width),
    )
}

/// `discover_limit = 50`.
fn key(spec: &StrategySpec, parameter: &Parameter) -> String {
    let table = spec.to_table();
    let value = table.get(parameter.key);
    let value =
        value.map(|v| v.as_float().map_or_else(|| v.to_string(), |number| number.to_string()));
    format!("{} = {}", parameter.key, value.unwrap_or_default())
}

fn said(parameter: &Parameter) -> String {
    let searched = match parameter.range {
        Range::Whole { searched: Some((low, high)), .. } => format!("; tune tries {low} to {high}"),
        Range::Number { searched: Some((low, high)), .. } => {
            format!("; tune tries {low} to {high}")
        }
        _ => String::new(),
    };
    format!("{} ({}{searched})", parameter.meaning, parameter.range)
}

#[derive(Serialize)]
struct Described {
    name: &'static str,
    alias: Option<&'static str>,
    group: &'static str,
    idea: &'static str,
    parameters: Vec<DescribedParameter>,
}

#[derive(Serialize)]
struct DescribedParameter {
    key: &'static str,
    meaning: &'static str,
    default: Option<toml::Value>,
    #[serde(flatten)]
    range: Range,
}

fn described(spec: &StrategySpec) -> Described {
    let entry = spec.entry();
    let defaults = spec.to_table();
    let parameter = |parameter: &Parameter| DescribedParameter {
        key: parameter.key,
        meaning: parameter.meaning,
        default: defaults.get(parameter.key).cloned(),
        range: parameter.range,
    };
    Described {
        name: entry.name,
        alias: entry.alias,
        group: entry.group.name(),
        idea: entry.idea,
        parameters: entry.parameters.iter().map(parameter).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::common::ColorWhen;

    fn names(wanted_names: &[&str]) -> Vec<&'static str> {
        let names: Vec<String> = wanted_names.iter().map(|n| (*n).to_owned()).collect();
        wanted(&names).unwrap().iter().map(StrategySpec::name).collect()
    }

    #[test]
    fn names_aliases_groups_and_references_stand_for_strategies() {
        assert_eq!(names(&[]).len(), StrategySpec::all_with_defaults().len());
        assert_eq!(names(&["V4", "larkin,v1"]), ["larkin", "thompson"]);
        assert_eq!(names(&["all"]), flakelab_core::strategy::FIVE);
        assert_eq!(names(&["random"]), ["random"]);
        assert_eq!(names(&["references"]), ["random"]);
        assert!(!names(&["everything"]).contains(&"random"));
    }

    #[test]
    fn the_list_fits_the_terminal() {
        let all = wanted(&[]).unwrap();
        for width in [80, 60, 100] {
            let text = list(&all, width, ColorWhen::Never.on_stdout());
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width, "{longest} of {width}:\n{text}");
        }
    }
}
