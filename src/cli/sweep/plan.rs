//! The plan that an experiment file and flags describe; flags win.

use std::path::PathBuf;

use anyhow::Context;

use super::{SweepArguments, Switch, models};
use crate::experiment::{
    Contender, ExperimentFile, ModelSource, Plan, ScenarioEntry, ScenarioFile, ScenarioModel,
    Settings,
};
use crate::world::{Document, Scenario, Traffic};

/// The plan that file and flags describe.
pub(super) fn plan(arguments: &SweepArguments, say: &dyn Fn(&str)) -> anyhow::Result<Plan> {
    let file = match &arguments.experiment {
        Some(path) => Some(ExperimentFile::parse(&Document::read(path)?)?),
        None => None,
    };
    let settings = file.as_ref().map_or_else(Settings::default, |f| f.settings);
    let entry =
        |source| ScenarioEntry { label: None, model: ScenarioModel::Named(source), settings };
    let read = |path: &PathBuf| Ok(ScenarioFile::read(path)?.entry);
    let entries: Vec<ScenarioEntry> = if !arguments.scenario.is_empty() {
        arguments.scenario.iter().map(read).collect::<anyhow::Result<_>>()?
    } else if !arguments.model.is_empty() {
        arguments.model.iter().cloned().map(ModelSource::File).map(entry).collect()
    } else if let Some(config) = &arguments.config {
        models::configs(config)?.into_iter().map(entry).collect()
    } else {
        match &file {
            Some(file) if !file.scenario_files.is_empty() || !file.scenarios.is_empty() => {
                let read: anyhow::Result<Vec<ScenarioEntry>> =
                    file.scenario_files.iter().map(read).collect();
                read?.into_iter().chain(file.scenarios.iter().cloned()).collect()
            }
            _ => vec![entry(ModelSource::Config(0))],
        }
    };
    let mut scenarios = Vec::new();
    for ScenarioEntry { label, model, settings } in entries {
        let model = match model {
            ScenarioModel::Own(model) => *model,
            ScenarioModel::Named(source) => {
                let (model, path) = models::load(&source)?;
                say(&format!("model {} from {}", model.name, path.display()));
                model
            }
        };
        let mut scenario = Scenario::new(model);
        scenario.traffic = arguments.traffic.map_or(settings.traffic, Traffic::from);
        scenario.rules = settings.rules;
        let rps = arguments.rps.or(settings.requests_per_second);
        scenario.requests_per_second = rps.unwrap_or(scenario.requests_per_second);
        let requests = arguments.requests.or(settings.requests);
        scenario.requests = requests.unwrap_or(scenario.requests);
        scenario.name = label.unwrap_or(scenario.name);
        scenarios.push(scenario);
    }
    let contenders = match &file {
        Some(file) if arguments.strategy.is_empty() && !file.contenders.is_empty() => {
            file.contenders.clone()
        }
        _ => contenders(&arguments.strategy)?,
    };
    let from_file = |get: fn(&ExperimentFile) -> Option<u64>| file.as_ref().and_then(get);
    let replications = arguments.seeds.or(from_file(|f| f.replications)).unwrap_or(1000);
    let master_seed = arguments.master_seed.or(from_file(|f| f.master_seed)).unwrap_or(42);
    let uncertain = arguments.parameter_uncertainty.map(|switch| switch == Switch::On);
    let uncertain = uncertain.or(file.as_ref().and_then(|f| f.parameter_uncertainty));
    let name = file.as_ref().map_or("sweep", |f| f.name.as_str());
    let plan = Plan::new(name, scenarios, contenders, replications, master_seed);
    let plan = plan.map(|plan| plan.with_parameter_uncertainty(uncertain.unwrap_or(true)));
    plan.with_context(|| match &arguments.experiment {
        Some(path) => path.display().to_string(),
        None => "this sweep cannot be run".to_owned(),
    })
}

/// The contenders that `--strategy` names, the five if it names none.
fn contenders(names: &[String]) -> anyhow::Result<Vec<Contender>> {
    let five = ["all".to_owned()];
    let names = if names.is_empty() { &five } else { names };
    Ok(models::strategies(names)?.into_iter().map(Contender::new).collect())
}
