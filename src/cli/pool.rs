//! The threads that a command computes on.

use anyhow::{Context, bail};

/// A pool of that many threads, of as many as there are cores without a number.
pub(super) fn pool(threads: Option<usize>) -> anyhow::Result<rayon::ThreadPool> {
    let threads = match threads {
        Some(n @ 1..=256) => n,
        Some(n) => bail!("{n} threads are not possible: `--threads` expects 1 to 256"),
        // Zero lets rayon choose: RAYON_NUM_THREADS, else all cores.
        None => 0,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.context("cannot start threads")
}
