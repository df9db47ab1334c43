//! The output, as a driver sees it.

use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Outbound, QUIET_DRAINS, REFERENCE_MIN, RETAIN_BUSY, RETAIN_MAX};
use crate::frame::{FrameHeader, FrameType};

fn push(out: &mut Outbound, length: usize, fds: u8, fill: u8) -> Vec<u8> {
    let mut header = FrameHeader::new(FrameType::Data, length as u32, 1);
    header.fds = fds;
    let payload = Bytes::from(vec![fill; length]);
    out.push_frame(&header, &[], payload.clone());
    [&header.encode()[..], &payload].concat()
}

/// The next write, of at most so many slices and bytes.
fn write(out: &mut Outbound, slices: usize, most: usize) -> Vec<u8> {
    let mut buffer = [IoSlice::new(&[]); 16];
    let filled = out.slices(&mut buffer[..slices]);
    let all: Vec<u8> = buffer[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
    let n = all.len().min(most);
    out.advance(n);
    all[..n].to_vec()
}

proptest! {
    #[test] // [OUT-002] [DSC-003]
    fn all_bytes_come_out_in_order_however_they_are_written(
        frames in prop::collection::vec((0_usize..9_000, 0_u8..4), 1..30),
        writes in prop::collection::vec((1_usize..16, 1_usize..20_000), 1..50),
    ) {
        let mut out = Outbound::new();
        let (mut expected, mut written) = (Vec::new(), Vec::new());
        // Where frames with descriptors start, and how many each has.
        let mut announced = Vec::new();
        let mut taken = Vec::new();
        for (i, (length, fds)) in frames.iter().enumerate() {
            if *fds > 0 {
                announced.push((expected.len(), *fds));
            }
            expected.extend(push(&mut out, *length, *fds, i as u8));
            prop_assert_eq!(out.len() + written.len(), expected.len());
        }
        for (slices, most) in writes.into_iter().cycle() {
            if out.is_empty() {
                break;
            }
            let (place, count) = (written.len(), out.descriptors());
            let bytes = write(&mut out, slices, most);
            prop_assert!(!bytes.is_empty());
            if count > 0 {
                taken.push((place, count));
            }
            written.extend(bytes);
            prop_assert_eq!(out.written(), written.len() as u64);
        }
        prop_assert!(written == expected);
        prop_assert_eq!(taken, announced);
        prop_assert!(out.capacity() <= RETAIN_BUSY);
    }
}

#[test] // [OUT-002]
fn memory_is_given_back() {
    let mut out = Outbound::new();
    for _ in 0..100_000 {
        push(&mut out, 100, 0, 1);
    }
    assert!(out.capacity() >= 11_600_000);
    let all = out.len();
    out.advance(all);
    assert!(out.is_empty() && out.capacity() <= RETAIN_BUSY);
    for _ in 0..QUIET_DRAINS {
        assert!(out.capacity() > RETAIN_MAX, "what is needed soon is kept");
        push(&mut out, 100, 0, 1);
        out.advance(116);
    }
    assert!(out.capacity() <= RETAIN_MAX);
    // One that is never empty does not grow either.
    push(&mut out, 100, 0, 1);
    for _ in 0..100_000 {
        push(&mut out, 100, 0, 1);
        out.advance(116);
    }
    assert!(out.capacity() <= 4 * RETAIN_MAX, "{}", out.capacity());
    out.shrink();
    assert!(out.capacity() > 0, "what is not written is kept");
    out.advance(116);
    out.shrink();
    assert_eq!(out.capacity(), 0);
}

#[test] // [OUT-002]
fn large_payloads_are_not_copied() {
    let mut out = Outbound::new();
    let payload = Bytes::from(vec![1; REFERENCE_MIN]);
    let header = FrameHeader::new(FrameType::Data, REFERENCE_MIN as u32, 1);
    out.push_frame(&header, &[], payload.clone());
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(out.slices(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), payload.as_ptr());
    out.clear();
    assert_eq!((out.len(), out.slices(&mut [IoSlice::new(&[]); 4])), (0, 0));
}

#[test]
#[should_panic(expected = "advanced by 1 of 0 bytes")]
fn more_than_there_is_cannot_be_written() {
    Outbound::new().advance(1);
}

#[test]
fn a_payload_that_is_not_as_long_as_it_says_leaves_nothing_behind() {
    let mut out = Outbound::new();
    let header = FrameHeader::new(FrameType::Data, 0, 1);
    assert!(out.push_payload(header, 3, |frame| frame.extend_from_slice(b"abc")));
    let before = out.len();
    assert!(!out.push_payload(header, 3, |frame| frame.extend_from_slice(b"ab")));
    assert!(!out.push_payload(header, 3, |frame| frame.extend_from_slice(b"abcd")));
    let amid = catch_unwind(AssertUnwindSafe(|| {
        out.push_payload(header, 3, |frame| {
            frame.extend_from_slice(b"ab");
            panic!("as asked");
        })
    }));
    assert!(amid.is_err());
    assert_eq!(out.len(), before);
    let whole = FrameHeader { length: 3, ..header };
    assert_eq!(write(&mut out, 16, before), [&whole.encode()[..], b"abc"].concat());
    assert!(out.is_empty());
}
