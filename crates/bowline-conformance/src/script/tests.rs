//! Steps of scripts.

use bowline_protocol::ErrorCode;

use super::{Expect, OfCall, Step};
use crate::notation::Names;

fn step(line: &str) -> Step {
    Step::parse(line, &Names::default()).unwrap()
}

#[test]
fn steps_are_one_line_each() {
    assert_eq!(step("shut"), Step::Shut);
    assert_eq!(step("barrier"), Step::Barrier);
    assert_eq!(step(r#"> raw 0x01 "a""#), Step::SendRaw(b"\x01a"[..].into()));
    let repeat = Step::Repeat { times: 64, line: "> CREDIT 1 i".into() };
    assert_eq!(step("repeat calls_max > CREDIT 1 i"), repeat);
    let body = b"abc"[..].into();
    assert_eq!(step(r#"send 3 END "abc""#), Step::SendMessage { call: 3, end: true, body });
}

#[test]
fn expectations_name_what_must_come() {
    let expect = |line: &str| match step(line) {
        Step::Expect(expect) => expect,
        other => panic!("{other:?}"),
    };
    let error = Expect::Error(vec![ErrorCode::Credit, ErrorCode::CallId]);
    assert_eq!(expect("< error CREDIT or CALL_ID"), error);
    assert_eq!(
        expect("< end 1 *"),
        Expect::Call(1, OfCall::End { code: None, not_started: false, drained: false })
    );
    assert_eq!(expect("< message 1"), Expect::Call(1, OfCall::Message(None)));
    assert_eq!(expect("< goaway last=5"), Expect::Goaway { last: Some(5) });
    assert_eq!(expect("quiet 7"), Expect::Quiet { call: 7 });
}

#[test]
fn lines_that_mean_nothing_are_refused() {
    for line in
        ["", "jump", "< joy", "< error BAD", "repeat", "repeat 5", "send", "quiet", "< pong"]
    {
        assert!(Step::parse(line, &Names::default()).is_err(), "{line}");
    }
}
