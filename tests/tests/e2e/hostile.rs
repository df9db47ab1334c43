//! Peers that break the rules, against a server with a bystander.

use std::time::Duration;

use bowline::{ErrorCode, Limits, Server};
use bowline_protocol::{FLAG_ACK, FLAG_END, FrameHeader, FrameType, PREFACE, Side, wire};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw::{self, Raw};
use bowline_tests::script::{Script, numbered, sized};
use bowline_tests::test::Note;
use bowline_tests::wait::Gauge;

use crate::scene::Scene;

const SHORT: Duration = Duration::from_millis(60);

fn impatient() -> Limits {
    let short = SHORT;
    Limits { handshake_timeout: short, frame_timeout: short, ..Limits::accepting() }
}

/// Chats that wait for ever.
fn waiting(gauge: &Gauge) -> Script {
    let count = gauge.clone();
    Script::new().chat(move |request, _replies| {
        let inside = count.enter();
        async move {
            std::future::pending::<()>().await;
            drop((inside, request));
            Ok(())
        }
    })
}

// [PRE-004]
async fn who_speaks_something_else_is_cut_off(net: Net) {
    let scene = Scene::new(&net, Server::builder(), Script::new()).await;
    let openings: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
        &[0; 64],
        &[0xff; 64],
        b"bowline\x01",
        b"BOWLING\x01",
        // It need not wait for all eight bytes.
        b"G",
    ];
    for opening in openings {
        let mut peer = net.raw().await;
        peer.send(opening).await;
        assert_eq!(peer.read_all().await, "", "for {:?}", opening.escape_ascii().to_string());
    }
    scene.over().await;
}

// [PRE-003]
async fn another_version_is_told_ours(net: Net) {
    let scene = Scene::new(&net, Server::builder(), Script::new()).await;
    for version in [0, 2, 255] {
        let mut peer = net.raw().await;
        peer.send([&PREFACE[..7], &[version], &[0x77; 500]].concat()).await;
        assert_eq!(peer.read_all().await[..], PREFACE, "for version {version}");
    }
    scene.over().await;
}

async fn who_says_nothing_is_cut_off(net: Net) {
    let builder = Server::builder().limits(impatient());
    let scene = Scene::new(&net, builder, Script::new()).await;
    let mut silent = net.raw().await;
    let mut begun = net.raw().await;
    begun.send(&PREFACE[..5]).await;
    let mut greeted = net.raw().await;
    greeted.send(PREFACE).await;
    let mut halfway = net.raw().await;
    let hello = raw::opening(&raw::hello(Side::Connecting));
    halfway.send(&hello[..hello.len() - 1]).await;
    assert_eq!(silent.read_all().await, "");
    assert_eq!(begun.read_all().await, "");
    for peer in [&mut greeted, &mut halfway] {
        peer.read_opening().await;
        assert_eq!(peer.last_goaway().await.code, ErrorCode::TimedOut as u32);
    }
    drop((silent, begun, greeted, halfway));
    scene.over().await;
}

async fn the_handshake_has_one_time_limit_in_all(net: Net) {
    let builder = Server::builder().limits(impatient());
    let scene = Scene::new(&net, builder, Script::new()).await;
    let mut peer = net.raw().await;
    // A byte now and then does not keep the connection.
    let mut sent = 0;
    for byte in raw::opening(&raw::hello(Side::Connecting)) {
        if peer.try_send([byte]).await.is_err() {
            break;
        }
        sent += 1;
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(sent < 60, "{sent} bytes in ten times the limit");
    while peer.fill().await {}
    drop(peer);
    scene.over().await;
}

async fn half_a_frame_is_not_waited_for(net: Net) {
    let builder = Server::builder().limits(impatient());
    let scene = Scene::new(&net, builder, Script::new()).await;
    let whole = raw::unary(1, raw::UNARY, &sized(5000));
    for cut in [1, 15, 16, 17, 100, whole.len() - 1] {
        let mut peer = net.raw().await;
        peer.greet().await;
        peer.send(&whole[..cut]).await;
        assert_eq!(peer.last_goaway().await.code, ErrorCode::TimedOut as u32, "cut at {cut}");
    }
    scene.over().await;
}

async fn one_byte_at_a_time_is_no_breach(net: Net) {
    let scene = Scene::new(&net, Server::builder(), Script::new()).await;
    let mut peer = net.raw().await;
    let opening = raw::opening(&raw::hello(Side::Connecting));
    let call = raw::unary(1, raw::UNARY, &numbered(3));
    for byte in [opening, call].concat() {
        peer.send([byte]).await;
        tokio::task::yield_now().await;
    }
    peer.read_opening().await;
    assert_eq!(peer.expect(FrameType::Data).await.decode::<Note>(), numbered(3));
    drop(peer);
    scene.over().await;
}

// [OUT-002] [OUT-004]
async fn who_never_reads_is_bounded_and_ended(net: Net) {
    const LENGTH: u64 = 10_000;
    let (live, sent) = (Gauge::new(), Gauge::new());
    let (count, sends) = (live.clone(), sent.clone());
    let script = Script::new().download(move |_, mut replies| {
        let (inside, sends) = (count.enter(), sends.clone());
        async move {
            let note = sized(LENGTH.try_into().expect("small"));
            loop {
                let result = replies.send(note.clone()).await;
                if result.is_err() {
                    drop(inside);
                    return result;
                }
                drop(sends.enter());
            }
        }
    });
    let limits = Limits {
        calls_max: 64,
        stall_timeout: Duration::from_millis(150),
        send_queue_max: 100_000,
        ..Limits::accepting()
    };
    let scene = Scene::new(&net, Server::builder().limits(limits.clone()), script).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    for call in 0..64 {
        let call = 2 * call + 1;
        peer.send(raw::unary(call, raw::DOWNLOAD, &Note::default())).await;
        peer.send(raw::credit(call, 1 << 50)).await;
    }
    live.entered(64).await;
    live.live(0).await;
    // The queue of each call, the output, the credit given before, and what sockets hold.
    let most = 64 * (limits.send_queue_max + LENGTH) + 256 * 1024 + (8 << 20);
    let bytes = sent.counts().entered * LENGTH;
    assert!(bytes <= most, "{bytes} bytes were taken, at most {most} should be");
    // What is still in the socket can be read, then it ends.
    while peer.fill().await {}
    drop(peer);
    scene.over().await;
}

// [OUT-001] [PNG-001] [PNG-002]
async fn pings_without_number_cost_one_answer(net: Net) {
    const PINGS: u64 = 100_000;
    let scene = Scene::new(&net, Server::builder(), Script::new()).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    let mut last = 0;
    while last < PINGS {
        // All of it is read although nobody reads the answers.
        let batch: Vec<u8> = (last + 1..=last + 1000).flat_map(raw::ping).collect();
        peer.send(batch).await;
        last += 1000;
    }
    let (mut answers, mut highest) = (0, 0);
    while highest < PINGS {
        let pong = peer.expect(FrameType::Ping).await;
        assert_eq!(pong.header.flags, FLAG_ACK);
        let number = u64::from_le_bytes(pong.body[..].try_into().expect("8 bytes"));
        assert!(number > highest, "answers keep their order");
        (answers, highest) = (answers + 1, number);
    }
    assert!(answers <= PINGS);
    // Answers that nobody asked for mean nothing.
    peer.send(raw::frame(FrameType::Ping, FLAG_ACK, 0, &[9; 8])).await;
    assert_eq!(peer.barrier(1).await, []);
    drop(peer);
    scene.over().await;
}

// [SLT-001] [CAN-001]
async fn cancelling_frees_no_slot_before_the_handler_has_ended(net: Net) {
    const ROUNDS: u64 = 150;
    let gauge = Gauge::new();
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    let builder = Server::builder().limits(limits);
    let scene = Scene::new(&net, builder, waiting(&gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    let mut call = 1;
    for _ in 0..ROUNDS {
        let mut batch = Vec::new();
        for _ in 0..64 {
            batch.extend(raw::request(call, raw::CHAT));
            batch.extend(raw::cancel(call));
            call += 2;
        }
        peer.send(batch).await;
        for _ in 0..64 {
            let status: wire::Status = peer.expect(FrameType::Status).await.decode();
            assert_eq!(status.code, bowline::Code::Cancelled as u32);
        }
    }
    assert!(gauge.counts().peak <= 64);
    gauge.live(0).await;
    // One that is cancelled while it runs.
    peer.send(raw::request(call, raw::CHAT)).await;
    gauge.live(1).await;
    peer.send(raw::cancel(call)).await;
    let status: wire::Status = peer.expect(FrameType::Status).await.decode();
    assert_eq!(status.code, bowline::Code::Cancelled as u32);
    assert_eq!(gauge.counts().live, 0, "the terminal frame comes when the handler has ended");
    drop(peer);
    scene.over().await;
}

async fn cancelling_without_waiting_meets_the_limit(net: Net) {
    let gauge = Gauge::new();
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    let builder = Server::builder().limits(limits);
    let scene = Scene::new(&net, builder, waiting(&gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    let mut call = 1;
    loop {
        let pair = [raw::request(call, raw::CHAT), raw::cancel(call)].concat();
        if call > 20_000 || peer.try_send(pair).await.is_err() {
            break;
        }
        call += 2;
    }
    let frames = peer.rest().await;
    if let Some(frame) = frames.last().filter(|frame| frame.kind() == FrameType::GoAway) {
        assert_eq!(frame.decode::<wire::GoAway>().code, ErrorCode::CallsExceeded as u32);
    }
    assert!(gauge.counts().peak <= 64, "{:?}", gauge.counts());
    gauge.live(0).await;
    drop(peer);
    scene.over().await;
}

// [CRD-002]
async fn credit_adds_up_and_no_further(net: Net) {
    let gauge = Gauge::new();
    let scene = Scene::new(&net, Server::builder(), waiting(&gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    peer.send(raw::request(1, raw::CHAT)).await;
    for _ in 0..20 {
        peer.send(raw::credit(1, 1).repeat(1000)).await;
    }
    assert_eq!(peer.barrier(1).await, []);
    peer.send(raw::credit(1, 1 << 52)).await;
    assert_eq!(peer.barrier(2).await, []);
    peer.send(raw::credit(1, 1 << 52)).await;
    assert_eq!(peer.last_goaway().await.code, ErrorCode::Credit as u32);
    gauge.live(0).await;
    drop(peer);
    scene.over().await;
}

/// Frames that break a rule at once, and the error that each is.
fn breaches() -> Vec<(&'static str, Vec<u8>, ErrorCode)> {
    let header = |header: FrameHeader| header.encode().to_vec();
    let request = |body: &wire::Request| raw::message(FrameType::Request, 1, body);
    let body = |bytes: &[u8]| raw::frame(FrameType::Request, 0, 1, bytes);
    let entry = |key: &str, value: &[u8]| wire::MetadataEntry {
        key: key.to_owned(),
        value: value.to_vec().into(),
    };
    let with = |metadata| wire::Request { method: "m".to_owned(), metadata, ..Default::default() };
    let hello = raw::message(FrameType::Hello, 0, &raw::hello(Side::Connecting));
    let unknown = FrameHeader { kind: 0x7f, ..FrameHeader::default() };
    let huge = FrameHeader::new(FrameType::Data, u32::MAX, 1);
    let chat = raw::request(1, raw::CHAT);
    let after = |frame: Vec<u8>| [chat.clone(), frame].concat();
    let done = |frame: Vec<u8>| [chat.clone(), raw::data(1, FLAG_END, b""), frame].concat();
    let cut = |announced: u64, bytes: &[u8]| {
        after(raw::data(1, 1, &[&announced.to_le_bytes()[..], bytes].concat()))
    };
    vec![
        ("a second HELLO", hello, ErrorCode::Hello),
        ("an unknown critical type", header(unknown), ErrorCode::FrameType),
        ("4 GiB of DATA", header(huge), ErrorCode::FrameSize),
        ("a PING of 7 bytes", raw::frame(FrameType::Ping, 0, 0, &[0; 7]), ErrorCode::FrameSize),
        (
            "a flag PING does not have",
            raw::frame(FrameType::Ping, 2, 0, &[0; 8]),
            ErrorCode::FrameFlags,
        ),
        ("MORE and END", after(raw::data(1, 3, b"123456789")), ErrorCode::FrameFlags),
        ("call 0", raw::request(0, "m"), ErrorCode::CallId),
        ("call 2^53", raw::request(1 << 53, "m"), ErrorCode::CallId),
        ("an id of the other side", raw::request(2, "m"), ErrorCode::CallId),
        ("an id again", after(raw::request(1, "m")), ErrorCode::CallId),
        ("DATA of a call that never was", raw::data(1, 0, b""), ErrorCode::CallId),
        (
            "STATUS from a caller",
            after(raw::frame(FrameType::Status, 0, 1, b"")),
            ErrorCode::CallState,
        ),
        ("DATA after END", done(raw::data(1, 0, b"")), ErrorCode::CallState),
        ("FINISH after END", done(raw::frame(FrameType::Finish, 0, 1, b"")), ErrorCode::CallState),
        ("CANCEL twice", after([raw::cancel(1), raw::cancel(1)].concat()), ErrorCode::CallState),
        ("a credit of 0", after(raw::credit(1, 0)), ErrorCode::Credit),
        ("too much credit", after(raw::credit(1, u64::MAX)), ErrorCode::Credit),
        ("an empty piece", cut(9, b""), ErrorCode::Message),
        ("a cut message of length 0", cut(0, b"x"), ErrorCode::Message),
        ("a piece that is too long", cut(2, b"xxx"), ErrorCode::Message),
        ("no method", request(&wire::Request::default()), ErrorCode::Method),
        (
            "a number that is not bound",
            request(&wire::Request { method_number: 5, ..Default::default() }),
            ErrorCode::Method,
        ),
        ("a method of 1,025 bytes", raw::request(1, &"m".repeat(1025)), ErrorCode::Method),
        ("a bad key", request(&with(vec![entry("Key", b"")])), ErrorCode::Metadata),
        ("a bad value", request(&with(vec![entry("key", b"\n")])), ErrorCode::Metadata),
        ("too much metadata", request(&with(vec![entry("k", b"v"); 600])), ErrorCode::Metadata),
        ("a field cut short", body(&[0x0a, 5, b'x']), ErrorCode::Decode),
        (
            "a varint of eleven bytes",
            body(&[[0x18].as_slice(), &[0xff; 11]].concat()),
            ErrorCode::Decode,
        ),
        ("a method that is not UTF-8", body(&[0x0a, 1, 0xff]), ErrorCode::Decode),
        ("field 0", body(&[0x02, 0]), ErrorCode::Decode),
        (
            "descriptors",
            header(FrameHeader { fds: 1, ..FrameHeader::new(FrameType::Data, 0, 1) }),
            ErrorCode::Descriptors,
        ),
        ("GOAWAY raised", [raw::goaway(4, 0), raw::goaway(6, 0)].concat(), ErrorCode::Goaway),
    ]
}

// [ERR-001] [CLS-004]
async fn every_breach_has_its_error(net: Net) {
    let gauge = Gauge::new();
    let scene = Scene::new(&net, Server::builder(), waiting(&gauge)).await;
    for (what, bytes, code) in breaches() {
        let mut peer = net.raw().await;
        peer.greet().await;
        // What comes behind the breach is discarded, and does not destroy what explains it.
        let _ = peer.try_send([bytes, vec![0xee; 100_000]].concat()).await;
        let goaway = peer.last_goaway().await;
        assert_eq!(goaway.code, code as u32, "{what}: {}", goaway.text);
        assert!(!goaway.text.is_empty());
    }
    gauge.live(0).await;
    scene.over().await;
}

// [HEL-001]
async fn a_frame_before_hello_is_a_breach(net: Net) {
    let scene = Scene::new(&net, Server::builder(), Script::new()).await;
    for frame in [raw::ping(1), raw::request(1, "m"), raw::goaway(0, 0)] {
        let mut peer = net.raw().await;
        peer.send([PREFACE.to_vec(), frame].concat()).await;
        peer.read_opening().await;
        assert_eq!(peer.last_goaway().await.code, ErrorCode::Hello as u32);
    }
    let small = wire::Hello { window: 65_535, ..raw::hello(Side::Connecting) };
    let lists = wire::Hello { features_required: 1 << 30, ..raw::hello(Side::Connecting) };
    for (hello, code) in [(small, ErrorCode::Hello), (lists, ErrorCode::Feature)] {
        let mut peer = net.raw().await;
        peer.send(raw::opening(&hello)).await;
        peer.read_opening().await;
        assert_eq!(peer.last_goaway().await.code, code as u32);
    }
    scene.over().await;
}

// [FRM-002] [FRM-003] [FRM-004] [CAL-003]
async fn what_can_be_ignored_is(net: Net) {
    let gauge = Gauge::new();
    let scene = Scene::new(&net, Server::builder(), waiting(&gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    let mut grease = Vec::new();
    for kind in 0x80..=0xff {
        let header =
            FrameHeader { kind, length: 3, flags: 0xff, reserved: 9, call: u64::MAX, fds: 0 };
        grease.extend([&header.encode()[..], b"abc"].concat());
    }
    peer.send(grease).await;
    let mut ping = raw::ping(7);
    (ping[5], ping[7]) = (0xf0, 0xff);
    peer.send(ping).await;
    let pong = peer.expect(FrameType::Ping).await;
    assert_eq!((pong.header.flags, &pong.body[..]), (FLAG_ACK, &7_u64.to_le_bytes()[..]));
    // Frames for a call that has ended: skipped, also those that would be breaches.
    peer.send(raw::unary(1, "nobody/knows", &Note::default())).await;
    assert_eq!(peer.outcome(1).await.0.code, bowline::Code::Unimplemented as u32);
    let late = [raw::data(1, 0, &[1; 70_000]), raw::cancel(1), raw::credit(1, 0), raw::cancel(1)];
    peer.send(late.concat().repeat(20)).await;
    assert_eq!(peer.barrier(8).await, []);
    drop(peer);
    scene.over().await;
}

async fn requests_after_the_end_of_a_drain_are_skipped(net: Net) {
    let gauge = Gauge::new();
    let server = net.serve(waiting(&gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    peer.send(raw::request(1, raw::CHAT)).await;
    gauge.live(1).await;
    server.handle().shutdown();
    let announced: wire::GoAway = peer.expect(FrameType::GoAway).await.decode();
    assert_eq!((announced.last, announced.code), ((1 << 53) - 1, 0));
    let ping = peer.expect(FrameType::Ping).await;
    // Before the answer, calls are taken.
    peer.send(raw::request(3, raw::CHAT)).await;
    gauge.live(2).await;
    peer.send(raw::frame(FrameType::Ping, FLAG_ACK, 0, &ping.body)).await;
    let real: wire::GoAway = peer.expect(FrameType::GoAway).await.decode();
    assert_eq!((real.last, real.code), (3, 0));
    let requests: Vec<u8> = (0..5000).flat_map(|n| raw::request(5 + 2 * n, raw::CHAT)).collect();
    peer.send(requests).await;
    assert_eq!(peer.barrier(1).await, []);
    assert_eq!(gauge.counts().entered, 2);
    peer.send([raw::cancel(1), raw::cancel(3)].concat()).await;
    assert_eq!(peer.rest().await.len(), 2, "two terminal frames, and the end");
    // The peer does not close: the server waits for a second at most.
    server.ended().await;
    drop(peer);
}

/// Sends without reading until the peer has had enough.
async fn flood(peer: &Raw, bytes: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most && peer.try_send(bytes).await.is_ok() {
        sent += bytes.len();
    }
    sent
}

// [OUT-001]
async fn reading_goes_on_while_nothing_can_be_written(net: Net) {
    let script = Script::new().download(|_, mut replies| async move {
        loop {
            replies.send(sized(50_000)).await?;
        }
    });
    let scene = Scene::new(&net, Server::builder(), script).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    // The server's output stands, and it still takes everything.
    let download = [raw::unary(1, raw::DOWNLOAD, &Note::default()), raw::credit(1, 1 << 40)];
    peer.send(download.concat()).await;
    let skipped = FrameHeader { kind: 0x99, length: 8192, ..FrameHeader::default() };
    let skipped = [&skipped.encode()[..], &[0; 8192]].concat();
    assert!(flood(&peer, &skipped, 32 << 20).await >= 32 << 20);
    peer.send(raw::cancel(1)).await;
    while peer.expect_any().await != FrameType::Status {}
    drop(peer);
    scene.over().await;
}

over_every_transport!(
    who_speaks_something_else_is_cut_off,
    another_version_is_told_ours,
    who_says_nothing_is_cut_off,
    the_handshake_has_one_time_limit_in_all,
    half_a_frame_is_not_waited_for,
    one_byte_at_a_time_is_no_breach,
    who_never_reads_is_bounded_and_ended,
    pings_without_number_cost_one_answer,
    cancelling_frees_no_slot_before_the_handler_has_ended,
    cancelling_without_waiting_meets_the_limit,
    credit_adds_up_and_no_further,
    every_breach_has_its_error,
    a_frame_before_hello_is_a_breach,
    what_can_be_ignored_is,
    requests_after_the_end_of_a_drain_are_skipped,
    reading_goes_on_while_nothing_can_be_written,
);
