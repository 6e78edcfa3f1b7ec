//! stub
mod dynamic_program;
mod exact;
mod paired;
mod players;
mod prior;
mod simplex;

use dynamic_program::{Case, optimum, Policy};
use prior::Prior;
use std::sync::Arc;

const UNIFORM: Prior = Prior::Uniform { low: 0.25, high: 0.98 };

#[test]
#[ignore]
fn timing() {
    for (n, h) in [(2, 5), (2, 10), (2, 15), (2, 20), (2,30), (3, 5), (3, 8), (3, 10), (4, 5)] {
        let t = std::time::Instant::now();
        let case = Case::new(UNIFORM, n, h);
        let v = optimum(&case);
        println!("{n} {h}: {v} oracle {} regret {:.5}, {:?}", case.oracle(), case.oracle() - v, t.elapsed());
    }
    for (n, h) in [(2, 10), (3, 5)] {
        let case = Case::new(UNIFORM, n, h);
        let (policy, value) = Policy::optimal(&case);
        let policy = Arc::new(policy);
        let rows = players::rows(&case);
        let t = std::time::Instant::now();
        let p = paired::paired(&case, &policy, &rows, 50_000, 1);
        println!("{value} sim {} +- {} oracle {} {} +- {} {:?}", p.optimum.mean(), p.optimum.std_error(), case.oracle(), p.oracle.mean(), p.oracle.std_error(), t.elapsed());
        for (row, r) in rows.iter().zip(&p.regrets) {
            let t = std::time::Instant::now();
            if row.from_counts {
                let e = exact::exact(&case, &row.build);
                println!("{}: exact {:.5} (err {:e}) {:?}", row.label, value - e.score, e.error, t.elapsed());
            }
            println!("{}: {:.5} +- {:.5} = {:.1} %", row.label, r.mean(), r.std_error(), 100.0 * r.mean() / (case.oracle() - value));
        }
    }
}
