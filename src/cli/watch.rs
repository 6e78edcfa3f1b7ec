//! `flakelab watch`.

use clap::Args;

use super::{Ending, OutputArguments};

/// Flags of `watch`.
#[derive(Debug, Args)]
pub(super) struct WatchArguments {}

/// Runs the subcommand.
pub(super) fn run(
    _arguments: &WatchArguments,
    _output: &OutputArguments,
) -> anyhow::Result<Ending> {
    Ok(Ending::Done)
}
