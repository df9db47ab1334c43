//! Goals against results that were made up.

use super::*;
use crate::suite::report::testing::{outcome, report};

/// The figure of the goal whose text begins so, and whether it is good enough.
fn verdict(report: &Report, load: &str, text: &str) -> Option<(f64, bool)> {
    let all = verdicts(report);
    let found = all.iter().find(|verdict| verdict.load == load && verdict.text.starts_with(text));
    found.unwrap_or_else(|| panic!("no goal {text:?} for {load:?}")).reached
}

#[test]
fn ratios_are_of_medians() {
    let report = report(vec![
        outcome(Setting::OneCore, "unary-64B-x1", "bowline", &[90, 60, 75]),
        outcome(Setting::OneCore, "unary-64B-x1", "raw-blocking", &[100, 300, 50]),
        outcome(Setting::OneCore, "unary-64B-x1", "ttrpc", &[10, 10, 10]),
        outcome(Setting::OneCore, "unary-64B-x1", "vox", &[50, 50, 50]),
    ]);
    let of = |text| verdict(&report, "one core: unary-64B-x1", text);
    assert_eq!(of("bowline, calls per second ÷ raw-blocking"), Some((0.75, true)));
    assert_eq!(of("bowline, calls per second ÷ raw-tokio"), None);
    // The best of those that there are.
    assert_eq!(of("bowline, calls per second ÷ best of ttrpc, tarpc"), Some((1.5, false)));
}

#[test]
fn latencies_are_to_be_low() {
    let report = report(vec![
        outcome(Setting::OneCore, "mixed", "bowline", &[10]),
        outcome(Setting::OneCore, "mixed", "tonic", &[1]),
    ]);
    // The p99 of what was made up is a second for each call.
    let (ratio, reached) =
        verdict(&report, "one core: mixed", "bowline, p99 ÷ tonic").expect("it was measured");
    assert!((ratio - 0.1).abs() < 1e-9 && reached);
}

#[test]
fn the_load_with_the_least_lead_is_named() {
    let multi = |load, system, rate| outcome(Setting::MultiThread, load, system, &[rate]);
    let report = report(vec![
        multi("connect", "bowline", 30),
        multi("connect", "tonic", 10),
        multi("upload-64B", "bowline", 10),
        multi("upload-64B", "ttrpc", 20),
    ]);
    let all = verdicts(&report);
    let last = all.last().unwrap();
    assert!(last.text.ends_with("least ttrpc on upload-64B"), "{}", last.text);
    assert_eq!(last.reached, Some((0.5, false)));
}

#[test]
fn goals_name_loads_that_there_are() {
    let names: Vec<_> = crate::load::Load::all().iter().map(crate::load::Load::name).collect();
    for goal in goals() {
        assert!(goal.load == "idle" || names.iter().any(|name| name == goal.load), "{}", goal.load);
        if let Than::Load(load) = goal.than {
            assert!(names.iter().any(|name| name == load), "{load}");
        }
    }
}
