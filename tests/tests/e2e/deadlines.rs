//! Deadlines, on both sides.

use std::time::{Duration, Instant};

use bowline::{Code, Limits, Origin, Request, Response, Server, Status};
use bowline_protocol::{FrameType, wire};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw;
use bowline_tests::script::{Script, echo, numbered};
use bowline_tests::test::Note;
use bowline_tests::wait::{Gate, Gauge};

const SOON: Duration = Duration::from_millis(30);
const LATE: Duration = Duration::from_secs(3600);

/// Handlers that wait for ever.
fn stuck(gauge: &Gauge) -> Script {
    let (unary, chat) = (gauge.clone(), gauge.clone());
    Script::new()
        .unary(move |_| {
            let inside = unary.enter();
            async move {
                std::future::pending::<()>().await;
                drop(inside);
                Err(Status::internal("never"))
            }
        })
        .chat(move |_, _| {
            let inside = chat.enter();
            async move {
                std::future::pending::<()>().await;
                drop(inside);
                Ok(())
            }
        })
}

// [DLN-001]
async fn a_handler_sees_the_deadline(net: Net) {
    let script = Script::new().unary(|request| async move {
        let left = request.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        Ok(numbered(left.map_or(0, |left| left.as_secs())).into())
    });
    net.serve(script).await;
    let client = net.client().await;
    let request = Request::new(Note::default()).with_timeout(LATE);
    let seconds = client.unary(request).await.expect("OK").into_inner().number;
    assert!((3000..=3600).contains(&seconds), "{seconds} s are left");
    let seconds = client.unary(Note::default()).await.expect("OK").into_inner().number;
    assert_eq!(seconds, 0, "there is none");
    let request = Request::new(Note::default()).with_timeout(Duration::MAX);
    let seconds = client.unary(request).await.expect("OK").into_inner().number;
    assert_eq!(seconds, 0, "there is none");

    let channel = net.builder().timeout(LATE).connect().await.expect("the server listens");
    let client = bowline_tests::test::test_client::TestClient::new(channel);
    let seconds = client.unary(Note::default()).await.expect("OK").into_inner().number;
    assert!((3000..=3600).contains(&seconds), "{seconds} s are left");
}

// [DLN-003]
async fn a_deadline_ends_the_call_on_both_sides(net: Net) {
    let gauge = Gauge::new();
    net.serve(stuck(&gauge)).await;
    let client = net.client().await;
    let request = Request::new(Note::default()).with_timeout(SOON);
    let status = client.unary(request).await.expect_err("nobody answers");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    gauge.entered(1).await;
    gauge.live(0).await;

    let request = Request::new(()).with_timeout(SOON);
    let (_sender, mut replies) = client.chat(request).await.expect("opens");
    let status = replies.message().await.expect_err("nobody answers");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    gauge.entered(2).await;
    gauge.live(0).await;
}

// [DLN-003]
async fn a_caller_reports_the_deadline_without_the_server(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    let call = tokio::spawn(async move {
        let request = Request::new(Note::default()).with_timeout(SOON);
        client.unary(request).await
    });
    peer.welcome().await;
    let request: wire::Request = peer.expect(FrameType::Request).await.decode();
    assert!(request.deadline_us.is_some_and(|us| us <= 30_000));
    peer.expect(FrameType::Data).await;
    let status = call.await.expect("no panic").expect_err("nobody answers");
    assert_eq!((status.code(), status.origin()), (Code::DeadlineExceeded, Origin::Local));
    assert!(!status.not_started(), "it may have started");
    peer.expect(FrameType::Cancel).await;
}

// [DLN-002]
async fn a_responder_enforces_the_deadline_itself(net: Net) {
    let gauge = Gauge::new();
    net.serve(stuck(&gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    let body = wire::Request {
        method: raw::UNARY.to_owned(),
        deadline_us: Some(20_000),
        ..wire::Request::default()
    };
    peer.send(raw::message(FrameType::Request, 1, &body)).await;
    peer.send(raw::data(1, bowline_protocol::FLAG_END, b"")).await;
    let (status, _) = peer.outcome(1).await;
    assert_eq!(status.code, Code::DeadlineExceeded as u32);
    assert!(!status.not_started);
    assert_eq!((gauge.counts().entered, gauge.counts().live), (1, 0));

    // One whose message never comes does not reach a handler.
    peer.send(raw::message(FrameType::Request, 3, &body)).await;
    let (status, _) = peer.outcome(3).await;
    assert_eq!(status.code, Code::DeadlineExceeded as u32);
    assert_eq!(gauge.counts().entered, 1);

    let body = wire::Request { deadline_us: Some(0), ..body };
    peer.send(raw::message(FrameType::Request, 5, &body)).await;
    peer.send(raw::data(5, bowline_protocol::FLAG_END, b"")).await;
    let (status, _) = peer.outcome(5).await;
    assert_eq!(status.code, Code::DeadlineExceeded as u32);
    assert!(status.not_started);
    assert_eq!(gauge.counts().entered, 1);

    // Beyond 2^53 µs there is none.
    let body = wire::Request { deadline_us: Some(u64::MAX), ..body };
    peer.send(raw::message(FrameType::Request, 7, &body)).await;
    peer.send(raw::data(7, bowline_protocol::FLAG_END, b"")).await;
    gauge.live(1).await;
}

async fn a_deadline_that_has_passed_already(net: Net) {
    let gauge = Gauge::new();
    net.serve(stuck(&gauge)).await;
    let client = net.client().await;
    let request = Request::new(Note::default()).with_timeout(Duration::ZERO);
    let status = client.unary(request).await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.not_started());
    let request = Request::new(()).with_timeout(Duration::ZERO);
    let (mut sender, mut replies) = client.chat(request).await.expect("opens");
    assert!(sender.send(Note::default()).await.is_err());
    let status = replies.message().await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(gauge.counts().entered, 0);
}

// [SLT-003]
async fn a_call_that_waited_for_a_slot_says_so(net: Net) {
    let gauge = Gauge::new();
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    net.serve_with(Server::builder().limits(limits), stuck(&gauge)).await;
    let client = net.client().await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(client.chat(()).await.expect("opens"));
    }
    gauge.live(64).await;
    let request = Request::new(Note::default()).with_timeout(SOON);
    let status = client.unary(request).await.expect_err("no slot");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.not_started());
    assert!(status.message().contains("64 slots"), "{status}");
    assert_eq!(gauge.counts().entered, 64);
}

async fn who_sends_is_told_of_the_deadline(net: Net) {
    let gauge = Gauge::new();
    net.serve(stuck(&gauge)).await;
    let client = net.client().await;
    let (mut sender, mut replies) =
        client.chat(Request::new(()).with_timeout(SOON)).await.expect("opens");
    let note = bowline_tests::script::sized(100_000);
    while sender.send(note.clone()).await.is_ok() {}
    let status = replies.message().await.expect_err("the deadline has passed");
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

async fn an_answer_in_time_is_an_answer(net: Net) {
    let gate = Gate::new();
    let held = gate.clone();
    let script = Script::new().unary(move |request| {
        let held = held.clone();
        async move {
            held.pass().await;
            echo(request).await
        }
    });
    net.serve(script).await;
    let client = net.client().await;
    let request = Request::new(numbered(4)).with_timeout(LATE);
    let call = tokio::spawn(async move { client.unary(request).await });
    gate.open();
    let reply: Response<Note> = call.await.expect("no panic").expect("OK");
    assert_eq!(reply.into_inner().number, 4);
}

over_every_transport!(
    a_handler_sees_the_deadline,
    a_deadline_ends_the_call_on_both_sides,
    a_caller_reports_the_deadline_without_the_server,
    a_responder_enforces_the_deadline_itself,
    a_deadline_that_has_passed_already,
    a_call_that_waited_for_a_slot_says_so,
    who_sends_is_told_of_the_deadline,
    an_answer_in_time_is_an_answer,
);
