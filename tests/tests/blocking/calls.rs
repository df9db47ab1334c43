//! Calls of each kind, and what goes beside their messages.

use std::thread;

use bowline::{Code, Metadata, Method, MethodKind, Origin, Request, Response, Status};
use bowline_tests::blocking::{Gate, Place, Script};
use bowline_tests::net::Transport;
use bowline_tests::over_each_socket;
use bowline_tests::script::{numbered, said, sized};
use bowline_tests::test::{Note, test_methods};

fn each_kind_carries_its_messages(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    let reply = client.unary(said("hello")).expect("OK");
    assert_eq!(reply.into_inner(), said("hello"));

    let mut notes = client.download(numbered(3)).expect("opens");
    for number in 0..3 {
        assert_eq!(notes.message().expect("OK").map(|note| note.number), Some(number));
    }
    assert_eq!(notes.message().expect("OK"), None);
    assert_eq!(notes.message().expect("the same again"), None);
    let notes = client.download(numbered(1000)).expect("opens");
    let numbers: Vec<u64> = notes.map(|note| note.expect("OK").number).collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());

    let (mut sender, reply) = client.upload(()).expect("opens");
    for text in ["a", "b", "c"] {
        sender.send(said(text)).expect("is taken");
    }
    sender.finish();
    let reply = reply.wait().expect("OK").into_inner();
    assert_eq!((reply.number, reply.text.as_str()), (3, "abc"));

    let (mut sender, mut replies) = client.chat(()).expect("opens");
    for number in 0..100 {
        sender.send(numbered(number)).expect("is taken");
        assert_eq!(replies.message().expect("OK"), Some(numbered(number)));
    }
    sender.finish();
    assert_eq!(replies.message().expect("OK"), None);
}

fn streams_may_be_empty(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    assert_eq!(client.download(numbered(0)).expect("opens").count(), 0);
    let (sender, reply) = client.upload(()).expect("opens");
    sender.finish();
    assert_eq!(reply.wait().expect("OK").into_inner().number, 0);
    let (sender, mut replies) = client.chat(()).expect("opens");
    sender.finish();
    assert!(replies.message().expect("OK").is_none());
    assert_eq!(client.unary(Note::default()).expect("OK").into_inner(), Note::default());
}

fn messages_of_every_length_arrive_whole(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    for length in [301, 4095, 4096, 65_519, 65_520, 131_072, 131_073, 1 << 20, 4 << 20] {
        let note = sized(length);
        assert_eq!(client.unary(note.clone()).expect("OK").into_inner(), note, "{length}");
    }
    let status = client.unary(sized((4 << 20) + 1)).expect_err("over message_max");
    assert_eq!((status.code(), status.origin()), (Code::ResourceExhausted, Origin::Local));
    client.unary(said("still there")).expect("the connection lives");
}

/// All of them read in turn, and each gets its own reply.
fn threads_share_a_channel(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    thread::scope(|scope| {
        for thread in 0..64_u64 {
            let client = client.clone();
            scope.spawn(move || {
                for call in 0..100 {
                    let note = numbered(thread * 1000 + call);
                    assert_eq!(client.unary(note.clone()).expect("OK").into_inner(), note);
                }
            });
        }
    });
}

/// Neither waits for the other to read.
fn large_messages_go_both_ways_at_once(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for _ in 0..4 {
                    let note = Note { number: thread, ..sized(3 << 20) };
                    assert_eq!(client.unary(note.clone()).expect("OK").into_inner(), note);
                }
            });
        }
        scope.spawn(|| {
            let (mut sender, mut replies) = client.chat(()).expect("opens");
            thread::scope(|scope| {
                scope.spawn(move || {
                    for number in 0..16 {
                        let note = Note { number, ..sized(1 << 20) };
                        sender.send(note).expect("is taken");
                    }
                    sender.finish();
                });
                for number in 0..16 {
                    let note = replies.message().expect("OK").expect("16 come");
                    assert_eq!(
                        (note.number, note.payload.len()),
                        (number, sized(1 << 20).payload.len())
                    );
                }
                assert!(replies.message().expect("OK").is_none());
            });
        });
    });
}

fn some_metadata(prefix: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert(&format!("{prefix}-one"), "1").expect("valid");
    metadata.insert_bin(&format!("{prefix}-two-bin"), vec![0, 255]).expect("valid");
    metadata.insert(&format!("{prefix}-one"), "again").expect("valid");
    metadata
}

fn metadata_goes_both_ways(place: &Place) {
    let script = Script::new()
        .unary(|request| {
            assert_eq!(request.metadata(), &some_metadata("asked"));
            let mut response = Response::new(Note::default());
            *response.metadata_mut() = some_metadata("early");
            *response.trailers_mut() = some_metadata("late");
            Ok(response)
        })
        .download(|request, mut replies| {
            assert_eq!(request.metadata(), &some_metadata("asked"));
            replies.accept(some_metadata("early"))?;
            replies.send(numbered(1))?;
            replies.set_trailers(some_metadata("late"));
            Ok(())
        });
    place.serve(script);
    let client = place.client();
    let request = || Request::new(Note::default()).with_metadata(some_metadata("asked"));
    let response = client.unary(request()).expect("OK");
    assert_eq!(response.metadata(), &some_metadata("early"));
    assert_eq!(response.trailers(), &some_metadata("late"));

    let mut stream = client.download(request()).expect("opens");
    assert_eq!(stream.metadata(), some_metadata("early"));
    assert!(stream.trailers().is_none(), "it has not ended");
    assert_eq!(stream.message().expect("OK"), Some(numbered(1)));
    assert_eq!(stream.message().expect("OK"), None);
    assert_eq!(stream.trailers(), Some(&some_metadata("late")));
}

fn a_handler_accepts_before_it_has_a_message(place: &Place) {
    let gate = Gate::new();
    let passed = gate.clone();
    let script = Script::new().chat(move |_, mut replies| {
        replies.accept(some_metadata("early"))?;
        passed.pass();
        replies.send(numbered(1))
    });
    place.serve(script);
    let (sender, mut replies) = place.client().chat(()).expect("opens");
    assert_eq!(replies.metadata(), some_metadata("early"));
    gate.open();
    assert_eq!(replies.message().expect("OK"), Some(numbered(1)));
    assert_eq!(replies.message().expect("OK"), None);
    drop(sender);
}

fn a_status_arrives_whole(place: &Place) {
    let rich =
        || Status::failed_precondition("not yet – ünïcode").with_metadata(some_metadata("t"));
    let script = Script::new().unary(move |_| Err(rich())).download(move |_, mut replies| {
        replies.send(numbered(42))?;
        Err(rich())
    });
    place.serve(script);
    let client = place.client();
    let status = client.unary(Note::default()).expect_err("an error");
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, rich().message()));
    assert_eq!((status.metadata(), status.origin()), (&some_metadata("t"), Origin::Remote));
    assert!(!status.not_started());

    let mut stream = client.download(Note::default()).expect("opens");
    assert_eq!(stream.message().expect("the message comes first"), Some(numbered(42)));
    let status = stream.message().expect_err("an error");
    assert_eq!(stream.message().expect_err("the same again"), status);
    assert!(stream.next().is_none(), "an iterator ends behind the error");
}

fn an_unknown_method_is_unimplemented(place: &Place) {
    place.serve(Script::new());
    let channel = place.channel();
    let method = Method::new("test.v1.Test/Nothing", MethodKind::Unary);
    for _ in 0..2 {
        let result = channel.unary::<Note, Note>(&method, Request::new(Note::default()));
        let status = result.expect_err("there is no such method");
        assert_eq!((status.code(), status.origin()), (Code::Unimplemented, Origin::Remote));
        assert!(status.not_started());
    }
    let reply = channel.unary::<Note, Note>(&test_methods::UNARY, Request::new(numbered(5)));
    assert_eq!(reply.expect("the connection lives").into_inner(), numbered(5));
}

// [CAL-004] [ERR-002]
fn what_is_not_as_the_method_says_ends_its_call_alone(place: &Place) {
    place.serve(Script::new());
    let channel = place.channel();
    let unary = test_methods::UNARY;
    let text = "text that is longer than ten bytes".to_owned();
    // `String` is google.protobuf.StringValue: field 1 is a number in a note.
    let result = channel.unary::<String, Note>(&unary, Request::new(text));
    let status = result.expect_err("the request is not a note");
    assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Remote));
    let result = channel.unary::<Note, String>(&unary, Request::new(numbered(3)));
    let status = result.expect_err("the reply is not a string");
    assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Local));

    // Two messages for a method that takes one, and none.
    let opened = channel.client_streaming::<Note, Note>(&unary, Request::new(()));
    let (mut sender, reply) = opened.expect("opens");
    sender.send(numbered(1)).expect("is taken");
    let _ = sender.send(numbered(2));
    sender.finish();
    assert_eq!(reply.wait().expect_err("two").code(), Code::InvalidArgument);
    let opened = channel.client_streaming::<Note, Note>(&unary, Request::new(()));
    let (sender, reply) = opened.expect("opens");
    sender.finish();
    assert_eq!(reply.wait().expect_err("none").code(), Code::InvalidArgument);

    // A stream of answers where one is expected.
    let result = channel.unary::<Note, Note>(&test_methods::DOWNLOAD, Request::new(numbered(9)));
    assert_eq!(result.expect_err("nine messages").code(), Code::Internal);
    let reply = channel.unary::<Note, Note>(&unary, Request::new(numbered(9)));
    assert_eq!(reply.expect("the connection lives").into_inner(), numbered(9));
}

fn both_sides_know_each_other(place: &Place) {
    let script = Script::new().unary(|request| {
        assert!(request.caller().is_none(), "that is for handlers of the other kind");
        assert!(request.blocking_caller().is_some());
        let pid = request.peer().and_then(bowline::PeerIdentity::pid);
        Ok(numbered(pid.unwrap_or_default().into()).into())
    });
    place.serve(script);
    let channel = place.channel();
    let request = Request::new(Note::default());
    let reply = channel.unary::<Note, Note>(&test_methods::UNARY, request).expect("OK");
    let own = u64::from(std::process::id());
    let peer = channel.peer().expect("there is a connection");
    match place.transport() {
        Transport::Unix => {
            assert_eq!(reply.into_inner().number, own);
            assert_eq!(peer.pid().map(u64::from), Some(own));
        }
        _ => {
            assert_eq!(reply.into_inner().number, 0);
            assert!(peer.socket_addr().is_some_and(|addr| addr.ip().is_loopback()));
        }
    }
    let limits = channel.ready().expect("the server answers");
    assert_eq!((limits.calls_max, limits.message_max), (1024, Some(4 << 20)));
    channel.ping().expect("the server answers");
}

over_each_socket!(
    each_kind_carries_its_messages,
    streams_may_be_empty,
    messages_of_every_length_arrive_whole,
    threads_share_a_channel,
    large_messages_go_both_ways_at_once,
    metadata_goes_both_ways,
    a_handler_accepts_before_it_has_a_message,
    a_status_arrives_whole,
    an_unknown_method_is_unimplemented,
    what_is_not_as_the_method_says_ends_its_call_alone,
    both_sides_know_each_other,
);
