//! Reports, of two runs of which one has failed.

use super::{html, junit};
use crate::case::Side;
use crate::known::Known;
use crate::play::Verdict;
use crate::suite::{Report, Row};
use crate::trace::{Direction, Trace};

fn report() -> Report {
    let mut trace = Trace::default();
    trace.bytes(Direction::In, "</script>", b"\x00\xff");
    let row = |id: &str, verdict, reason: &str| Row {
        id: id.into(),
        requirement: "PNG-001".into(),
        level: 0,
        side: Side::Server,
        transport: "unix".into(),
        size: "1".into(),
        verdict,
        reason: reason.into(),
        known: None,
        trace: trace.clone(),
    };
    let good = row("PNG-001/good", Verdict::Pass, "");
    let bad = row("PNG-001/bad", Verdict::Fail, "it says \"5\" & not <6>");
    Report { schema: "bowline-conformance/1", duration_ms: 5, cases: vec![good, bad] }
}

#[test]
fn junit_has_a_test_for_each_run() {
    let xml = junit(&report()).unwrap();
    assert!(xml.contains(r#"tests="2""#) && xml.contains(r#"failures="1""#), "{xml}");
    assert!(xml.contains("&amp; not &lt;6"), "{xml}");
}

#[test]
fn the_page_holds_every_trace_and_nothing_that_a_peer_sent_as_code() {
    let page = html(&report()).unwrap();
    assert!(page.contains("PNG-001/bad") && page.contains("[00 ff]"), "{page}");
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(!page.contains("/*DATA*/"));
}

#[test]
fn what_is_known_to_fail_is_expected_and_must_go_on_failing() {
    let mut report = report();
    assert_eq!(report.unexpected().count(), 1);
    Known::parse("PNG-001/bad server its own way").unwrap().mark(&mut report);
    assert_eq!(report.unexpected().count(), 0);
    Known::parse("PNG-001/good repaired since").unwrap().mark(&mut report);
    assert_eq!(report.unexpected().count(), 2);
    let xml = junit(&report).unwrap();
    assert!(xml.contains("passes, but is known to fail"), "{xml}");
}
