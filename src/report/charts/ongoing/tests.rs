//! The page of a live run, with and without data.

use super::*;

fn picture() -> OngoingPicture {
    let metric = |name: &str, value, low, high, place| OngoingMetric {
        name: name.to_owned(),
        value,
        value_text: "90".to_owned(),
        interval_text: "84 to 97".to_owned(),
        interval: Interval { low, high },
        mean: (low + high) / 2.0,
        place,
    };
    OngoingPicture {
        name: "V4 thompson, config 0".to_owned(),
        state: "running after 0:04, 42 requests answered".to_owned(),
        headline: vec![("score".to_owned(), "38".to_owned()), ("p50".to_owned(), "-".to_owned())],
        servers: (0..3)
            .map(|i| OngoingServer {
                name: (4000 + i).to_string(),
                share: f64::from(i) / 3.0,
                attempts: u64::from(i as u32),
                success_rate: (i > 0).then_some(0.5),
                belief: Some(0.7),
                rate_limited: 0,
                latency_ms: (i > 0).then_some(1.2),
            })
            .collect(),
        latencies_ms: vec![1.0, 2.0, 300.0, 1.1],
        quantiles_ms: vec![("p50".to_owned(), 1.5), ("p99".to_owned(), 300.0)],
        is_whole: true,
        compared: vec![
            metric("score", Some(90.0), 84.0, 97.0, OngoingPlace::Inside),
            metric("penalty", Some(20.0), 0.0, 3.0, OngoingPlace::Outside("above".to_owned())),
            metric("p99 ms", None, 1.0, 2.0, OngoingPlace::Unknown("too early".to_owned())),
            metric("rate limited", Some(0.0), 0.0, 0.0, OngoingPlace::Inside),
        ],
        comparison_note: "Counts at their pace.".to_owned(),
    }
}

#[test]
fn the_page_names_every_server_and_metric_and_what_lies_outside() {
    let chart = draw_ongoing(&picture()).unwrap();
    super::super::tests::assert_well_formed(&chart.svg);
    for text in ["4000", "4001", "4002", "score", "penalty", "above", "too early", "p99 300 ms"] {
        assert!(chart.svg.contains(&format!(">\n{text}\n<")), "{text}");
    }
    assert!(chart.caption.contains("Server 4002 got 67 %"), "{}", chart.caption);
    assert!(chart.caption.contains("Outside its predicted interval: penalty."));
}

#[test]
fn nothing_and_nonsense_can_be_drawn() {
    let mut empty = picture();
    empty.servers.clear();
    empty.latencies_ms.clear();
    empty.compared.clear();
    let mut strange = picture();
    strange.name = "<&\u{1}>".to_owned();
    strange.latencies_ms = vec![f64::NAN, -1.0, 0.0, f64::INFINITY, 1e300];
    strange.servers[0].belief = Some(f64::NAN);
    strange.servers[1].share = f64::INFINITY;
    for (i, x) in [f64::NAN, f64::INFINITY, -1e300, 1e300].into_iter().enumerate() {
        strange.compared[i].value = Some(x);
        strange.compared[3 - i].interval = Interval { low: x, high: x };
    }
    for picture in [empty, strange] {
        let chart = draw_ongoing(&picture).unwrap();
        super::super::tests::assert_well_formed(&chart.svg);
        assert!(!chart.svg.contains("NaN"), "{}", chart.svg);
    }
}
