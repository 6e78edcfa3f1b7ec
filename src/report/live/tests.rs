//! A live run's report as users get it: sentences, tables, files, charts.

use super::sample::{adjust, made, made_of};
use super::*;

fn made_so() -> LiveMade {
    LiveMade {
        name: "live-test".to_owned(),
        argv: ["flakelab", "live", "--config", "0"].map(str::to_owned).to_vec(),
        spec_hash: "abcd".to_owned(),
        seed: 42,
        planned: 5,
        finished: 5,
        interrupted: false,
        servers: "our own stand-in, config 0 of models/config-0.toml".to_owned(),
        other_files: vec![("trace.csv".to_owned(), "every attempt".to_owned())],
    }
}

#[test]
fn dump() {
    let made = made(100, 10);
    let page = made.page();
    crate::report::configure_tables();
    for width in [Some(80), Some(200)] {
        println!(
            "{}\n\n{}\n\n{}",
            live_table(&page, width),
            live_compared(&page, width),
            live_verdict(&page)
        );
    }
    println!("{}", live_summary_csv(&[page]).unwrap());
    std::fs::create_dir_all("/tmp/livereport/charts").unwrap();
    for (name, bytes) in live_files(&[page], &made_so(), true).unwrap() {
        std::fs::write(format!("/tmp/livereport/{name}"), bytes).unwrap();
    }
}
