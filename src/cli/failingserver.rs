//! `flakelab failingserver`.

use clap::Args;

use super::{Ending, OutputArguments};

/// Flags of `failingserver`.
#[derive(Debug, Args)]
pub(super) struct FailingserverArguments {}

/// Runs the subcommand.
pub(super) fn run(
    _arguments: &FailingserverArguments,
    _output: &OutputArguments,
) -> anyhow::Result<Ending> {
    Ok(Ending::Done)
}
