//! Limits against docs/protocol.md.

use std::time::Duration;

use super::{
    CALLS_LEAST, CLOSE_TIMEOUT, FRAME_LEAST, Limits, MESSAGE_LEAST, METADATA_LEAST,
    METHOD_NAME_MAX, METHOD_NUMBER_MAX, PeerLimits, WINDOW_LEAST,
};
use crate::tests::page::{number, table_after};
use crate::{DESCRIPTORS_MAX, KEY_MAX, LimitError, Side};

/// What the page says in this column for the limit whose row starts so.
fn page(row: &str, column: usize) -> String {
    let table = table_after("## Limits");
    let found = table.iter().find(|cells| cells[0].starts_with(row));
    found.unwrap_or_else(|| panic!("the table has no row {row}"))[column].clone()
}

#[test] // [HEL-002] [HEL-003]
fn the_table_of_limits_is_true() {
    let (accepting, connecting) = (Limits::accepting(), Limits::connecting());
    let towards = PeerLimits::initial(Side::Accepting);
    let rows: [(&str, u64, u64, u64); 5] = [
        (
            "calls_max, accepting",
            towards.calls_max.into(),
            CALLS_LEAST.into(),
            accepting.calls_max.into(),
        ),
        (
            "calls_max, connecting",
            PeerLimits::initial(Side::Connecting).calls_max.into(),
            0,
            connecting.calls_max.into(),
        ),
        ("window", towards.window, WINDOW_LEAST, accepting.window),
        ("frame_max", towards.frame_max.into(), FRAME_LEAST.into(), accepting.frame_max.into()),
        (
            "metadata_max",
            towards.metadata_max.into(),
            METADATA_LEAST.into(),
            accepting.metadata_max.into(),
        ),
    ];
    for (row, initial, least, default) in rows {
        let numbers = [1, 2, 3].map(|column| number(&page(row, column)));
        assert_eq!(numbers, [Some(initial), Some(least), Some(default)], "{row}");
    }
    assert_eq!(page("message_max", 1), format!("unknown: {} is safe", page("window", 1)));
    assert_eq!(number(&page("message_max", 2)), Some(MESSAGE_LEAST));
    let defaults: [(&str, u64); 7] = [
        ("message_max", accepting.message_max),
        ("large_max", accepting.large_max),
        ("output_max", accepting.output_max as u64),
        ("method name", METHOD_NAME_MAX as u64),
        ("method numbers", METHOD_NUMBER_MAX.into()),
        ("metadata key", KEY_MAX as u64),
        ("descriptors of a message", DESCRIPTORS_MAX.into()),
    ];
    for (row, default) in defaults {
        assert_eq!(number(&page(row, 3)), Some(default), "{row}");
    }
    let timeouts = [
        ("handshake_timeout", accepting.handshake_timeout),
        ("frame_timeout", accepting.frame_timeout),
        ("stall_timeout", accepting.stall_timeout),
        ("input after an error", CLOSE_TIMEOUT),
    ];
    for (row, default) in timeouts {
        assert_eq!(number(&page(row, 3)).map(Duration::from_secs), Some(default), "{row}");
    }
    assert_eq!(page("keepalive", 3), "off");
    assert_eq!(accepting.keepalive, None);
    // Apart from calls_max both sides have the same defaults.
    assert_eq!(Limits { calls_max: 0, ..accepting }, connecting);
}

#[test] // [HEL-002]
fn a_side_cannot_state_what_its_peer_must_refuse() {
    for (side, limits) in
        [(Side::Accepting, Limits::accepting()), (Side::Connecting, Limits::connecting())]
    {
        assert_eq!(limits.validate(side), Ok(()));
        type Change = (&'static str, fn(&mut Limits));
        let changes: [Change; 8] = [
            ("window", |limits| limits.window = WINDOW_LEAST - 1),
            ("frame_max", |limits| limits.frame_max = FRAME_LEAST - 1),
            ("metadata_max", |limits| limits.metadata_max = METADATA_LEAST - 1),
            ("message_max", |limits| limits.message_max = MESSAGE_LEAST - 1),
            ("large_max", |limits| limits.large_max = limits.message_max - 1),
            ("window_ahead", |limits| limits.window_ahead = u64::MAX),
            ("output_max", |limits| limits.output_max = 0),
            ("waiting_max", |limits| limits.waiting_max = 0),
        ];
        for (expected, change) in changes {
            let mut limits = limits.clone();
            change(&mut limits);
            let (LimitError::TooSmall { name, .. } | LimitError::TooLarge { name, .. }) =
                limits.validate(side).expect_err("it is out of range");
            assert_eq!(name, expected);
        }
    }
    let few = Limits { calls_max: CALLS_LEAST - 1, ..Limits::accepting() };
    assert!(few.validate(Side::Accepting).is_err());
    assert_eq!(few.validate(Side::Connecting), Ok(()));
}
