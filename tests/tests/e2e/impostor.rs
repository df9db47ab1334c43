//! Servers that break the rules, or break down, against our client.

use std::time::Duration;

use bowline::{Code, ErrorCode, Limits, Origin, Reconnect, Status};
use bowline_protocol::{FLAG_END, FLAG_MORE, FrameType, PREFACE, Side, wire};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw::{self, Raw};
use bowline_tests::script::{Script, numbered, sized};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;
use tokio::task::JoinHandle;

type Call = JoinHandle<Result<bowline::Response<Note>, Status>>;

fn call(client: &TestClient) -> Call {
    let client = client.clone();
    tokio::spawn(async move { client.unary(Note::default()).await })
}

async fn fails(call: Call) -> Status {
    call.await.expect("no panic").expect_err("the server is no good")
}

/// A client whose call has arrived at a scripted server.
async fn called(net: &Net) -> (TestClient, Raw, Call) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    let call = call(&client);
    peer.welcome().await;
    peer.expect(FrameType::Request).await;
    peer.expect(FrameType::Data).await;
    (client, peer, call)
}

// [PRE-005]
async fn who_speaks_something_else_is_no_server(net: Net) {
    let listener = net.raw_listener().await;
    let http: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    for (answer, hint) in [(http, "HTTP"), (b"BOWLINE\x02", "version 2"), (b"BOWLINE\x00", "0")] {
        let client = net.client().await;
        let peer = listener.accept().await;
        let call = call(&client);
        peer.send(answer).await;
        let status = fails(call).await;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        assert_eq!((status.origin(), status.not_started()), (Origin::Local, true));
        assert!(status.message().contains(hint), "{status}");
        let status = client.unary(Note::default()).await.expect_err("it stays so");
        assert_eq!((status.code(), status.not_started()), (Code::FailedPrecondition, true));
        drop(peer);
    }
}

// [PRE-006]
async fn a_server_that_closes_without_a_preface_started_nothing(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    let call = call(&client);
    peer.read_opening().await;
    peer.expect(FrameType::Request).await;
    peer.expect(FrameType::Data).await;
    drop(peer);
    let status = fails(call).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(status.not_started(), net.keeps_written(), "{status}");
}

// [CLS-003]
async fn a_server_that_closes_may_have_started(net: Net) {
    let (client, peer, call) = called(&net).await;
    drop(peer);
    let status = fails(call).await;
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false), "{status}");
    assert!(status.message().contains("lost"), "{status}");
    let status = client.unary(Note::default()).await.expect_err("it stays so");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
}

// [GOA-001] [GOA-002]
async fn calls_above_the_last_have_not_started(net: Net) {
    let (client, mut peer, first) = called(&net).await;
    let second = call(&client);
    peer.expect(FrameType::Request).await;
    peer.expect(FrameType::Data).await;
    peer.send(raw::goaway(1, 0)).await;
    let status = fails(second).await;
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    let status = client.unary(Note::default()).await.expect_err("no more calls");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    // The first goes on; then the client says good-bye, too.
    peer.send(raw::data(1, FLAG_END, b"")).await;
    first.await.expect("no panic").expect("OK");
    let goodbye: wire::GoAway = peer.expect(FrameType::GoAway).await.decode();
    assert_eq!((goodbye.last, goodbye.code), (0, 0));
    assert!(peer.next().await.is_none(), "it has ended its writing");
}

// [GOA-004]
async fn an_error_of_the_server_is_told(net: Net) {
    let (client, mut peer, first) = called(&net).await;
    let second = call(&client);
    peer.expect(FrameType::Request).await;
    peer.expect(FrameType::Data).await;
    let body = wire::GoAway { last: 1, code: ErrorCode::Internal as u32, text: "oh".to_owned() };
    peer.send(raw::message(FrameType::GoAway, 0, &body)).await;
    for (call, not_started) in [(first, false), (second, true)] {
        let status = fails(call).await;
        assert_eq!((status.code(), status.not_started()), (Code::Unavailable, not_started));
        assert!(status.message().contains("INTERNAL (oh)"), "{status}");
    }
}

/// The error with which the client answers these frames.
async fn answers(net: &Net, frames: Vec<u8>) -> (u32, Status) {
    let (_client, mut peer, call) = called(net).await;
    peer.send(frames).await;
    let code = peer.last_goaway().await.code;
    (code, fails(call).await)
}

// [CAL-006] [CAL-002] [ERR-001]
async fn a_breach_of_the_server_ends_the_connection(net: Net) {
    let response = raw::frame(FrameType::Response, 0, 1, b"");
    let cut = raw::data(1, FLAG_MORE, &[&9_u64.to_le_bytes()[..], b"x"].concat());
    let ok = raw::frame(FrameType::Status, 0, 1, b"");
    let breaches = [
        (response.repeat(2), ErrorCode::CallState),
        ([raw::data(1, 0, b""), response.clone()].concat(), ErrorCode::CallState),
        ([cut, ok].concat(), ErrorCode::CallState),
        (raw::frame(FrameType::Response, 0, 3, b""), ErrorCode::CallId),
        (raw::data(99, 0, b""), ErrorCode::CallId),
        (raw::request(1, raw::UNARY), ErrorCode::CallId),
        (raw::cancel(1), ErrorCode::CallState),
        (raw::credit(1, 0), ErrorCode::Credit),
        ([raw::goaway(1, 0), raw::goaway(3, 0)].concat(), ErrorCode::Goaway),
        (raw::message(FrameType::Hello, 0, &raw::hello(Side::Accepting)), ErrorCode::Hello),
        (raw::frame(FrameType::Status, 0, 1, &[0xff]), ErrorCode::Decode),
    ];
    for (frames, code) in breaches {
        let (answer, status) = answers(&net, frames).await;
        assert_eq!(answer, code as u32, "{status}");
        assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false), "{status}");
        assert!(status.message().contains("broke the protocol"), "{status}");
    }
}

// [HEL-002] [HEL-005]
async fn a_server_must_say_what_it_takes(net: Net) {
    let listener = net.raw_listener().await;
    let few = wire::Hello { calls_max: 63, ..raw::hello(Side::Accepting) };
    let openings = [raw::opening(&few), [PREFACE.to_vec(), raw::ping(1)].concat()];
    for opening in openings {
        let client = net.client().await;
        let mut peer = listener.accept().await;
        let call = call(&client);
        peer.read_opening().await;
        peer.send(opening).await;
        assert_eq!(peer.last_goaway().await.code, ErrorCode::Hello as u32);
        assert_eq!(fails(call).await.code(), Code::Unavailable);
    }
    // GOAWAY with a code may come instead of HELLO.
    let client = net.client().await;
    let peer = listener.accept().await;
    let call = call(&client);
    peer.send([PREFACE.to_vec(), raw::goaway(0, ErrorCode::Busy as u32)].concat()).await;
    let status = fails(call).await;
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
}

async fn a_silent_server_is_not_waited_for(net: Net) {
    let listener = net.raw_listener().await;
    let short = Duration::from_millis(50);
    let limits = Limits { handshake_timeout: short, ..Limits::connecting() };
    let channel = net.builder().limits(limits).connect().await.expect("it listens");
    let peer = listener.accept().await;
    let status = fails(call(&TestClient::new(channel.clone()))).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("handshake_timeout"), "{status}");
    assert!(channel.ready().await.is_err() && channel.ping().await.is_err());
    drop(peer);

    let limits = Limits { keepalive: Some(short), ..Limits::connecting() };
    let channel = net.builder().limits(limits).connect().await.expect("it listens");
    let mut peer = listener.accept().await;
    let call = call(&TestClient::new(channel));
    peer.welcome().await;
    let status = fails(call).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("keepalive"), "{status}");
}

// [OUT-004]
async fn a_server_that_does_not_read_is_given_up(net: Net) {
    let listener = net.raw_listener().await;
    let short = Duration::from_millis(100);
    let limits = Limits { stall_timeout: short, ..Limits::connecting() };
    let channel = net.builder().limits(limits).connect().await.expect("it listens");
    let client = TestClient::new(channel);
    let mut peer = listener.accept().await;
    let wide = wire::Hello { window: 1 << 40, ..raw::hello(Side::Accepting) };
    let (mut sender, reply) = client.upload(()).await.expect("opens");
    peer.welcome_with(&wide).await;
    let sending = tokio::spawn(async move { while sender.send(sized(100_000)).await.is_ok() {} });
    let status = reply.await.expect_err("nobody reads");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false), "{status}");
    assert!(status.message().contains("stall_timeout"), "{status}");
    sending.await.expect("no panic");
    drop(peer);
}

// [CLS-005]
async fn a_failed_write_does_not_hide_why(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let peer = listener.accept().await;
    let body = wire::GoAway { last: 0, code: ErrorCode::Internal as u32, text: "fire".to_owned() };
    let farewell = raw::message(FrameType::GoAway, 0, &body);
    peer.send([raw::opening(&raw::hello(Side::Accepting)), farewell].concat()).await;
    drop(peer);
    // The first write fails; what the server has written is read nevertheless.
    let status = client.unary(numbered(1)).await.expect_err("the server is gone");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert!(status.message().contains("INTERNAL (fire)"), "{status}");
}

async fn one_byte_at_a_time_is_no_breach(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    let call = call(&client);
    peer.read_opening().await;
    peer.expect(FrameType::Request).await;
    let reply = prost::Message::encode_to_vec(&numbered(5));
    let answer = [raw::opening(&raw::hello(Side::Accepting)), raw::data(1, FLAG_END, &reply)];
    for byte in answer.concat() {
        peer.send([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(call.await.expect("no panic").expect("OK").into_inner(), numbered(5));
}

// [HEL-003] [HEL-004]
async fn a_client_keeps_to_the_initial_limits(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    peer.read_opening().await;
    let (mut sender, reply) = client.upload(()).await.expect("takes a slot");
    sender.send(sized(100_000)).await.expect("waits for credit");
    sender.finish();
    let calls: Vec<_> = (0..70).map(|_| call(&client)).collect();
    // 64 slots and a window of 65,536, until HELLO says more.
    let (mut requests, mut messages, mut uploaded) = (0, 0, 0);
    while messages < 63 || uploaded < 65_536 - 16 {
        let frame = peer.next().await.expect("the client goes on");
        match frame.kind() {
            FrameType::Request => requests += 1,
            _ if frame.header.call == 1 => {
                uploaded += frame.body.len() - if uploaded == 0 { 8 } else { 0 };
            }
            _ => messages += 1,
        }
    }
    assert_eq!((requests, uploaded, peer.read_now(1)), (64, 65_536 - 16, 0));
    peer.send(raw::opening(&raw::hello(Side::Accepting))).await;
    while requests < 71 || uploaded < 100_000 {
        let frame = peer.next().await.expect("the client goes on");
        match frame.kind() {
            FrameType::Request => requests += 1,
            _ if frame.header.call == 1 => uploaded += frame.body.len(),
            _ => {}
        }
    }
    drop(peer);
    for call in calls {
        assert_eq!(fails(call).await.code(), Code::Unavailable);
    }
    reply.await.expect_err("the server is gone");
}

async fn a_call_lost_with_its_connection_is_not_repeated(net: Net) {
    let listener = net.raw_listener().await;
    let builder = net.builder().reconnect(Reconnect::default());
    let client = TestClient::new(builder.connect().await.expect("it listens"));
    let mut peer = listener.accept().await;
    let call = call(&client);
    peer.welcome().await;
    peer.expect(FrameType::Request).await;
    drop(peer);
    assert!(!fails(call).await.not_started());
    drop(listener);
    net.serve(Script::new()).await;
    client.unary(Note::default()).await.expect("connected again");
}

over_every_transport!(
    who_speaks_something_else_is_no_server,
    a_server_that_closes_without_a_preface_started_nothing,
    a_server_that_closes_may_have_started,
    calls_above_the_last_have_not_started,
    an_error_of_the_server_is_told,
    a_breach_of_the_server_ends_the_connection,
    a_server_must_say_what_it_takes,
    a_silent_server_is_not_waited_for,
    a_server_that_does_not_read_is_given_up,
    one_byte_at_a_time_is_no_breach,
    a_client_keeps_to_the_initial_limits,
    a_call_lost_with_its_connection_is_not_repeated,
);
// TCP may destroy what a peer that has gone wrote.
over_every_transport!(
    a_failed_write_does_not_hide_why:
    unix Unix One, unix_threads Unix Two, memory Memory One, memory_threads Memory Two,
);
