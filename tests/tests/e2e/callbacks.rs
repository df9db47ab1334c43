//! Calls from the server to the client, on the client's own connection.

use std::future::Future;
use std::pin::Pin;

use bowline::{Channel, Code, Origin, Request, Response, Status};
use bowline_protocol::{FLAG_END, FrameType, Side, wire};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw;
use bowline_tests::script::{Script, collect, echo, numbered, said, sized};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;
use bowline_tests::wait::Gauge;

fn back(request: &Request<impl Sized>) -> TestClient {
    TestClient::new(request.caller().expect("there is a way back").clone())
}

/// Asks the other side for one less than it was asked for, down to none: N handlers stand in each
/// other.
fn descending() -> Script {
    fn descend(
        request: Request<Note>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Note>, Status>> + Send>> {
        Box::pin(async move {
            let other = back(&request);
            let mut note = request.into_inner();
            if note.number > 0 {
                note.number -= 1;
                note = other.unary(note).await?.into_inner();
            }
            note.text.push('.');
            Ok(Response::new(note))
        })
    }
    Script::new().unary(descend)
}

async fn both(net: &Net, server: Script, client: Script) -> Channel {
    net.serve(server).await;
    let builder = net.builder().add_service(client.into_service());
    builder.connect().await.expect("the server listens")
}

async fn handlers_call_each_other(net: Net) {
    let client = TestClient::new(both(&net, descending(), descending()).await);
    for depth in [0, 1, 2, 7, 40] {
        let reply = client.unary(numbered(depth)).await.expect("OK").into_inner();
        assert_eq!(reply.text.len() as u64, depth + 1, "one dot of each handler");
    }
}

async fn streams_go_both_ways_too(net: Net) {
    // The server passes on what the client's own stream sends.
    let server = Script::new().download(|request, mut replies| async move {
        let mut notes = back(&request).download(request.into_inner()).await?;
        while let Some(note) = notes.message().await? {
            replies.send(note).await?;
        }
        Ok(())
    });
    let client = TestClient::new(both(&net, server, Script::new()).await);
    let note = Note { number: 100, payload: vec![7; 10_000], ..Note::default() };
    let mut stream = client.download(note).await.expect("opens");
    assert_eq!(collect(&mut stream).await.expect("OK").len(), 100);
}

async fn many_callbacks_at_once(net: Net) {
    let server = Script::new().unary(|request| async move {
        let other = back(&request);
        other.unary(request.into_inner()).await
    });
    let client = TestClient::new(both(&net, server, Script::new()).await);
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.unary(Note { number, ..sized(2_000) }).await })
        })
        .collect();
    for (number, call) in (0..).zip(calls) {
        let reply = call.await.expect("no panic").expect("OK").into_inner();
        assert_eq!(reply.number, number);
    }
}

// [HEL-002]
async fn a_client_without_services_takes_no_calls(net: Net) {
    let server = Script::new().unary(|request| async move {
        let other = back(&request);
        let status = other.unary(Note::default()).await.expect_err("it takes none");
        assert_eq!((status.code(), status.origin()), (Code::Unimplemented, Origin::Local));
        assert!(status.not_started(), "{status}");
        echo(request).await
    });
    net.serve(server).await;
    let client = net.client().await;
    client.unary(said("x")).await.expect("the handler goes on");
}

async fn a_callback_ends_with_the_call_that_made_it(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let server = Script::new().unary(|request| async move {
        let other = back(&request);
        other.unary(request.into_inner()).await
    });
    let stuck = Script::new().unary(move |request| {
        let inside = count.enter();
        async move {
            std::future::pending::<()>().await;
            drop(inside);
            echo(request).await
        }
    });
    let client = TestClient::new(both(&net, server, stuck).await);
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.unary(Note::default()).await });
    gauge.live(1).await;
    call.abort();
    gauge.live(0).await;
}

// [GOA-002]
async fn a_draining_server_may_still_call_back(net: Net) {
    let gauge = Gauge::new();
    let gate = bowline_tests::wait::Gate::new();
    let (count, held) = (gauge.clone(), gate.clone());
    let server = Script::new().unary(move |request| {
        let (inside, held) = (count.enter(), held.clone());
        async move {
            held.pass().await;
            let other = back(&request);
            drop(inside);
            other.unary(request.into_inner()).await
        }
    });
    let running = net.serve(server).await;
    let builder = net.builder().add_service(Script::new().into_service());
    let client = TestClient::new(builder.connect().await.expect("the server listens"));
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.unary(numbered(3)).await });
    gauge.live(1).await;
    running.handle().shutdown();
    loop {
        // Until GOAWAY has been read.
        let (sender, replies) = match client.chat(()).await {
            Ok(call) => call,
            Err(status) => break assert!(status.not_started(), "{status}"),
        };
        sender.finish();
        let mut replies = replies;
        if let Err(status) = replies.message().await {
            break assert!(status.not_started(), "{status}");
        }
    }
    gate.open();
    assert_eq!(call.await.expect("no panic").expect("OK").into_inner(), numbered(3));
    running.ended().await;
}

// [SLT-002]
async fn a_server_that_calls_without_leave_is_disconnected(net: Net) {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    peer.welcome().await;
    peer.send(raw::unary(2, raw::UNARY, &Note::default())).await;
    assert_eq!(peer.last_goaway().await.code, bowline::ErrorCode::CallsExceeded as u32);
    drop(peer);
    let status = client.unary(Note::default()).await.expect_err("the connection is over");
    assert!(status.message().contains("broke the protocol"), "{status}");
}

async fn a_client_answers_as_a_server_does(net: Net) {
    let listener = net.raw_listener().await;
    let builder = net.builder().add_service(Script::new().into_service());
    let _channel = builder.connect().await.expect("the server listens");
    let mut peer = listener.accept().await;
    let hello: wire::Hello = peer.welcome_with(&raw::hello(Side::Accepting)).await;
    assert!(hello.calls_max >= 64, "it takes calls");
    peer.send(raw::unary(2, raw::UNARY, &numbered(9))).await;
    let reply = peer.expect(FrameType::Data).await;
    assert_eq!((reply.header.call, reply.header.flags), (2, FLAG_END));
    assert_eq!(reply.decode::<Note>(), numbered(9));
    peer.send(raw::unary(4, "test.v1.Test/Nothing", &numbered(9))).await;
    let status: wire::Status = peer.expect(FrameType::Status).await.decode();
    assert_eq!((status.code, status.not_started), (Code::Unimplemented as u32, true));
}

over_every_transport!(
    handlers_call_each_other,
    streams_go_both_ways_too,
    many_callbacks_at_once,
    a_client_without_services_takes_no_calls,
    a_callback_ends_with_the_call_that_made_it,
    a_draining_server_may_still_call_back,
    a_server_that_calls_without_leave_is_disconnected,
    a_client_answers_as_a_server_does,
);
