//! `flakelab proxy`.

use clap::Args;

use super::{Ending, OutputArguments};

/// Flags of `proxy`.
#[derive(Debug, Args)]
pub(super) struct ProxyArguments {}

/// Runs the subcommand.
pub(super) fn run(
    _arguments: &ProxyArguments,
    _output: &OutputArguments,
) -> anyhow::Result<Ending> {
    Ok(Ending::Done)
}
