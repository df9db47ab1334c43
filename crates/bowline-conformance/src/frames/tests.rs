//! Frames as scripts write them and traces show them.

use bowline_protocol::wire;
use bytes::BytesMut;

use super::{Frame, describe, take_frame};
use crate::notation::{Names, words};

fn frame(line: &str) -> Frame {
    Frame::parse(&words(line), &Names::default()).unwrap()
}

#[test]
fn frames_say_what_the_line_says() {
    let request = frame(r#"REQUEST 1 Unary number=4 deadline_us=9 :key="v" :a-bin=0x00ff"#);
    assert_eq!(request.header.length as usize, request.body.len());
    let body: wire::Request = request.decode().unwrap();
    assert_eq!(body.method, "bowline.demo.v1.Echo/Unary");
    assert_eq!((body.method_number, body.deadline_us), (4, Some(9)));
    assert_eq!(body.metadata[1].value, &[0, 255][..]);
    let data = frame(r#"DATA 3 MORE announce=5 "ab" 0xff"#);
    assert_eq!(data.body, b"\x05\0\0\0\0\0\0\0ab\xff"[..]);
    assert_eq!((data.header.flags, data.header.call), (1, 3));
    let status = frame(r#"STATUS 1 NOT_FOUND "no" not_started"#);
    let body: wire::Status = status.decode().unwrap();
    assert_eq!((body.code, &body.message[..], body.not_started), (5, "no", true));
    let goaway: wire::GoAway = frame("GOAWAY last=7 CREDIT").decode().unwrap();
    assert_eq!((goaway.last, goaway.code), (7, 9));
}

#[test]
fn headers_can_be_wrong_in_every_way() {
    let data = frame("DATA 1 type=0xa5 flags=0xf0 reserved=9 fds=2 length=5000 call=2^60 0xff");
    let header = data.header;
    assert_eq!((header.kind, header.flags, header.reserved), (0xa5, 0xf0, 9));
    assert_eq!((header.fds, header.length, header.call), (2, 5000, 1 << 60));
    assert_eq!(data.body.len(), 1);
    assert_eq!(frame("FINISH 1 tail=0x0f").body, b"\x0f"[..]);
}

#[test]
fn lines_that_mean_nothing_are_refused() {
    for line in
        ["", "NOTHING 1", "DATA", "DATA x", "DATA 1 flags=256", "HELLO colour=1", "STATUS 1 GOOD"]
    {
        assert!(Frame::parse(&words(line), &Names::default()).is_err(), "{line}");
    }
}

#[test]
fn traces_are_readable() {
    for (line, text) in [
        ("PING 5 ACK", "PING ACK 5"),
        ("DATA 1 END bytes(9)", "DATA 1 END 9 bytes"),
        ("REQUEST 1 Unary", "REQUEST 1 bowline.demo.v1.Echo/Unary number=0"),
        ("STATUS 1 ABORTED not_started", "STATUS 1 ABORTED \"\" not_started"),
        ("GOAWAY last=3 CREDIT", "GOAWAY last=3 CREDIT \"\""),
        ("CREDIT 1 77", "CREDIT 1 77"),
        ("CREDIT 1 77 tail=0x0f", "CREDIT 1 (does not decode)"),
        ("PING 1 type=0xa5", "type 0xa5, 8 bytes"),
    ] {
        assert_eq!(describe(&frame(line)), text);
    }
}

#[test]
fn frames_are_taken_whole() {
    let mut bytes = BytesMut::new();
    frame("DATA 1 bytes(5)").write_to(&mut bytes);
    let mut part = BytesMut::from(&bytes[..20]);
    assert_eq!(take_frame(&mut part), None);
    assert_eq!(take_frame(&mut bytes).unwrap().body.len(), 5);
    assert!(bytes.is_empty());
}
