//! One side blocks its threads, the other waits as futures: both speak the same protocol.

use std::thread;
use std::time::Duration;

use bowline::{Channel, Code, Request, Server, Status};
use bowline_tests::blocking::{Gauge, Place, Script};
use bowline_tests::over_each_socket;
use bowline_tests::script::{Script as AsyncScript, collect, numbered, said, sized};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient as AsyncClient;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime can be made")
}

/// Serves this script with futures while the test runs.
fn beside_async_server(place: &Place, script: AsyncScript, test: impl FnOnce()) {
    let runtime = runtime();
    let builder = Server::builder().add_service(script.into_service());
    let address = place.address();
    let listening = async { builder.listen(&address).await.expect("the address is free") };
    let server = runtime.block_on(listening);
    let stop = server.handle();
    let serving = runtime.spawn(server.serve());
    test();
    stop.shutdown();
    runtime.block_on(serving).expect("the server does not panic");
}

fn a_blocking_client_calls_an_async_server(place: &Place) {
    beside_async_server(place, AsyncScript::new(), || {
        let client = place.client();
        assert_eq!(client.unary(said("hello")).expect("OK").into_inner(), said("hello"));
        assert_eq!(client.unary(sized(4 << 20)).expect("OK").into_inner(), sized(4 << 20));
        assert_eq!(client.download(numbered(1000)).expect("opens").count(), 1000);
        let (mut sender, reply) = client.upload(()).expect("opens");
        for _ in 0..100 {
            sender.send(sized(10_000)).expect("is taken");
        }
        sender.finish();
        assert_eq!(reply.wait().expect("OK").into_inner().number, 100);
        let (mut sender, mut replies) = client.chat(()).expect("opens");
        for number in 0..100 {
            sender.send(numbered(number)).expect("is taken");
            assert_eq!(replies.message().expect("OK"), Some(numbered(number)));
        }
        drop(sender);
        thread::scope(|scope| {
            for number in 0..64 {
                let client = &client;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let reply = client.unary(numbered(number)).expect("OK");
                        assert_eq!(reply.into_inner(), numbered(number));
                    }
                });
            }
        });
    });
}

fn an_async_client_calls_a_blocking_server(place: &Place) {
    place.serve(Script::new());
    runtime().block_on(async {
        let channel = Channel::connect(&place.address()).await.expect("the server listens");
        let client = AsyncClient::new(channel);
        assert_eq!(client.unary(said("hello")).await.expect("OK").into_inner(), said("hello"));
        assert_eq!(client.unary(sized(4 << 20)).await.expect("OK").into_inner(), sized(4 << 20));
        let mut notes = client.download(numbered(1000)).await.expect("opens");
        assert_eq!(collect(&mut notes).await.expect("OK").len(), 1000);
        let (mut sender, reply) = client.upload(()).await.expect("opens");
        for _ in 0..100 {
            sender.send(sized(10_000)).await.expect("is taken");
        }
        sender.finish();
        assert_eq!(reply.await.expect("OK").into_inner().number, 100);
        let (mut sender, mut replies) = client.chat(()).await.expect("opens");
        for number in 0..100 {
            sender.send(numbered(number)).await.expect("is taken");
            assert_eq!(replies.message().await.expect("OK"), Some(numbered(number)));
        }
        drop(sender);
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..1000 {
            let client = client.clone();
            calls.spawn(async move {
                let reply = client.unary(numbered(number)).await.expect("OK");
                assert_eq!(reply.into_inner(), numbered(number));
            });
        }
        calls.join_all().await;
    });
}

fn deadlines_and_cancelling_cross_over(place: &Place) {
    let gauge = Gauge::new();
    let (unary, chat) = (gauge.clone(), gauge.clone());
    let script = Script::new()
        .unary(move |request: Request<Note>| {
            let _inside = unary.enter();
            while !request.is_cancelled() {
                thread::yield_now();
            }
            Err(Status::internal("nobody is told"))
        })
        .chat(move |request, _| {
            let _inside = chat.enter();
            let _ = request.into_inner().last();
            Ok(())
        });
    place.serve(script);
    runtime().block_on(async {
        let channel = Channel::connect(&place.address()).await.expect("the server listens");
        let client = AsyncClient::new(channel);
        let request = Request::new(Note::default()).with_timeout(Duration::from_millis(50));
        let status = client.unary(request).await.expect_err("the handler is stuck");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        gauge.live(0);
        let calling = tokio::spawn(async move { client.unary(Note::default()).await });
        gauge.live(1);
        calling.abort();
        gauge.live(0);
    });
}

fn callbacks_cross_over(place: &Place) {
    // The server blocks, the client is async.
    let script = Script::new().unary(|request| {
        let caller = request.blocking_caller().expect("there is a way back").clone();
        let client = bowline_tests::test::test_blocking_client::TestClient::new(caller);
        client.unary(request.into_inner())
    });
    place.serve(script);
    runtime().block_on(async {
        let answers = AsyncScript::new().unary(|request| async move {
            let mut note = request.into_inner();
            note.text.push('!');
            Ok(note.into())
        });
        let builder = Channel::builder(&place.address()).expect("an address");
        let channel = builder.add_service(answers.into_service()).connect().await;
        let client = AsyncClient::new(channel.expect("the server listens"));
        assert_eq!(client.unary(said("hello")).await.expect("OK").into_inner(), said("hello!"));
    });
    place.shut_down();
    // The server is async, the client blocks.
    let script = AsyncScript::new().unary(|request| async move {
        let caller = request.caller().expect("there is a way back").clone();
        AsyncClient::new(caller).unary(request.into_inner()).await
    });
    beside_async_server(place, script, || {
        let answers = Script::new().unary(|request| {
            let mut note = request.into_inner();
            note.text.push('?');
            Ok(note.into())
        });
        let channel = place.builder().add_service(answers.into_service()).connect();
        let client =
            bowline_tests::test::test_blocking_client::TestClient::new(channel.expect("connects"));
        assert_eq!(client.unary(said("hello")).expect("OK").into_inner(), said("hello?"));
    });
}

over_each_socket!(
    a_blocking_client_calls_an_async_server,
    an_async_client_calls_a_blocking_server,
    deadlines_and_cancelling_cross_over,
    callbacks_cross_over,
);
