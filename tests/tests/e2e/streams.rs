//! Streams: flow control, endings, and giving a call up.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bowline::{Code, Origin, Status};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, collect, numbered, said, sized};
use bowline_tests::test::Note;
use bowline_tests::wait::{Gate, Gauge};
use futures_core::Stream as _;

async fn a_long_stream_keeps_its_order(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let note = Note { number: 3000, payload: vec![1; 700], ..Note::default() };
    let mut stream = client.download(note).await.expect("opens");
    for number in 0..3000 {
        let note = stream.message().await.expect("OK").expect("there are more");
        assert_eq!(note.number, number);
    }
    assert_eq!(stream.message().await.expect("OK"), None);

    let (mut sender, reply) = client.upload(()).await.expect("opens");
    for number in 0..3000 {
        let payload = vec![0; 700];
        sender.send(Note { number, payload, ..said("x") }).await.expect("is taken");
    }
    sender.finish();
    let sum = reply.await.expect("OK").into_inner();
    assert_eq!((sum.number, sum.text.len()), (3000, 3000));
}

async fn both_directions_run_at_once(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    let sending = tokio::spawn(async move {
        for number in 0..200 {
            let payload = vec![2; 50_000];
            sender.send(Note { number, payload, ..Note::default() }).await.expect("is taken");
        }
        sender.finish();
    });
    for number in 0..200 {
        let note = replies.message().await.expect("OK").expect("there are more");
        assert_eq!((note.number, note.payload.len()), (number, 50_000));
    }
    assert_eq!(replies.message().await.expect("OK"), None);
    sending.await.expect("no panic");
}

async fn a_stream_is_a_stream(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let mut stream = pin!(client.download(numbered(2)).await.expect("opens"));
    let mut numbers = Vec::new();
    while let Some(note) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        numbers.push(note.expect("OK").number);
    }
    assert_eq!(numbers, [0, 1]);
}

async fn a_sender_waits_for_its_reader(net: Net) {
    let gate = Gate::new();
    let held = gate.clone();
    let script = Script::new().upload(move |request| {
        let held = held.clone();
        async move {
            held.pass().await;
            let mut notes = request.into_inner();
            let mut number = 0;
            while notes.message().await?.is_some() {
                number += 1;
            }
            Ok(numbered(number).into())
        }
    });
    net.serve(script).await;
    let client = net.client().await;
    client.unary(Note::default()).await.expect("HELLO has been read");
    let (mut sender, reply) = client.upload(()).await.expect("opens");
    let mut taken = 0_u64;
    loop {
        let mut send = pin!(sender.send(sized(10_000)));
        let mut cx = Context::from_waker(Waker::noop());
        match send.as_mut().poll(&mut cx) {
            Poll::Ready(sent) => sent.expect("is taken"),
            // A PING tells that what could leave has left, and been answered with credit.
            Poll::Pending if taken == 0 => unreachable!("there is room for one"),
            Poll::Pending => break,
        }
        taken += 1;
        assert!(taken < 200, "nothing holds the sender up");
    }
    // What the queue of the sender and the window of the receiver hold, and not much more.
    assert!((25..80).contains(&taken), "{taken} messages of 10,000 bytes were taken");
    gate.open();
    sender.send(sized(10_000)).await.expect("there is room again");
    sender.finish();
    assert_eq!(reply.await.expect("OK").into_inner().number, taken + 1);
}

async fn the_server_may_end_a_stream_early(net: Net) {
    let script = Script::new()
        .upload(|request| async move {
            let first = request.into_inner().message().await?;
            Ok(first.unwrap_or_default().into())
        })
        .chat(|_, _| async { Err(Status::permission_denied("not you")) });
    net.serve(script).await;
    let client = net.client().await;

    let (mut sender, reply) = client.upload(()).await.expect("opens");
    sender.send(numbered(5)).await.expect("is taken");
    assert_eq!(reply.await.expect("OK").into_inner().number, 5);
    let status = sender.send(numbered(6)).await.expect_err("the call has ended");
    assert_eq!(status.code(), Code::Cancelled);

    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    // Sends until it is told that the call has ended.
    while sender.send(sized(20_000)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(sender);
    // The sender has given up a call that was over: why it ended is not lost.
    let status = replies.message().await.expect_err("the server has refused");
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "not you"));
}

/// A chat whose handler waits for ever, and the gauge that tells when it is dropped.
fn waiting() -> (Script, Gauge) {
    let gauge = Gauge::new();
    let (unary, chat) = (gauge.clone(), gauge.clone());
    let (download, upload) = (gauge.clone(), gauge.clone());
    let script = Script::new()
        .unary(move |_| {
            let inside = unary.enter();
            async move {
                std::future::pending::<()>().await;
                drop(inside);
                Err(Status::internal("never"))
            }
        })
        .download(move |_, _replies| {
            let inside = download.enter();
            async move {
                std::future::pending::<()>().await;
                drop(inside);
                Ok(())
            }
        })
        .upload(move |_request| {
            let inside = upload.enter();
            async move {
                std::future::pending::<()>().await;
                drop(inside);
                Err(Status::internal("never"))
            }
        })
        .chat(move |request, _replies| {
            let inside = chat.enter();
            async move {
                let mut notes = request.into_inner();
                while notes.message().await?.is_some() {}
                std::future::pending::<()>().await;
                drop(inside);
                Ok(())
            }
        });
    (script, gauge)
}

// [CAN-001]
async fn dropping_a_call_cancels_its_handler(net: Net) {
    let (script, gauge) = waiting();
    net.serve(script).await;
    let client = net.client().await;

    let caller = client.clone();
    let unary = tokio::spawn(async move { caller.unary(Note::default()).await });
    gauge.live(1).await;
    unary.abort();
    gauge.live(0).await;

    let stream = client.download(Note::default()).await.expect("opens");
    gauge.live(1).await;
    drop(stream);
    gauge.live(0).await;

    let (sender, reply) = client.upload(()).await.expect("opens");
    gauge.live(1).await;
    drop(reply);
    gauge.live(0).await;
    drop(sender);

    let (sender, replies) = client.chat(()).await.expect("opens");
    gauge.live(1).await;
    drop(replies);
    gauge.live(0).await;
    drop(sender);
    assert_eq!(gauge.counts().entered, 4);
}

async fn a_sender_dropped_without_finish_cancels(net: Net) {
    let (script, gauge) = waiting();
    net.serve(script).await;
    let client = net.client().await;

    let (sender, reply) = client.upload(()).await.expect("opens");
    gauge.live(1).await;
    drop(sender);
    gauge.live(0).await;
    let status = reply.await.expect_err("the call was cancelled");
    assert_eq!((status.code(), status.origin()), (Code::Cancelled, Origin::Local));

    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    sender.send(numbered(1)).await.expect("is taken");
    gauge.live(1).await;
    drop(sender);
    gauge.live(0).await;
    let status = replies.message().await.expect_err("the call was cancelled");
    assert_eq!((status.code(), status.origin()), (Code::Cancelled, Origin::Local));
}

async fn who_waits_is_told_when_the_sender_is_dropped(net: Net) {
    let (script, gauge) = waiting();
    net.serve(script).await;
    let client = net.client().await;

    let (sender, mut replies) = client.chat(()).await.expect("opens");
    let reading = tokio::spawn(async move { replies.message().await });
    gauge.live(1).await;
    drop(sender);
    let status = reading.await.expect("no panic").expect_err("the call was cancelled");
    assert_eq!(status.code(), Code::Cancelled);

    let (sender, reply) = client.upload(()).await.expect("opens");
    let reading = tokio::spawn(reply);
    gauge.live(1).await;
    drop(sender);
    let status = reading.await.expect("no panic").expect_err("the call was cancelled");
    assert_eq!(status.code(), Code::Cancelled);
}

async fn who_sends_is_told_when_the_stream_is_dropped(net: Net) {
    let (script, gauge) = waiting();
    net.serve(script).await;
    let client = net.client().await;
    let (mut sender, reply) = client.upload(()).await.expect("opens");
    let sending = tokio::spawn(async move {
        loop {
            if let Err(status) = sender.send(sized(50_000)).await {
                return status;
            }
        }
    });
    gauge.live(1).await;
    drop(reply);
    let status = sending.await.expect("no panic");
    assert_eq!(status.code(), Code::Cancelled);
    gauge.live(0).await;
}

async fn a_handler_that_sends_is_dropped_when_its_caller_leaves(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().download(move |_, mut replies| {
        let inside = count.enter();
        async move {
            loop {
                let sent = replies.send(sized(30_000)).await;
                if sent.is_err() {
                    drop(inside);
                    return sent;
                }
            }
        }
    });
    net.serve(script).await;
    let client = net.client().await;
    let mut stream = client.download(Note::default()).await.expect("opens");
    for _ in 0..20 {
        assert!(stream.message().await.expect("OK").is_some());
    }
    assert_eq!(gauge.counts().live, 1);
    drop(stream);
    gauge.live(0).await;
    client.unary(Note::default()).await.expect("the connection lives");
}

async fn messages_that_came_before_the_end_are_not_lost(net: Net) {
    let script = Script::new().download(|_, mut replies| async move {
        for number in 0..10 {
            replies.send(numbered(number)).await?;
        }
        Err(Status::data_loss("the rest is gone"))
    });
    net.serve(script).await;
    let client = net.client().await;
    let mut stream = client.download(Note::default()).await.expect("opens");
    for number in 0..10 {
        assert_eq!(stream.message().await.expect("OK"), Some(numbered(number)));
    }
    assert_eq!(stream.message().await.expect_err("an error").code(), Code::DataLoss);
}

async fn a_handler_may_answer_before_it_has_read(net: Net) {
    let script = Script::new().chat(|request, mut replies| async move {
        drop(request);
        for number in 0..3 {
            replies.send(numbered(number)).await?;
        }
        Ok(())
    });
    net.serve(script).await;
    let client = net.client().await;
    let (sender, mut replies) = client.chat(()).await.expect("opens");
    assert_eq!(collect(&mut replies).await.expect("OK").len(), 3);
    drop(sender);
    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    while sender.send(sized(60_000)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(collect(&mut replies).await.expect("OK").len(), 3);
}

over_every_transport!(
    a_long_stream_keeps_its_order,
    both_directions_run_at_once,
    a_stream_is_a_stream,
    a_sender_waits_for_its_reader,
    the_server_may_end_a_stream_early,
    dropping_a_call_cancels_its_handler,
    a_sender_dropped_without_finish_cancels,
    who_waits_is_told_when_the_sender_is_dropped,
    who_sends_is_told_when_the_stream_is_dropped,
    a_handler_that_sends_is_dropped_when_its_caller_leaves,
    messages_that_came_before_the_end_are_not_lost,
    a_handler_may_answer_before_it_has_read,
);
