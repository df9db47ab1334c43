//! Futures that are dropped at any moment: nothing hangs, no slot is lost.

use std::future::Future;
use std::pin::pin;

use bowline::{Channel, Limits, Server, Status};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, collect, numbered, sized};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;

/// Most polls that any of these futures is given.
const POLLS: usize = 12;

/// Polls a future so often, others in between, and drops it; true if it was done before.
async fn poll_and_drop<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx)));
        if poll.await.is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Drops the future after each number of polls, then makes as many calls as there are slots.
async fn sweep<F: Future>(net: &Net, make: impl Fn(TestClient, Channel) -> F) {
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    let server = net.serve_with(Server::builder().limits(limits), Script::new()).await;
    let channel = net.channel().await;
    let client = TestClient::new(channel.clone());
    for round in 0..6 {
        for polls in 0..POLLS {
            poll_and_drop(make(client.clone(), channel.clone()), polls).await;
        }
        if round % 2 == 0 {
            channel.ping().await.expect("the connection lives");
        }
    }
    // Chats that stay open take a slot each: all 64 are free.
    let mut open = Vec::new();
    for number in 0..64 {
        let (mut sender, mut replies) = client.chat(()).await.expect("opens");
        sender.send(numbered(number)).await.expect("is taken");
        let reply = replies.message().await.expect("there is a slot");
        assert_eq!(reply, Some(numbered(number)));
        open.push((sender, replies));
    }
    drop((open, client, channel));
    server.stop().await;
}

async fn unary(net: Net) {
    sweep(&net, |client, _| async move { client.unary(numbered(1)).await }).await;
    sweep(&net, |client, _| async move { client.unary(sized(500_000)).await }).await;
}

async fn download(net: Net) {
    sweep(&net, |client, _| async move {
        let mut notes = client.download(Note { number: 5, ..sized(50_000) }).await?;
        notes.metadata().await;
        collect(&mut notes).await
    })
    .await;
}

async fn upload(net: Net) {
    sweep(&net, |client, _| async move {
        let (mut sender, reply) = client.upload(()).await?;
        for _ in 0..8 {
            sender.send(sized(100_000)).await?;
        }
        sender.finish();
        reply.await
    })
    .await;
}

async fn chat(net: Net) {
    sweep(&net, |client, _| async move {
        let (mut sender, mut replies) = client.chat(()).await?;
        for number in 0..4 {
            sender.send(Note { number, ..sized(60_000) }).await?;
            replies.message().await?;
        }
        sender.finish();
        collect(&mut replies).await
    })
    .await;
}

async fn ping_and_ready(net: Net) {
    sweep(&net, |_, channel| async move {
        channel.ready().await?;
        channel.ping().await
    })
    .await;
}

async fn connect_and_close(net: Net) {
    let builder = net.builder();
    sweep(&net, move |_, _| {
        let builder = builder.clone();
        async move {
            let channel = builder.connect().await.expect("the server listens");
            let reply = TestClient::new(channel.clone()).unary(numbered(1)).await;
            channel.close().await;
            reply
        }
    })
    .await;
}

async fn reconnecting_calls(net: Net) {
    let builder = net.builder();
    sweep(&net, move |_, _| {
        let lazy = builder.clone().connect_lazily().expect("the limits are good");
        async move {
            let client = TestClient::new(lazy);
            let all = (client.unary(numbered(1)).await, client.unary(numbered(2)).await);
            Ok::<_, Status>((all.0?, all.1?))
        }
    })
    .await;
}

/// A message taken is not lost, and one not taken comes with the next wait.
async fn waiting_for_a_message_loses_none(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    let mut expected = 0;
    for number in 0..100 {
        // Sent if, and only if, the future has completed; small ones always fit.
        sender.send(numbered(number)).await.expect("is taken");
        let polls = usize::try_from(number % 5).expect("small");
        let mut message = pin!(replies.message());
        for _ in 0..polls {
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(message.as_mut().poll(cx)));
            if let std::task::Poll::Ready(note) = poll.await {
                assert_eq!(note.expect("OK"), Some(numbered(expected)));
                expected += 1;
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    sender.finish();
    for note in collect(&mut replies).await.expect("OK") {
        assert_eq!(note, numbered(expected));
        expected += 1;
    }
    assert_eq!(expected, 100);
}

async fn a_send_that_was_dropped_has_sent_nothing(net: Net) {
    let gate = bowline_tests::wait::Gate::new();
    let held = gate.clone();
    let script = Script::new().upload(move |request| {
        let held = held.clone();
        async move {
            held.pass().await;
            let mut notes = request.into_inner();
            let mut numbers = Vec::new();
            while let Some(note) = notes.message().await? {
                numbers.push(u8::try_from(note.number).expect("small"));
            }
            Ok(Note { payload: numbers, ..Note::default() }.into())
        }
    });
    net.serve(script).await;
    let client = net.client().await;
    let (mut sender, reply) = client.upload(()).await.expect("opens");
    let mut sent = Vec::new();
    for number in 0..60 {
        let note = Note { number, ..sized(40_000) };
        if poll_and_drop(sender.send(note), 2).await {
            sent.push(u8::try_from(number).expect("small"));
        }
    }
    assert!(sent.len() < 60, "some had to wait");
    gate.open();
    sender.finish();
    assert_eq!(reply.await.expect("OK").into_inner().payload, sent);
}

over_every_transport!(
    unary,
    download,
    upload,
    chat,
    ping_and_ready,
    connect_and_close,
    reconnecting_calls,
    waiting_for_a_message_loses_none,
    a_send_that_was_dropped_has_sent_nothing,
);
