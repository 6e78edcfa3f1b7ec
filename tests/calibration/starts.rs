//! Starts inside a file: false alarms, power, location, calibration of the time of change, and
//! outages of all servers against restarts.
//!
//! Ten servers, error rates from Beta(2, 2), all redrawn together at a start; one attempt a
//! request, servers in turn or chosen by Thompson's rule.

use std::ops::Range;

use flakelab_core::domain::{Outcome, Purpose, Streams};
use flakelab_core::stats::{beta, index_below, standard_normal, uniform01};
use flakelab_fit::{Place, RatePrior, Starts, find_starts};
use flakelab_sim::trace::{Config, Group, Observed, Recording};
use flakelab_sim::world::ErrorFamily;
use rand::Rng;
use rayon::prelude::*;

use crate::study::{Finding, Study, made, must_be_rejected, uniformity};

const SERVERS: usize = 10;
const TRUTH: ErrorFamily = ErrorFamily::Beta { alpha: 2.0, beta: 2.0 };

/// Who chose the servers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Choice {
    InTurn,
    Thompson,
}

impl Choice {
    const ALL: [Self; 2] = [Self::InTurn, Self::Thompson];

    const fn name(self) -> &'static str {
        match self {
            Self::InTurn => "round robin",
            Self::Thompson => "Thompson",
        }
    }
}

/// At which requests servers are down.
#[derive(Debug, Clone, PartialEq)]
enum Down {
    Nobody,
    /// All of them fail.
    All(Range<usize>),
    /// The server that was asked most until then fails so often.
    Favourite(Range<usize>, f64),
}

/// A recording of starts that serve so many requests each, with servers down at some of them. The
/// strategy is told of neither.
fn recording(requests: &[usize], down: &Down, choice: Choice, design: u16, seed: u64) -> Recording {
    let mut rng = Streams::new(4_021).stream(Purpose::Analysis, design, seed);
    let mut tallies = [[1.0_f64; 2]; SERVERS];
    let mut attempts = Vec::with_capacity(requests.iter().sum());
    let mut favourite = None;
    for count in requests {
        let rates: Vec<f64> = (0..SERVERS).map(|_| beta(&mut rng, 2.0, 2.0)).collect();
        for _ in 0..*count {
            let request = attempts.len();
            let server = match choice {
                Choice::InTurn => request % SERVERS,
                Choice::Thompson => thompson(&tallies, &mut rng),
            };
            let rate = match down {
                Down::All(of) if of.contains(&request) => 1.0,
                Down::Favourite(of, rate) if of.contains(&request) => {
                    let asked = |i: &usize| tallies[*i][0] + tallies[*i][1];
                    let most = || (0..SERVERS).max_by(|a, b| asked(a).total_cmp(&asked(b)));
                    let favourite = *favourite.get_or_insert_with(|| most().unwrap_or(0));
                    if server == favourite { *rate } else { rates[server] }
                }
                _ => rates[server],
            };
            let failed = uniform01(&mut rng) < rate;
            tallies[server][usize::from(failed)] += 1.0;
            attempts.push(Observed {
                at_s: 1.7e9 + 0.1 * request as f64,
                latency_ms: 1.0,
                request: request as u32,
                attempt: 1,
                server: server as u8,
                outcome: if failed { Outcome::Failure } else { Outcome::Success },
                strategy: 0,
                identifier_byte: b'a',
            });
        }
    }
    made(Group::of_config(Config::ALL[0]), attempts)
}

/// Thompson's rule with a normal draw of the moments of the Beta posterior.
fn thompson(tallies: &[[f64; 2]; SERVERS], rng: &mut impl Rng) -> usize {
    let draws = tallies.map(|[s, f]| {
        let (n, mean) = (s + f, s / (s + f));
        mean + (mean * (1.0 - mean) / (n + 1.0)).sqrt() * standard_normal(rng)
    });
    (0..SERVERS).fold(0, |best, i| if draws[i] > draws[best] { i } else { best })
}

/// Made data of one kind: requests of each start, who chose, and a number of its own for the luck.
#[derive(Debug, Clone)]
struct Design {
    requests: Vec<usize>,
    choice: Choice,
    number: u16,
}

impl Design {
    /// What is found in many such recordings, in order.
    fn searched<T: Send>(&self, count: u64, of: impl Fn(&Recording, Starts) -> T + Sync) -> Vec<T> {
        let prior = RatePrior::of(&TRUTH);
        let one = |seed| {
            let made = recording(&self.requests, &Down::Nobody, self.choice, self.number, seed);
            let found = find_starts(&[&made], SERVERS, &prior);
            of(&made, found)
        };
        (0..count).into_par_iter().map(one).collect()
    }
}

/// The share of recordings without a restart in which one is found.
fn false_alarms(requests: usize, choice: Choice, number: u16, count: u64) -> Finding {
    let design = Design { requests: vec![requests], choice, number };
    let alarms = design.searched(count, |_, found| found.searches[0].restarts > 0);
    let alarms = alarms.into_iter().filter(|alarm| *alarm).count() as u64;
    Finding {
        what: format!("false alarms, {requests} requests, {}", choice.name()),
        measured: format!("{alarms} of {count}"),
        bound: "at most 1 %".to_owned(),
        held: Some(alarms * 100 <= count),
    }
}

/// The places found inside a recording: the attempt, and the attempts of its interval.
fn places(found: &Starts) -> Vec<(usize, Range<usize>)> {
    let inside = |place: &Place| match place {
        Place::Inside { attempt, attempts, .. } => Some((*attempt, attempts.clone())),
        Place::Between { .. } => None,
    };
    found.boundaries.iter().filter_map(|boundary| inside(&boundary.place)).collect()
}

/// How often a restart after `before` requests is found, and where.
fn power(before: usize, each: usize, choice: Choice, number: u16, count: u64) -> Vec<Finding> {
    let design = Design { requests: vec![before, each * SERVERS], choice, number };
    let found: Vec<_> = design.searched(count, |_, found| places(&found));
    let found: Vec<_> = found.iter().filter_map(|places| places.first()).collect();
    let share = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
    let power = share(found.len(), count as usize);
    let must = each >= 15 && choice == Choice::InTurn;
    let what = format!("{each} requests a server after {before} in all, {}", choice.name());
    let near = |by: usize| {
        share(found.iter().filter(|(at, _)| at.abs_diff(before) <= by).count(), found.len())
    };
    let held = found.iter().filter(|(_, interval)| interval.contains(&before)).count();
    vec![
        Finding {
            what: format!("restart found, {what}"),
            measured: format!("{power:.1} % of {count}"),
            bound: if must { "at least 95 %" } else { "" }.to_owned(),
            held: must.then_some(power >= 95.0),
        },
        Finding {
            what: format!("place of the restarts found, {what}"),
            measured: format!(
                "within 5 requests {:.1} %, within 5 a server {:.1} % of {}; the 95 % interval \
                 holds {:.1} %",
                near(5),
                near(5 * SERVERS),
                found.len(),
                share(held, found.len())
            ),
            bound: String::new(),
            held: None,
        },
    ]
}

/// Requests of the files in which one restart is uniform over all places.
const REQUESTS: usize = 300;

/// Randomised PIT of the place of a restart that is uniform over a file's places, shifted by so
/// many requests.
fn place_of_change(
    choice: Choice,
    number: u16,
    count: u64,
    prior: &RatePrior,
    shift: usize,
) -> Vec<f64> {
    let one = |seed: u64| {
        let mut rng = Streams::new(4_022).stream(Purpose::Analysis, number, seed);
        let place = 1 + index_below(&mut rng, REQUESTS - 1);
        let made = recording(&[place, REQUESTS - place], &Down::Nobody, choice, number, seed);
        let found = find_starts(&[&made], SERVERS, prior);
        let search = &found.searches[0];
        let truth = place - shift;
        let pairs = || search.places.iter().zip(&search.given_one);
        let below: f64 = pairs().filter(|(at, _)| **at < truth).map(|(_, p)| p).sum();
        let here: f64 = pairs().filter(|(at, _)| **at == truth).map(|(_, p)| p).sum();
        below + uniform01(&mut rng) * here
    };
    (0..count).into_par_iter().map(one).collect()
}

/// Calibration of the place, and what it must reject.
fn calibration_of_places(count: u64) -> Vec<Finding> {
    let truth = RatePrior::of(&TRUTH);
    let of = |choice, prior, shift| place_of_change(choice, 90, count, prior, shift);
    let pits = Choice::ALL
        .map(|choice| (format!("place of a restart, {}", choice.name()), of(choice, &truth, 0)));
    let mut findings = uniformity(&pits);
    // On fewer data sets neither error would show.
    if count >= 1_000 {
        let wrong = RatePrior::of(&ErrorFamily::Beta { alpha: 1.0, beta: 9.0 });
        findings.push(must_be_rejected(
            "a restart one request too early, Thompson",
            &of(Choice::Thompson, &truth, 1),
        ));
        findings.push(must_be_rejected(
            "places under another population, round robin",
            &of(Choice::InTurn, &wrong, 0),
        ));
    }
    findings
}

/// Outages of so many requests, four seconds at ten a second, shall be told from restarts.
const LONG: usize = 40;

/// A server that goes bad fails so often, about as often as one in an outage.
const BAD: f64 = 0.95;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// All servers down for so many requests.
    Outage(usize),
    Restart,
    /// Two restarts, so many requests apart.
    Restarts(usize),
    /// All servers down for so many requests, and then other error rates.
    OutageAndRestart(usize),
    /// The server that was asked most down for so many requests.
    OneDown(usize),
    /// That server bad to the end of the file.
    OneBad,
}

/// In how many of the files restarts are found, outages, restarts without an outage, and outages known
/// to be of all servers.
fn found_of(event: Event, choice: Choice, prior: &RatePrior, number: u16, count: u64) -> [u64; 4] {
    let one = |seed: u64| {
        let mut rng = Streams::new(4_023).stream(Purpose::Analysis, number, seed);
        let length = match event {
            Event::Restart | Event::OneBad => 0,
            Event::Outage(of)
            | Event::Restarts(of)
            | Event::OutageAndRestart(of)
            | Event::OneDown(of) => of,
        };
        let from = 1 + index_below(&mut rng, REQUESTS - length - 1);
        let until = from + length;
        let (requests, down) = match event {
            Event::Outage(_) => (vec![REQUESTS], Down::All(from..until)),
            Event::Restart => (vec![from, REQUESTS - from], Down::Nobody),
            Event::Restarts(_) => (vec![from, length, REQUESTS - until], Down::Nobody),
            Event::OutageAndRestart(_) => (vec![until, REQUESTS - until], Down::All(from..until)),
            Event::OneDown(_) => (vec![REQUESTS], Down::Favourite(from..until, 1.0)),
            Event::OneBad => (vec![REQUESTS], Down::Favourite(from..REQUESTS, BAD)),
        };
        let made = recording(&requests, &down, choice, number, seed);
        let found = find_starts(&[&made], SERVERS, prior);
        let (restart, outage) = (found.starts.len() > 1, !found.outages.is_empty());
        let of_all = found.outages.iter().any(|outage| outage.perhaps_only.is_none());
        [restart, outage, restart && !outage, of_all].map(u64::from)
    };
    let all: Vec<[u64; 4]> = (0..count).into_par_iter().map(one).collect();
    [0, 1, 2, 3].map(|which| all.iter().map(|of| of[which]).sum())
}

/// Outages called restarts, and restarts called outages; of these numbers of requests where the
/// population is known, and of the last where none is known beforehand.
fn outages(count: u64, lengths: &[usize]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A small version of the study allows for three standard deviations of chance.
    let chance = if count < 1_000 { 3.0 * (0.0099 * count as f64).sqrt() } else { 0.0 };
    let allowed = 0.01 * count as f64 + chance;
    for (known, prior, lengths) in [
        ("known", RatePrior::of(&TRUTH), lengths),
        ("unknown", RatePrior::flat(), &lengths[lengths.len() - 1..]),
    ] {
        let mut events = vec![
            ("a restart called an outage".to_owned(), Event::Restart),
            ("one server bad for good called an outage".to_owned(), Event::OneBad),
        ];
        for of in lengths {
            let mut add = |what, event| events.push((format!("{what}, {of} requests"), event));
            add("an outage called a restart", Event::Outage(*of));
            add("two restarts called an outage", Event::Restarts(*of));
            add("an outage that ends with a restart", Event::OutageAndRestart(*of));
            add("an outage of one server called one of all", Event::OneDown(*of));
        }
        for ((what, event), choice) in events.iter().flat_map(|e| Choice::ALL.map(|c| (e, c))) {
            let number = 100 + findings.len() as u16;
            let [restarts, outages, instead, of_all] =
                found_of(*event, choice, &prior, number, count);
            let wrong = match event {
                Event::Outage(of) => (*of >= LONG).then_some(instead),
                Event::Restart | Event::Restarts(_) | Event::OneBad => Some(outages),
                Event::OutageAndRestart(_) | Event::OneDown(_) => None,
            };
            findings.push(Finding {
                what: format!("{what}, {}, population {known}", choice.name()),
                measured: format!(
                    "restart in {restarts} ({instead} without an outage), outage in {outages} \
                     ({of_all} of all servers) of {count}"
                ),
                bound: wrong.map_or("", |_| "wrong in at most 1 %").to_owned(),
                held: wrong.map(|wrong| wrong as f64 <= allowed),
            });
        }
    }
    findings
}

fn sized(count: u64, lengths: &[usize], servings: [&[usize]; 2], down: &[usize]) -> Study {
    let mut findings = Vec::new();
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    for requests in lengths {
        for choice in Choice::ALL {
            findings.push(false_alarms(*requests, choice, next(), count));
        }
    }
    let before = lengths.iter().copied().max().unwrap_or(0);
    for (choice, servings) in Choice::ALL.into_iter().zip(servings) {
        for each in servings {
            findings.extend(power(before, *each, choice, next(), count));
        }
    }
    findings.extend(calibration_of_places(count));
    findings.extend(outages(count, down));
    Study {
        title: "Starts inside a file",
        method: "Ten servers with error rates from Beta(2, 2), known to the search; one attempt a \
             request, servers in turn or by Thompson's rule, which is not told of restarts. The \
             threshold is set for 0.5 % false alarms. Thompson gives most requests to few servers, \
             so 15 requests a server on average tell less of the others. Places: one restart, \
             uniform over 300 requests. Outages: all servers down for a number of requests, or the \
             one that was asked most, or restarts, anywhere in 300 requests; with the population \
             known, and with none known beforehand, as a fit begins."
            .to_owned(),
        findings,
    }
}

/// The study at full size.
pub fn study() -> Study {
    sized(1_000, &[100, 1_000, 3_000], [&[5, 10, 15, 40], &[15, 40]], &[15, 40])
}

#[test]
fn restarts_are_found_and_false_alarms_are_rare() {
    let small = sized(120, &[100, 1_000], [&[40], &[]], &[40]);
    let failed: Vec<&Finding> = small.findings.iter().filter(|f| f.held == Some(false)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
