//! Sweeps over what the traces leave open: where draws come from, and that the spread they cause
//! is found again.

use std::fs;

use flakelab::report::verdict;
use flakelab_core::stats::Interval;
use flakelab_core::strategy::RandomSpec;
use flakelab_core::strategy::StrategySpec;
use flakelab_sim::experiment::{
    Contender, LeadLeftOpen, ParameterSd, Parameters, Plan, Player, Ranking, Row, Summary,
};
use flakelab_sim::world::{ErrorFamily, Model, RateLimit, Scenario};

use crate::common::{UNIFORM, constant_ms, contender, drawn, model, named, scenario, swept};
use crate::program::{flakelab, stderr, stdout};

fn uniform(low: f64, high: f64) -> ErrorFamily {
    ErrorFamily::Uniform { low, high }
}

/// Model of two servers whose population is one of the rows.
fn two_servers(rows: Vec<ErrorFamily>) -> Model {
    let mut model = model(2, UNIFORM, RateLimit::None, constant_ms(1.0));
    model.error_rate.posterior = rows.into();
    model
}

/// The game where each request has `max_attempts` attempts and then is given up.
fn capped(model: Model, max_attempts: u32) -> Scenario {
    let mut scenario = scenario(model, 100);
    scenario.rules.max_attempts = Some(max_attempts);
    scenario
}

fn plan(scenario: Scenario, ranked: Vec<Contender>, replications: u64) -> Plan {
    Plan::new("test", vec![scenario], ranked, replications, 42).expect("a valid plan")
}

/// Each request of 100 has three attempts that fail with probability 0.3 or 0.6, so the true
/// mean is 97.3 or 78.4; with draws that meet both equally often, 400 of them have a standard
/// deviation of 9.45 x sqrt(400 / 399) = 9.462. The noise of a group's mean has variance
/// (2.63 + 16.93) / 2 / 4 = 2.45, hence the estimate a standard error of sqrt(2.45 / 400) =
/// 0.078: within 4.5 of them (false alarm 7e-6), fixed seed. The spread of single replications,
/// sqrt(9.45^2 + 9.78) = 9.95, taken by mistake, is caught.
#[test]
fn the_spread_of_two_known_means_is_found() {
    let model = two_servers(vec![uniform(0.3, 0.3), uniform(0.6, 0.6)]);
    let (_, summary) = swept(&plan(capped(model, 3), vec![Contender::new(named("v4"))], 1600));
    let scenario = &summary.scenarios[0];
    assert_eq!(scenario.parameters, Parameters::Drawn);
    let close = |sd: f64| (sd - 9.462).abs() < 4.5 * 0.078;
    for contender in &scenario.contenders {
        let sd = contender.score_parameter_sd.expect("400 draws").sd;
        assert!(close(sd), "{}: {sd}", contender.strategy);
        assert!(!close(contender.score.std_dev), "{}", contender.score.std_dev);
        // Complete passes through both rows: the mean is theirs, within 4.5 sqrt(9.78 / 1600).
        assert!((contender.score.mean - 87.85).abs() < 4.5 * 0.078, "{}", contender.score.mean);
    }
}

/// With one attempt a request, somebody who knows the rates p and q of two servers gains
/// 100 |p - q| / 2 on a coin: on average 0 where both fail equally, 10 where they are uniform on
/// 0 to 0.6. That is a standard deviation of 5. A group's mean has noise of variance 11.25 (45
/// over 4), its square root's square a standard error of 2 x 5 x sqrt(11.25 / 400) = 1.7 and, by
/// the variance of mean squares, at most 1.6 more: 5 +- 4.5 x 0.23 (false alarm 7e-6), fixed seed.
/// The spread of single differences, sqrt(25 + 45) = 8.4, is caught.
#[test]
fn the_spread_of_a_difference_of_two_strategies_is_found() {
    let model = two_servers(vec![uniform(0.3, 0.3), uniform(0.0, 0.6)]);
    let coin = contender("coin", StrategySpec::Random(RandomSpec::default()), 1);
    let knows = Contender { label: "knows".into(), player: Player::Oracle, ..coin.clone() };
    let (rows, summary) = swept(&plan(capped(model, 1), vec![coin, knows], 1600));
    let ranked: Vec<Ranking> = summary.scenarios[0].ranked().map(|(_, r)| r).collect();
    assert_eq!(
        ranked[0].delta_parameter_sd.map(|s| s.sd),
        Some(0.0),
        "nobody differs from himself"
    );
    let Ranking { delta, delta_parameter_sd, lead_left_open, .. } = ranked[1];
    let ParameterSd { sd, low, high } = delta_parameter_sd.expect("400 draws");
    assert!(low > 0.0 && low < sd && sd < high, "{low} {high}");
    let close = |sd: f64| (sd - 5.0).abs() < 4.5 * 0.23;
    assert!(close(sd), "{sd}");
    assert!((delta + 5.0).abs() < 4.5 * (45.0_f64 / 1600.0).sqrt(), "{delta}");
    let differences = flakelab_core::stats::Moments::from_iter(
        rows.chunks(4).map(|of_replication| of_replication[2].score - of_replication[3].score),
    );
    assert!(!close(differences.std_dev()), "{}", differences.std_dev());
    // The true lead is 0 with one row and 10 with the other: both ends must be within what is said, which
    // cannot know that there are only two and makes of the luck of four replications a range around
    // each.
    let LeadLeftOpen { ahead, range } = lead_left_open.expect("400 draws");
    assert!((0.6..0.95).contains(&ahead), "{ahead}");
    assert!((-4.0..0.0).contains(&range.low) && (10.0..17.0).contains(&range.high), "{range:?}");
}

/// Rows, and everything of the summary but where the parameters came from.
fn numbers(plan: &Plan) -> (Vec<Row>, Summary, Parameters) {
    let (rows, mut summary) = swept(plan);
    let parameters =
        std::mem::replace(&mut summary.scenarios[0].parameters, Parameters::NoPosterior);
    (rows, summary, parameters)
}

fn with_posterior() -> Model {
    let mut model = drawn();
    model.error_rate.posterior = vec![uniform(0.0, 0.5), uniform(0.1, 0.9)].into();
    let window = RateLimit::FixedWindow { limit: 3, window_s: 1.0, phase_s: None };
    model.rate_limit_posterior = vec![RateLimit::None, window].into();
    model
}

#[test]
fn switched_off_it_gives_the_numbers_of_the_point_model() {
    let ranked = || vec![Contender::new(named("v3")), Contender::new(named("v4"))];
    let of = |model: Model, on: bool| {
        plan(scenario(model, 50), ranked(), 100).with_parameter_uncertainty(on)
    };
    let point = numbers(&of(drawn(), true));
    assert_eq!(point.2, Parameters::NoPosterior);
    let off = numbers(&of(with_posterior(), false));
    assert_eq!((&off.0, &off.1, off.2), (&point.0, &point.1, Parameters::Off));
    assert!(!off.1.scenarios[0].has_rate_limit);
    assert!(off.1.scenarios[0].contenders.iter().all(|c| c.score_parameter_sd.is_none()));
    let on = numbers(&of(with_posterior(), true));
    assert!(on.1.scenarios[0].has_rate_limit);
    assert_ne!(on.0, off.0);
}

#[test]
fn a_model_without_posterior_gives_the_same_numbers_on_and_off_under_specs_of_their_own() {
    let on = plan(scenario(drawn(), 50), vec![Contender::new(named("v4"))], 50);
    let off = on.clone().with_parameter_uncertainty(false);
    assert_eq!(numbers(&on), numbers(&off));
    assert_ne!(on.hash(), off.hash());
}

#[test]
fn few_draws_say_nothing_of_their_spread() {
    let spreads = |replications: u64| -> Vec<Option<ParameterSd>> {
        let ranked = vec![Contender::new(named("v4"))];
        let (_, summary) = swept(&plan(scenario(with_posterior(), 30), ranked, replications));
        summary.scenarios[0].contenders.iter().map(|c| c.score_parameter_sd).collect()
    };
    assert!(spreads(99).iter().all(Option::is_none));
    assert!(spreads(100).iter().all(Option::is_some));
}

/// The program in a folder with `m.toml`, a model with a posterior of its rates.
fn program(experiment: &str, flags: &str) -> (String, serde_json::Value, String) {
    let desk = tempfile::tempdir().unwrap();
    let mut model = two_servers(vec![uniform(0.1, 0.2), uniform(0.5, 0.9)]);
    model.error_rate.family = uniform(0.1, 0.9);
    fs::write(desk.path().join("m.toml"), model.to_toml()).unwrap();
    let head = "schema = 1\nreplications = 240\nrequests = 50\nstrategies = [\"v2\", \"v4\"]\n";
    let scenario = "[[scenario]]\nmodel = \"m.toml\"\n";
    fs::write(desk.path().join("e.toml"), format!("{head}{experiment}\n{scenario}")).unwrap();
    let arguments = format!("sweep --experiment e.toml --out r {flags}");
    let output = flakelab(desk.path()).args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let manifest = fs::read_to_string(desk.path().join("r/manifest.json")).unwrap();
    let csv = fs::read_to_string(desk.path().join("r/summary.csv")).unwrap();
    (stdout(&output), serde_json::from_str(&manifest).unwrap(), csv)
}

#[test]
fn a_flag_wins_over_the_file_and_the_table_says_where_parameters_came_from() {
    let cases = [
        ("", "", true),
        ("parameter_uncertainty = false", "", false),
        ("parameter_uncertainty = false", "--parameter-uncertainty on", true),
        ("parameter_uncertainty = true", "--parameter-uncertainty off", false),
    ];
    let mut printed = Vec::new();
    for (experiment, flags, on) in cases {
        let (text, manifest, csv) = program(experiment, flags);
        assert_eq!(manifest["parameter_uncertainty"], on);
        let line = if on { "drawn from the model's posterior" } else { "the model's point values" };
        assert!(text.contains(&format!("\nparameters: {line}")), "{text}");
        assert_eq!(text.contains("servers that the traces allow"), on, "{text}");
        let (header, rows) = csv.split_once('\n').unwrap();
        assert!(header.ends_with(",score_parameter_sd,delta_vs_best_parameter_sd"), "{header}");
        assert_eq!(rows.lines().all(|row| row.ends_with(",,")), !on, "{rows}");
        printed.push(text);
    }
    // What comes next asks the same question.
    assert!(printed[3].contains("--parameter-uncertainty off --seeds"), "{}", printed[3]);
    let result = |text: &str| text.split("\nwrote").next().map(str::to_owned);
    assert_eq!(result(&printed[0]), result(&printed[2]));
    assert_eq!(result(&printed[1]), result(&printed[3]));
    assert_ne!(result(&printed[0]), result(&printed[1]));
}

#[test]
fn the_verdict_says_what_the_traces_leave_open_about_the_lead() {
    let ranked = vec![Contender::new(named("v2")), Contender::new(named("v4"))];
    let (_, summary) = swept(&plan(scenario(drawn(), 200), ranked, 200));
    let verdict_with = |sd: f64, lead: Option<(f64, f64, f64)>| {
        let mut scenario = summary.scenarios[0].clone();
        let second = scenario.contenders[3].ranking.as_mut().expect("it is ranked");
        assert!(second.delta < 0.0 && !second.tied_with_best, "{second:?}");
        second.delta_parameter_sd = Some(ParameterSd { sd, low: 0.0, high: 2.0 * sd });
        second.lead_left_open = lead.map(|(ahead, low, high)| {
            let range = Interval { low, high };
            LeadLeftOpen { ahead, range }
        });
        verdict(&scenario)
    };
    let point = verdict(&summary.scenarios[0]);
    assert!(!point.contains("servers that the traces allow"), "{point}");
    let sure = verdict_with(0.5, Some((1.0, 1.016, 2.984)));
    assert!(sure.starts_with(&point), "{sure}");
    let lead = " Of the servers that the traces allow, it is ahead of V2 ucb1 on all that were drawn; \
        on about nine in ten of them its lead is 1.02 to 2.98 points.";
    assert!(sure.ends_with(lead), "{sure}");
    let open = verdict_with(2.0, Some((0.914, -0.6, 9.96)));
    let lead = "ahead of V2 ucb1 on about 91 %; on about nine in ten of them its lead is -0.6 to 10.0 \
        points.";
    assert!(open.ends_with(lead), "{open}");
    for (ahead, words) in [(0.997, "on more than 99 %"), (0.003, "on fewer than 1 %")] {
        assert!(verdict_with(2.0, Some((ahead, -3.0, 9.0))).contains(words));
    }
    let unknown = verdict_with(0.3, None);
    let luck = "lead over V2 ucb1 cannot be told from luck in 200 replications.";
    assert!(unknown.ends_with(luck), "{unknown}");
    assert_eq!(verdict_with(0.0, None), point);
}
