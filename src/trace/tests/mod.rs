//! Reading, tested through [`super::Recording::read`]'s parser on texts made here.

mod bad_data;
mod foreign;
mod help;
mod ours;
mod properties;
mod real;

use std::path::Path;

use super::collect::Names;
use super::recording::parse;
use super::{ColumnMap, ReadOptions, Recording, TraceError};

/// The columns of the oldest recordings.
const HEADER: &str = "request_number,attempt_number,request_id,strategy,timestamp,server_port,\
                      success,latency_ms,request_complete,request_success";

/// The recordings in a text that is called x.csv.
fn read_with(text: &str, options: &ReadOptions) -> Result<Vec<Recording>, TraceError> {
    parse(Path::new("traces/x.csv"), text.as_bytes(), options, &mut Names::default())
}

/// The only recording in a text with our columns.
fn read(text: &str) -> Result<Recording, TraceError> {
    let mut all = read_with(text, &ReadOptions::default())?;
    assert_eq!(all.len(), 1);
    Ok(all.remove(0))
}

fn options(map: &str, group: Option<&str>) -> ReadOptions {
    ReadOptions { columns: ColumnMap::parse(map).unwrap(), group: group.map(str::to_owned) }
}

/// A row with our columns.
fn row(request: u32, attempt: u32, at_s: f64, port: u16, success: bool) -> String {
    let truth = if success { "True" } else { "False" };
    format!("{request},{attempt},{request:024},v4,{at_s},{port},{truth},1.5,{truth},{truth}")
}

/// A file with our columns.
fn file(rows: &[String]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}
