//! One file a subcommand. Only here are terminals, signals and exit codes known.
//!
//! Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 a check that
//! was asked for did not hold, 2 usage, config or I/O, 130 interrupted.

mod common;
mod failingserver;
mod fit;
mod guard;
mod live;
mod load;
mod models;
mod proxy;
mod results;
mod strategies;
mod sweep;
mod tune;
mod validate;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::common::{Ending, OutputArguments};

/// A laboratory for load-balancing strategies on flaky servers.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, before_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputArguments,
}

const EXAMPLES: &str = "\
Examples:
  flakelab sweep --strategy all --seeds 1000     who wins on the fitted servers, and by how much
  flakelab sweep --config all --strategy v1,v4   two strategies on all three configs
  flakelab sweep --experiment experiments/horizon.toml
  flakelab tune --strategy v1                    better parameters, tried on fresh seeds
  flakelab fit traces/*.csv --out models         models from your own recordings
  flakelab validate traces/*.csv                 does what is learned from runs predict others?";

#[derive(Debug, Subcommand)]
enum Command {
    /// Play strategies against simulated servers and say which one wins
    Sweep(sweep::SweepArguments),
    /// Search for better parameters of a strategy, and try them on fresh seeds
    Tune(tune::TuneArguments),
    /// List the strategies and their parameters
    Strategies(strategies::StrategiesArguments),
    /// Fit server models to recorded traces
    Fit(fit::FitArguments),
    /// Send requests on schedule, or the load that shows a server's rate limit
    Load(load::LoadArguments),
    /// Play strategies in front of real servers and say whether the prediction held
    Live(live::LiveArguments),
    /// Serve HTTP in front of servers, by a strategy
    Proxy(proxy::ProxyArguments),
    /// Stand in for the servers of a model, over HTTP
    Failingserver(failingserver::FailingserverArguments),
    /// Watch a proxy's metrics file
    Watch(watch::WatchArguments),
    /// Predict real runs, from each other or from a model, and say whether that held
    Validate(validate::ValidateArguments),
    /// Keep a program from outliving its supervisor
    #[command(hide = true)]
    Guard(guard::GuardArguments),
}

/// Runs the program on the process's command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = &arguments.output;
    let result = match &arguments.command {
        Command::Sweep(sweep) => sweep::run(sweep, output),
        Command::Tune(tune) => tune::run(tune, output),
        Command::Strategies(wanted) => strategies::run(wanted, output),
        Command::Fit(fit) => fit::run(fit, output),
        Command::Load(load) => load::run_load(load, output),
        Command::Live(live) => live::run(live, output),
        Command::Proxy(proxy) => proxy::run(proxy, output),
        Command::Failingserver(servers) => failingserver::run(servers, output),
        Command::Watch(watch) => watch::run(watch, output),
        Command::Validate(validate) => validate::run(validate, output),
        Command::Guard(guard) => guard::run(guard),
    };
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::DidNotHold) => ExitCode::from(1),
        Ok(Ending::Interrupted) => ExitCode::from(130),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let label = output.color.on_stderr().error("error:");
            eprintln!("{label} {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
