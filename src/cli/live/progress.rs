//! One bar a strategy, on a terminal only; a finished one leaves a line.

use std::cell::Cell;

use super::LivePlan;
use crate::cli::progress::Bar;
use crate::live::load::{End, Sent};
use crate::validate::forecast::{LiveRun, RunMetric};

/// The bar of one run.
pub(super) struct RunBar {
    bar: Bar,
    label: String,
    ok: Cell<u64>,
    others: Cell<u64>,
    /// Off a terminal a line is said at the end.
    say: bool,
}

impl RunBar {
    /// A bar over so many requests.
    pub(super) fn new(plan: &LivePlan, requests: u64, label: &str) -> Self {
        let hidden = plan.output.quiet || plan.arguments.watch;
        // No name of a strategy holds braces, which a template would read as its own.
        let template = format!("{label:32} {{bar:20}} {{human_pos}}/{{human_len}}  {{msg}}");
        let bar = Bar::like(&template, requests, hidden);
        let label = label.to_owned();
        let say = !hidden;
        Self { bar, label, ok: Cell::new(0), others: Cell::new(0), say }
    }

    /// A request ended.
    pub(super) fn count(&self, sent: &Sent) {
        let counter = if sent.end == End::Ok { &self.ok } else { &self.others };
        counter.set(counter.get() + 1);
        self.bar.one_more(match self.others.get() {
            0 => format!("{} answered 200", self.ok.get()),
            others => format!("{} answered 200, {others} not", self.ok.get()),
        });
    }

    /// Nothing is to be said of this run.
    pub(super) fn clear(self) {
        drop(self.bar);
    }

    /// The run is over.
    pub(super) fn finish(self, run: &LiveRun) {
        drop(self.bar);
        if self.say {
            let value = |metric| run.value(metric);
            eprintln!(
                "{:32} score {:.0} of {}, {:.0} attempts, p50 {:.1} ms",
                self.label,
                value(RunMetric::Score),
                run.requests.len(),
                value(RunMetric::Attempts),
                value(RunMetric::LatencyP50),
            );
        }
    }
}
