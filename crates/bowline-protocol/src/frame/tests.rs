//! Headers.

use proptest::prelude::*;

use super::{Checked, FrameHeader, FrameType, HEADER_LEN, HeaderLimits};
use crate::tests::page::{PAGE, table_after};
use crate::{PREFACE, Side};

fn header() -> impl Strategy<Value = FrameHeader> {
    any::<[u8; HEADER_LEN]>().prop_map(|bytes| FrameHeader::decode(&bytes))
}

proptest! {
    #[test] // [FRM-001] [FRM-004]
    fn any_bytes_are_a_header_and_come_back(bytes: [u8; HEADER_LEN]) {
        prop_assert_eq!(FrameHeader::decode(&bytes).encode(), bytes);
    }

    #[test] // [FRM-002] [FRM-004]
    fn what_is_ignorable_is_told_by_length_type_and_fds_alone(
        header in header(), flags: u8, reserved: u8, call: u64, sender in sides()
    ) {
        let limits = limits(sender, false);
        let other = FrameHeader { flags, reserved, call, ..header };
        if header.kind >= 0x80 {
            prop_assert_eq!(header.check(&limits), other.check(&limits));
        }
        let reserved = FrameHeader { reserved, ..header };
        prop_assert_eq!(header.check(&limits), reserved.check(&limits));
    }

    #[test] // [FRM-003]
    fn flags_from_0x10_on_change_nothing(header in header(), high in 0_u8..16, sender in sides()) {
        let other = FrameHeader { flags: header.flags & 0x0f | high << 4, ..header };
        let (one, two) = (header.check(&limits(sender, true)), other.check(&limits(sender, true)));
        prop_assert_eq!(one.clone().ok(), two.clone().ok());
        let codes = [one, two].map(|result| result.err().map(|error| error.code()));
        prop_assert_eq!(codes[0], codes[1]);
    }
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Connecting), Just(Side::Accepting)]
}

fn limits(sender: Side, descriptors: bool) -> HeaderLimits {
    HeaderLimits { frame_max: 131_072, metadata_max: 16_384, descriptors, sender }
}

#[test] // [FRM-001]
fn the_layout_is_that_of_the_page() {
    let header = FrameHeader {
        length: 0x0403_0201,
        kind: 5,
        flags: 6,
        fds: 7,
        reserved: 8,
        call: 0x100f_0e0d_0c0b_0a09,
    };
    let bytes: Vec<u8> = (1..=16).collect();
    assert_eq!(header.encode()[..], bytes);
    assert!(PAGE.contains("    42 4f 57 4c 49 4e 45 01\n"));
    assert_eq!(PREFACE, [0x42, 0x4f, 0x57, 0x4c, 0x49, 0x4e, 0x45, 0x01]);
}

#[test] // [FRM-002] [FRM-005] [FRM-006]
fn the_types_are_those_of_the_page() {
    let table = table_after("There is no padding.");
    assert_eq!(table.len() - 1, FrameType::ALL.len());
    for (row, kind) in table[1..].iter().zip(FrameType::ALL) {
        assert_eq!(row[0], format!("{:#04x}", kind as u8));
        assert_eq!(row[1], kind.name());
        assert_eq!(FrameType::from_wire(kind as u8), Some(kind));
        // Who may send it, for a call of the connecting side's, and where its id stands.
        for sender in [Side::Connecting, Side::Accepting] {
            let allowed = match &*row[2] {
                "caller" => sender == Side::Connecting,
                "responder" => sender == Side::Accepting,
                _ => true,
            };
            let id = if row[3] == "0" { 0 } else { 1 };
            let checked = FrameHeader::new(kind, 0, id).check(&limits(sender, false));
            assert_eq!(checked.is_ok(), allowed, "{} from {sender:?}", kind.name());
            assert!(FrameHeader::new(kind, 0, 1 - id).check(&limits(sender, false)).is_err());
        }
    }
    let known = (0..=255).filter(|kind| FrameType::from_wire(*kind).is_some()).count();
    assert_eq!(known, FrameType::ALL.len());
}

#[test] // [FRM-003]
fn the_flags_are_those_of_the_page() {
    let table = table_after("| 0x16 | CREDIT | caller, responder | id | protobuf `Credit` |\n");
    let of = |kind: &str| -> u8 {
        let rows = table[1..].iter().filter(|row| row[1] == kind);
        rows.map(|row| u8::from_str_radix(&row[0][2..4], 16).unwrap()).fold(0, |all, one| all | one)
    };
    for kind in FrameType::ALL {
        let id = u64::from(!kind.is_connection_wide());
        let sender = match kind {
            FrameType::Response | FrameType::Status => Side::Accepting,
            _ => Side::Connecting,
        };
        for bit in [1, 2, 4, 8] {
            let header = FrameHeader::new(kind, 0, id).with_flags(bit);
            let checked = header.check(&limits(sender, false));
            let expected = of(kind.name()) & bit != 0;
            assert_eq!(checked == Ok(Checked::Known(kind)), expected, "{} {bit}", kind.name());
        }
    }
}
