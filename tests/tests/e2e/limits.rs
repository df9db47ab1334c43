//! Limits: what is refused, what waits, and that those who keep to them make progress.

use bowline::codegen::prost::Message as _;
use bowline::{Channel, Code, Limits, Origin, Response, Server, Status};
use bowline_protocol::{ErrorCode, FLAG_MORE, FrameType, wire};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw;
use bowline_tests::script::{Script, echo, numbered, sized};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;
use bowline_tests::wait::{Gate, Gauge};

fn small() -> Limits {
    let (message_max, large_max) = (65_536, 65_536);
    Limits { message_max, large_max, window: 65_536, window_ahead: 0, ..Limits::accepting() }
}

fn names_both(status: &Status, length: usize, limit: usize) {
    let text = status.message();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(text.contains(&length.to_string()) && text.contains(&limit.to_string()), "{status}");
}

// [MSG-007]
async fn a_message_too_long_for_the_server_is_not_sent(net: Net) {
    net.serve_with(Server::builder().limits(small()), Script::new()).await;
    let client = net.client().await;
    client.unary(Note::default()).await.expect("HELLO has been read");
    client.unary(sized(65_536)).await.expect("just fits");
    let status = client.unary(sized(65_537)).await.expect_err("too long");
    names_both(&status, 65_537, 65_536);
    assert_eq!((status.origin(), status.not_started()), (Origin::Local, true));

    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    names_both(&sender.send(sized(70_000)).await.expect_err("too long"), 70_000, 65_536);
    sender.send(numbered(1)).await.expect("the call goes on");
    assert_eq!(replies.message().await.expect("OK"), Some(numbered(1)));
}

// [MSG-007]
async fn a_message_too_long_for_the_client_is_not_sent(net: Net) {
    let script = Script::new()
        .unary(|request| async move {
            let length = usize::try_from(request.message().number).expect("small");
            Ok(sized(length).into())
        })
        .download(|_, mut replies| async move {
            let status = replies.send(sized(70_000)).await.expect_err("too long");
            names_both(&status, 70_000, 65_536);
            replies.send(numbered(2)).await
        });
    net.serve(script).await;
    let limits = Limits { calls_max: 0, ..small() };
    let channel = net.builder().limits(limits).connect().await.expect("the server listens");
    let client = TestClient::new(channel);
    client.unary(numbered(65_536)).await.expect("just fits");
    let status = client.unary(numbered(65_537)).await.expect_err("too long");
    names_both(&status, 65_537, 65_536);
    assert_eq!((status.origin(), status.not_started()), (Origin::Remote, false));
    let mut stream = client.download(Note::default()).await.expect("opens");
    assert_eq!(stream.message().await.expect("OK"), Some(numbered(2)));
    client.unary(numbered(1000)).await.expect("the connection lives");
}

/// The first piece of a message that announces this length.
fn first_piece(call: u64, announced: u64, bytes: usize) -> Vec<u8> {
    raw::data(call, FLAG_MORE, &[&announced.to_le_bytes()[..], &vec![0; bytes]].concat())
}

// [MSG-007] [MSG-008]
async fn a_caller_that_ignores_the_limit_loses_its_call_alone(net: Net) {
    net.serve_with(Server::builder().limits(small()), Script::new()).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    // Announced; and in one frame, where the window and the frame's limit allow it.
    let mut call = 1;
    for announced in [65_537, 1 << 20, (1 << 53) - 1] {
        peer.send(raw::request(call, raw::UNARY)).await;
        peer.send(first_piece(call, announced, 1000)).await;
        let (status, _) = peer.outcome(call).await;
        assert_eq!(status.code, Code::ResourceExhausted as u32);
        assert!(status.message.contains(&announced.to_string()), "{status:?}");
        // What it sends on is passed over.
        peer.send(raw::data(call, FLAG_MORE, &[0; 5000])).await;
        call += 2;
    }
    peer.send(raw::unary(call, raw::UNARY, &numbered(1))).await;
    assert_eq!(peer.outcome(call).await.0.code, 0, "the connection lives");
}

// [MSG-007]
async fn a_responder_that_ignores_the_limit_loses_its_call_alone(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.unary(Note::default()).await });
    peer.welcome().await;
    peer.expect(FrameType::Request).await;
    peer.expect(FrameType::Data).await;
    peer.send(first_piece(1, 5 << 20, 1000)).await;
    let status = call.await.expect("no panic").expect_err("too long");
    names_both(&status, 5 << 20, 4 << 20);
    assert_eq!((status.origin(), status.not_started()), (Origin::Local, false));
    peer.expect(FrameType::Cancel).await;
    peer.send(raw::data(1, FLAG_MORE, &[0; 5000])).await;
    let cancelled = wire::Status { code: Code::Cancelled as u32, ..wire::Status::default() };
    peer.send(raw::message(FrameType::Status, 1, &cancelled)).await;
    peer.barrier(1).await;
    drop(client);
}

// [CRD-004] [CRD-005]
async fn a_hundred_large_messages_at_once(net: Net) {
    const LENGTH: usize = 256 * 1024;
    let gate = Gate::new();
    let held = gate.clone();
    let limits = Limits {
        message_max: LENGTH as u64,
        large_max: LENGTH as u64,
        window: 65_536,
        window_ahead: 0,
        ..Limits::accepting()
    };
    let script = Script::new().unary(move |request| {
        let held = held.clone();
        async move {
            held.pass().await;
            echo(request).await
        }
    });
    net.serve_with(Server::builder().limits(limits.clone()), script).await;
    let limits = Limits { calls_max: 0, ..limits };
    let channel = net.builder().limits(limits).connect().await.expect("the server listens");
    let client = TestClient::new(channel);
    let note = sized(LENGTH);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (client, note) = (client.clone(), note.clone());
            tokio::spawn(async move { client.unary(note).await })
        })
        .collect();
    gate.open();
    for call in calls {
        let reply = call.await.expect("no panic").expect("OK").into_inner();
        assert!(reply == note);
    }
}

// [CRD-003]
async fn a_stream_that_nobody_reads_holds_up_no_other(net: Net) {
    let sent = Gauge::new();
    let count = sent.clone();
    let taken = Gauge::new();
    let held = taken.clone();
    let script = Script::new()
        .download(move |_, mut replies| {
            let count = count.clone();
            async move {
                loop {
                    replies.send(sized(10_000)).await?;
                    drop(count.enter());
                }
            }
        })
        .upload(move |_request| {
            let inside = held.enter();
            async move {
                std::future::pending::<()>().await;
                drop(inside);
                Err(Status::internal("never"))
            }
        });
    net.serve(script).await;
    let client = net.client().await;
    let unread = client.download(Note::default()).await.expect("opens");
    let (mut sender, reply) = client.upload(()).await.expect("opens");
    taken.entered(1).await;
    let sending = tokio::spawn(async move {
        let mut number = 0_u64;
        loop {
            match sender.send(sized(10_000)).await {
                Ok(()) => number += 1,
                Err(_) => return number,
            }
        }
    });
    for _ in 0..100 {
        client.unary(sized(5_000)).await.expect("OK");
    }
    // Window, what is granted ahead, and the queue of the sender; 10,016 bytes for each.
    let limits = Limits::accepting();
    let held = limits.window + limits.window_ahead + limits.send_queue_max;
    let most = held / 10_016 + 2;
    assert!(sent.counts().entered <= most, "{} of {most}", sent.counts().entered);
    drop(reply);
    let uploaded = sending.await.expect("no panic");
    assert!(uploaded <= most, "{uploaded} of {most}");
    drop(unread);
}

// [SLT-001] [SLT-003]
async fn callers_wait_for_slots_and_all_finish(net: Net) {
    let gauge = Gauge::new();
    let gate = Gate::new();
    let (count, held) = (gauge.clone(), gate.clone());
    let script = Script::new().unary(move |request| {
        let (inside, held) = (count.enter(), held.clone());
        async move {
            held.pass().await;
            drop(inside);
            echo(request).await
        }
    });
    let limits = Limits { calls_max: 70, ..Limits::accepting() };
    net.serve_with(Server::builder().limits(limits), script).await;
    let client = net.client().await;
    let calls: Vec<_> = (0..300)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.unary(numbered(number)).await })
        })
        .collect();
    gauge.live(70).await;
    gate.open();
    for (number, call) in (0..).zip(calls) {
        let reply = call.await.expect("no panic").expect("OK");
        assert_eq!(reply.into_inner().number, number);
    }
    assert_eq!((gauge.counts().entered, gauge.counts().peak), (300, 70));
}

async fn no_more_callers_wait_than_may(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().chat(move |_, _| {
        let inside = count.enter();
        async move {
            std::future::pending::<()>().await;
            drop(inside);
            Ok(())
        }
    });
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    net.serve_with(Server::builder().limits(limits), script).await;
    let limits = Limits { waiting_max: 3, ..Limits::connecting() };
    let channel = net.builder().limits(limits).connect().await.expect("the server listens");
    let client = TestClient::new(channel.clone());
    let mut calls = Vec::new();
    for _ in 0..64 {
        calls.push(client.chat(()).await.expect("opens"));
        channel.ping().await.expect("the connection lives");
    }
    for _ in 0..3 {
        calls.push(client.chat(()).await.expect("waits"));
    }
    let status = client.chat(()).await.expect_err("too many wait");
    assert_eq!((status.code(), status.not_started()), (Code::ResourceExhausted, true));
    assert!(status.message().contains("waiting_max"), "{status}");
    // Those that wait may be given up, and others may open.
    calls.pop();
    let (_sender, mut replies) = client.chat(()).await.expect("waits");
    calls.clear();
    gauge.live(1).await;
    assert!(futures(&mut replies).await, "it has its slot");
}

/// Whether a call is open: nothing comes, and no end.
async fn futures(replies: &mut bowline::Streaming<Note>) -> bool {
    let mut message = std::pin::pin!(replies.message());
    std::future::poll_fn(|cx| std::task::Poll::Ready(message.as_mut().poll(cx).is_pending())).await
}

async fn connections_beyond_the_limit_are_told_so(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().unary(move |request| {
        drop(count.enter());
        echo(request)
    });
    net.serve_with(Server::builder().connections_max(2), script).await;
    let first = net.client().await;
    let second = net.client().await;
    first.unary(Note::default()).await.expect("OK");
    second.unary(Note::default()).await.expect("OK");

    let third = net.channel().await;
    let status = TestClient::new(third.clone()).unary(Note::default()).await.expect_err("BUSY");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("BUSY"), "{status}");
    assert!(status.not_started(), "a connection that is refused starts nothing: {status}");
    assert!(third.ready().await.is_err());
    let mut peer = net.raw().await;
    peer.greet().await;
    let goaway = peer.last_goaway().await;
    assert_eq!((goaway.code, goaway.last), (ErrorCode::Busy as u32, 0));
    assert_eq!(gauge.counts().entered, 2);

    // Somebody who waits at the door takes nobody's place.
    let _silent = net.raw().await;
    first.unary(Note::default()).await.expect("the others are not concerned");
    drop(second);
    gets_in(&net).await;
    first.unary(Note::default()).await.expect("the others are not concerned");
}

/// Connects until the server takes it.
async fn gets_in(net: &Net) -> Channel {
    loop {
        let channel = net.channel().await;
        if TestClient::new(channel.clone()).unary(Note::default()).await.is_ok() {
            return channel;
        }
        tokio::task::yield_now().await;
    }
}

// [HEL-007]
async fn a_token_is_asked_for(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().unary(move |request| {
        drop(count.enter());
        echo(request)
    });
    net.serve_with(Server::builder().token("sesame"), script).await;
    for token in ["", "sesamE", "sesam", "sesame ", "another"] {
        let channel = net.builder().token(token).connect().await.expect("the server listens");
        let status = TestClient::new(channel).unary(Note::default()).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("TOKEN"), "{status}");
        assert!(!status.message().contains("sesame"), "it is a secret: {status}");
        assert!(status.not_started());
    }
    assert_eq!(gauge.counts().entered, 0);
    let channel = net.builder().token("sesame").connect().await.expect("the server listens");
    TestClient::new(channel).unary(Note::default()).await.expect("let in");
}

async fn a_server_without_a_token_takes_any(net: Net) {
    net.serve(Script::new()).await;
    let channel = net.builder().token("whatever").connect().await.expect("the server listens");
    TestClient::new(channel).unary(Note::default()).await.expect("let in");
}

async fn limits_out_of_range_are_refused(net: Net) {
    let limits = Limits { window: 1000, ..Limits::accepting() };
    let error = Server::builder().limits(limits.clone()).listen(&net.address()).await;
    let text = error.expect_err("below the least").to_string();
    assert!(text.contains("window = 1000") && text.contains("65536"), "{text}");
    let error = net.builder().limits(limits.clone()).connect_lazily().expect_err("below the least");
    assert!(error.to_string().contains("window"), "{error}");
    net.serve(Script::new()).await;
    let error = net.builder().limits(limits).connect().await.expect_err("below the least");
    assert!(error.to_string().contains("window"), "{error}");
}

// [SLT-002]
async fn a_request_above_the_limit_ends_the_connection(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().unary(move |_| {
        let inside = count.enter();
        async move {
            std::future::pending::<()>().await;
            drop(inside);
            Ok(Response::new(Note::default()))
        }
    });
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    net.serve_with(Server::builder().limits(limits), script).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    for call in 0..64 {
        peer.send(raw::unary(2 * call + 1, raw::UNARY, &Note::default())).await;
    }
    assert_eq!(peer.barrier(1).await, [], "64 are allowed");
    gauge.live(64).await;
    peer.send(raw::request(129, raw::UNARY)).await;
    let goaway = peer.last_goaway().await;
    assert_eq!((goaway.code, goaway.last), (ErrorCode::CallsExceeded as u32, 127));
    gauge.live(0).await;
    assert_eq!(gauge.counts().peak, 64);
}

async fn metadata_that_fills_the_limit_arrives(net: Net) {
    let script = Script::new().unary(|request| async move {
        let length = request.metadata().text("k").map_or(0, str::len);
        Ok(numbered(length as u64).into())
    });
    net.serve(script).await;
    let client = net.client().await;
    client.unary(Note::default()).await.expect("HELLO has been read");
    let most = 16_384 - 32 - 1 - 32 - raw::UNARY.len();
    for (length, fits) in [(most, true), (most + 1, false)] {
        let mut metadata = bowline::Metadata::new();
        metadata.insert("k", &"v".repeat(length)).expect("valid");
        let request = bowline::Request::new(Note::default()).with_metadata(metadata);
        let result = client.unary(request).await;
        assert_eq!(result.is_ok(), fits, "{length}: {result:?}");
    }
}

async fn one_byte_messages_are_charged(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().upload(move |_| {
        let inside = count.enter();
        async move {
            std::future::pending::<()>().await;
            drop(inside);
            Ok(Response::new(Note::default()))
        }
    });
    net.serve_with(Server::builder().limits(small()), script).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    peer.send(raw::request(1, raw::UPLOAD)).await;
    gauge.live(1).await;
    // Each costs 17; the empty ones 16.
    let byte = raw::data(1, 0, b"x").repeat(65_536 / 17);
    peer.send(byte).await;
    assert!(peer.barrier(1).await.is_empty());
    peer.send(raw::data(1, 0, b"x")).await;
    assert_eq!(peer.last_goaway().await.code, ErrorCode::Credit as u32);

    let mut peer = net.raw().await;
    peer.greet().await;
    peer.send(raw::request(1, raw::UPLOAD)).await;
    peer.send(raw::data(1, 0, b"").repeat(65_536 / 16 + 1)).await;
    assert_eq!(peer.last_goaway().await.code, ErrorCode::Credit as u32);
}

async fn what_nobody_took_comes_back_as_credit(net: Net) {
    net.serve_with(Server::builder().limits(small()), Script::new()).await;
    let channel = net.channel().await;
    let client = TestClient::new(channel.clone());
    for _ in 0..50 {
        let (mut sender, mut replies) = client.chat(()).await.expect("opens");
        sender.send(sized(60_000)).await.expect("is taken");
        drop(replies.message().await);
    }
    channel.ping().await.expect("the connection lives");
    let note = sized(65_536);
    assert_eq!(client.unary(note.clone()).await.expect("OK").into_inner().encoded_len(), 65_536);
}

over_every_transport!(
    a_message_too_long_for_the_server_is_not_sent,
    a_message_too_long_for_the_client_is_not_sent,
    a_caller_that_ignores_the_limit_loses_its_call_alone,
    a_responder_that_ignores_the_limit_loses_its_call_alone,
    a_hundred_large_messages_at_once,
    a_stream_that_nobody_reads_holds_up_no_other,
    callers_wait_for_slots_and_all_finish,
    no_more_callers_wait_than_may,
    connections_beyond_the_limit_are_told_so,
    a_token_is_asked_for,
    a_server_without_a_token_takes_any,
    limits_out_of_range_are_refused,
    a_request_above_the_limit_ends_the_connection,
    metadata_that_fills_the_limit_arrives,
    one_byte_messages_are_charged,
    what_nobody_took_comes_back_as_credit,
);
