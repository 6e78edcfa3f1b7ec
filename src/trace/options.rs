//! How a trace is to be read: whose columns, whose servers.
//!
//! When not to use it: files that this program wrote need no options.

use super::column::ColumnMap;

/// How to read traces; the default takes those of the three configs, with our columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// What the files call our columns.
    pub columns: ColumnMap,
    /// The name of a group of somebody's own servers: all rows belong to it, whatever their ports.
    /// `None` for the three configs.
    pub group: Option<String>,
}

impl ReadOptions {
    /// Whether the files were not written for this program: they may lack columns, hold status
    /// codes instead of `success`, and several upstreams in one row.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.group.is_some() || !self.columns.is_empty()
    }
}
