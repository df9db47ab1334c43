//! Handlers that panic, and callers that break the rules of a method.

use bowline::{Code, Origin};
use bowline_protocol::{FLAG_END, FrameType};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw;
use bowline_tests::script::{Script, echo, numbered, said};
use bowline_tests::test::Note;
use bowline_tests::wait::{Gate, Gauge};

// [ERR-002]
async fn a_panic_ends_its_call_alone(net: Net) {
    let gate = Gate::new();
    let held = gate.clone();
    let script = Script::new()
        .unary(move |request| {
            let held = held.clone();
            async move {
                match request.message().text.as_str() {
                    "at once" => panic!("as asked"),
                    "later" => {
                        tokio::task::yield_now().await;
                        panic!("as asked");
                    }
                    "held" => held.pass().await,
                    _ => {}
                }
                echo(request).await
            }
        })
        .download(|_, mut replies| async move {
            replies.send(numbered(1)).await?;
            panic!("as asked");
        })
        .chat(|request, mut replies| async move {
            let mut notes = request.into_inner();
            while let Some(note) = notes.message().await? {
                assert_ne!(note.text, "panic", "as asked");
                replies.send(note).await?;
            }
            Ok(())
        });
    net.serve(script).await;
    let client = net.client().await;
    let caller = client.clone();
    let beside = tokio::spawn(async move { caller.unary(said("held")).await });
    for when in ["at once", "later", "at once"] {
        let status = client.unary(said(when)).await.expect_err("a panic");
        assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Remote));
        assert!(!status.not_started());
        assert!(!status.message().contains("as asked"), "what panicked is nobody's business");
    }

    let mut stream = client.download(Note::default()).await.expect("opens");
    assert_eq!(stream.message().await.expect("the message comes first"), Some(numbered(1)));
    assert_eq!(stream.message().await.expect_err("a panic").code(), Code::Internal);

    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    sender.send(said("x")).await.expect("is taken");
    assert_eq!(replies.message().await.expect("OK"), Some(said("x")));
    sender.send(said("panic")).await.expect("is taken");
    assert_eq!(replies.message().await.expect_err("a panic").code(), Code::Internal);

    gate.open();
    beside.await.expect("no panic").expect("the other call goes on");
    client.unary(said("again")).await.expect("the connection lives");
}

// [CAL-004]
async fn a_wrong_number_of_messages_fails_the_call(net: Net) {
    let gauge = Gauge::new();
    let count = gauge.clone();
    let script = Script::new().unary(move |request| {
        let inside = count.enter();
        async move {
            drop(inside);
            echo(request).await
        }
    });
    net.serve(script).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    let finish = |call| raw::frame(FrameType::Finish, 0, call, b"");
    let wrong = [
        // None, and two: the second whole, the second last, the second cut.
        (raw::UNARY, vec![]),
        (raw::DOWNLOAD, vec![]),
        (raw::UNARY, vec![0, 0]),
        (raw::UNARY, vec![0, FLAG_END]),
        (raw::DOWNLOAD, vec![0, 0, 0]),
    ];
    for (call, (method, flags)) in (1..).step_by(2).zip(wrong) {
        let mut bytes = raw::request(call, method);
        for flags in &flags {
            bytes.extend(raw::data(call, *flags, b""));
        }
        if flags.last() != Some(&FLAG_END) {
            bytes.extend(finish(call));
        }
        peer.send(bytes).await;
        let (status, messages) = peer.outcome(call).await;
        assert_eq!(status.code, Code::InvalidArgument as u32, "{status:?}");
        assert!(status.message.contains("exactly one message"), "{status:?}");
        assert!(status.not_started && messages.is_empty());
    }
    assert_eq!(gauge.counts().entered, 0);
    // FINISH behind the only message is as good as END.
    let only = raw::data(101, 0, &prost::Message::encode_to_vec(&numbered(6)));
    peer.send([raw::request(101, raw::UNARY), only, finish(101)].concat()).await;
    let (status, messages) = peer.outcome(101).await;
    assert_eq!((status.code, messages.len()), (0, 1));
}

/// A server that answers a unary call with these frames, and what the client makes of it.
async fn answered(net: &Net, frames: &[Vec<u8>]) -> Result<Note, bowline::Status> {
    let listener = net.raw_listener().await;
    let client = net.client().await;
    let mut peer = listener.accept().await;
    let call = tokio::spawn(async move {
        let result = client.unary(Note::default()).await;
        // The connection lives: a PING goes round.
        (result, client)
    });
    peer.welcome().await;
    peer.expect(FrameType::Request).await;
    peer.expect(FrameType::Data).await;
    peer.send(frames.concat()).await;
    peer.barrier(1).await;
    let (result, client) = call.await.expect("no panic");
    let again = tokio::spawn(async move { client.unary(Note::default()).await });
    loop {
        let frame = peer.next().await.expect("the connection lives");
        if frame.kind() == FrameType::Request {
            peer.send(raw::data(frame.header.call, FLAG_END, b"")).await;
            break;
        }
    }
    again.await.expect("no panic").expect("the connection lives");
    result.map(bowline::Response::into_inner)
}

async fn a_reply_without_a_message_is_an_error(net: Net) {
    let ok = bowline_protocol::wire::Status::default();
    let result = answered(&net, &[raw::message(FrameType::Status, 1, &ok)]).await;
    let status = result.expect_err("no message");
    assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Local));
    assert!(status.message().contains("no message"), "{status}");
}

async fn a_reply_with_two_messages_is_an_error(net: Net) {
    let result = answered(&net, &[raw::data(1, 0, b""), raw::data(1, FLAG_END, b"")]).await;
    let status = result.expect_err("two messages");
    assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Local));
    assert!(status.message().contains("more than one"), "{status}");
}

async fn a_status_inside_a_message_ends_the_call(net: Net) {
    let cut = [&9_u64.to_le_bytes()[..], b"half"].concat();
    let status = bowline_protocol::wire::Status {
        code: Code::Aborted as u32,
        message: "changed my mind".to_owned(),
        ..Default::default()
    };
    let frames = [
        raw::data(1, bowline_protocol::FLAG_MORE, &cut),
        raw::message(FrameType::Status, 1, &status),
    ];
    let status = answered(&net, &frames).await.expect_err("aborted");
    assert_eq!((status.code(), status.origin()), (Code::Aborted, Origin::Remote));
}

async fn an_unknown_code_reads_as_unknown(net: Net) {
    let status = bowline_protocol::wire::Status { code: 77, ..Default::default() };
    let result = answered(&net, &[raw::message(FrameType::Status, 1, &status)]).await;
    assert_eq!(result.expect_err("77").code(), Code::Unknown);
}

async fn frames_of_ended_calls_are_passed_over(net: Net) {
    let frames = [
        raw::data(1, FLAG_END, b""),
        raw::data(1, FLAG_END, &[0xff; 1000]),
        raw::credit(1, 5),
        raw::message(FrameType::Status, 1, &bowline_protocol::wire::Status::default()),
    ];
    answered(&net, &frames).await.expect("the first answer counts");
}

over_every_transport!(
    a_panic_ends_its_call_alone,
    a_wrong_number_of_messages_fails_the_call,
    a_reply_without_a_message_is_an_error,
    a_reply_with_two_messages_is_an_error,
    a_status_inside_a_message_ends_the_call,
    an_unknown_code_reads_as_unknown,
    frames_of_ended_calls_are_passed_over,
);
