//! The four kinds of call, metadata, statuses and who calls.

use std::sync::{Arc, Mutex};

use bowline::codegen::prost_types::Any;
use bowline::{Code, Metadata, Method, MethodKind, Origin, Request, Response, Status};
use bowline_tests::net::{Net, Transport};
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, collect, numbered, said, sized};
use bowline_tests::test::{Note, test_methods};

async fn each_kind_carries_its_messages(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;

    let note = Note { number: 7, text: "ahoy".to_owned(), payload: vec![0, 255] };
    assert_eq!(client.unary(note.clone()).await.expect("OK").into_inner(), note);

    let mut copies = client.download(Note { number: 3, ..said("x") }).await.expect("opens");
    let copies = collect(&mut copies).await.expect("OK");
    assert_eq!(copies, [0, 1, 2].map(|number| Note { number, ..said("x") }));

    let (mut sender, reply) = client.upload(()).await.expect("opens");
    for text in ["a", "b", "c"] {
        sender.send(said(text)).await.expect("is taken");
    }
    sender.finish();
    let sum = reply.await.expect("OK").into_inner();
    assert_eq!((sum.number, sum.text.as_str()), (3, "abc"));

    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    for number in 0..5 {
        sender.send(numbered(number)).await.expect("is taken");
        assert_eq!(replies.message().await.expect("OK"), Some(numbered(number)));
    }
    sender.finish();
    assert_eq!(replies.message().await.expect("OK"), None);
    assert_eq!(replies.message().await.expect("still OK"), None);
}

async fn streams_may_be_empty(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let mut none = client.download(numbered(0)).await.expect("opens");
    assert_eq!(collect(&mut none).await.expect("OK"), []);
    let (sender, reply) = client.upload(()).await.expect("opens");
    sender.finish();
    assert_eq!(reply.await.expect("OK").into_inner().number, 0);
    let (sender, mut replies) = client.chat(()).await.expect("opens");
    sender.finish();
    assert_eq!(collect(&mut replies).await.expect("OK"), []);
}

async fn an_empty_message_is_a_message(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    assert_eq!(client.unary(Note::default()).await.expect("OK").into_inner(), Note::default());
    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    for _ in 0..3 {
        sender.send(Note::default()).await.expect("is taken");
    }
    sender.finish();
    assert_eq!(collect(&mut replies).await.expect("OK").len(), 3);
}

async fn messages_of_every_length_arrive_whole(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    client.unary(Note::default()).await.expect("HELLO has been read");
    // Around what fits a frame, a piece, a window and the limit.
    let lengths = [4096, 8192, 16_384, 65_520, 65_536, 66_048, 131_056, 131_072, 1 << 20, 4 << 20];
    for length in lengths.into_iter().flat_map(|n| [n - 1, n, n + 1]).filter(|n| *n <= 4 << 20) {
        let note = sized(length);
        let reply = client.unary(note.clone()).await.expect("OK").into_inner();
        assert!(reply == note, "of {length} bytes");
    }
}

async fn many_calls_at_once(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let calls: Vec<_> = (0..300)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.unary(numbered(number)).await })
        })
        .collect();
    for (number, call) in (0..).zip(calls) {
        let reply = call.await.expect("no panic").expect("OK").into_inner();
        assert_eq!(reply, numbered(number));
    }
}

fn entries(metadata: &Metadata) -> Vec<(String, Vec<u8>)> {
    metadata.iter().map(|(key, value)| (key.to_owned(), value.to_vec())).collect()
}

fn some_metadata(mark: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("twice", "first").expect("valid");
    metadata.insert("who", mark).expect("valid");
    metadata.insert_bin("raw-bin", vec![0, 10, 255]).expect("valid");
    metadata.insert("twice", "second").expect("valid");
    metadata.insert("empty", "").expect("valid");
    metadata
}

// [MET-001] [MET-002]
async fn metadata_goes_both_ways_in_its_order(net: Net) {
    let script = Script::new()
        .unary(|request| async move {
            let mut response = Response::new(Note::default());
            *response.metadata_mut() = request.metadata().clone();
            *response.trailers_mut() = some_metadata("trailing");
            Ok(response)
        })
        .download(|request, mut replies| async move {
            replies.accept(request.metadata().clone())?;
            replies.send(Note::default()).await?;
            replies.set_trailers(some_metadata("trailing"));
            Ok(())
        });
    net.serve(script).await;
    let client = net.client().await;
    let initial = entries(&some_metadata("initial"));
    assert_eq!(initial[0], ("twice".to_owned(), b"first".to_vec()));
    assert_eq!(initial[3], ("twice".to_owned(), b"second".to_vec()));

    let request = Request::new(Note::default()).with_metadata(some_metadata("initial"));
    let response = client.unary(request.clone()).await.expect("OK");
    assert_eq!(entries(response.metadata()), initial);
    assert_eq!(entries(response.trailers()), entries(&some_metadata("trailing")));

    let mut stream = client.download(request).await.expect("opens");
    assert_eq!(entries(&stream.metadata().await), initial);
    assert!(stream.trailers().is_none(), "it has not ended");
    assert_eq!(collect(&mut stream).await.expect("OK").len(), 1);
    let trailers = stream.trailers().expect("it has ended well");
    assert_eq!(entries(trailers), entries(&some_metadata("trailing")));
}

// [CAL-006]
async fn a_handler_accepts_before_it_has_a_message(net: Net) {
    let gate = bowline_tests::wait::Gate::new();
    let held = gate.clone();
    let script = Script::new().chat(move |_request, mut replies| {
        let held = held.clone();
        async move {
            replies.accept(some_metadata("early"))?;
            held.pass().await;
            assert!(replies.accept(Metadata::new()).is_err(), "once only");
            replies.send(numbered(1)).await
        }
    });
    net.serve(script).await;
    let client = net.client().await;
    let (sender, mut replies) = client.chat(()).await.expect("opens");
    assert_eq!(entries(&replies.metadata().await), entries(&some_metadata("early")));
    gate.open();
    assert_eq!(collect(&mut replies).await.expect("OK"), [numbered(1)]);
    drop(sender);
}

async fn metadata_that_is_not_valid_is_refused_here(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let mut metadata = Metadata::new();
    for key in ["", "Upper", "a b", "ü", "x-bin", &"k".repeat(257)] {
        let error = metadata.insert(key, "v").expect_err("not a key");
        assert!(error.to_string().contains(&format!("{key:?}")), "{error}");
    }
    for value in ["\n", "ü", "\u{7f}"] {
        let error = metadata.insert("key", value).expect_err("not text");
        assert!(error.to_string().contains("-bin"), "{error}");
    }
    assert!(metadata.insert_bin("key", vec![1]).is_err());
    assert!(metadata.is_empty());

    client.unary(Note::default()).await.expect("HELLO has been read");
    metadata.insert("large", &"x".repeat(20_000)).expect("valid");
    let request = Request::new(Note::default()).with_metadata(metadata);
    let status = client.unary(request).await.expect_err("over metadata_max");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.not_started());
    assert!(status.message().contains("metadata_max"), "{status}");
    client.unary(Note::default()).await.expect("the connection lives");
}

const CODES: [Code; 17] = [
    Code::Ok,
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];

fn detail(number: u8) -> Any {
    Any { type_url: format!("type.googleapis.com/test.{number}"), value: vec![number, 0, 255] }
}

fn rich(number: u64) -> Status {
    let code = CODES[usize::try_from(number).expect("small")];
    Status::new(code, format!("text of {number} – ünïcode"))
        .with_detail(detail(1))
        .with_detail(detail(2))
        .with_metadata(some_metadata("trailing"))
}

// [STA-001]
async fn every_status_arrives_whole(net: Net) {
    let script = Script::new()
        .unary(|request| async move { Err(rich(request.message().number)) })
        .download(|request, mut replies| async move {
            replies.send(numbered(42)).await?;
            Err(rich(request.message().number))
        });
    net.serve(script).await;
    let client = net.client().await;
    for number in 1..17 {
        let expected = rich(number);
        let status = client.unary(numbered(number)).await.expect_err("an error");
        same(&status, &expected);

        let mut stream = client.download(numbered(number)).await.expect("opens");
        assert_eq!(stream.message().await.expect("the message comes first"), Some(numbered(42)));
        let status = stream.message().await.expect_err("an error");
        same(&status, &expected);
        let again = stream.message().await.expect_err("the same again");
        assert_eq!(again, status);
        assert!(stream.trailers().is_none());
    }
    // A handler that fails with OK has sent no reply.
    let status = client.unary(numbered(0)).await.expect_err("no message");
    assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Local));
}

fn same(status: &Status, expected: &Status) {
    assert_eq!(status.code(), expected.code());
    assert_eq!(status.message(), expected.message());
    assert_eq!(status.details(), expected.details());
    assert_eq!(status.metadata(), expected.metadata());
    assert_eq!(status.origin(), Origin::Remote);
    assert!(!status.not_started());
    assert!(!status.to_string().contains("(local)"), "{status}");
}

// [STA-002]
async fn a_status_that_is_too_large_keeps_its_code(net: Net) {
    let script = Script::new().unary(|_| async {
        let status = Status::aborted("m".repeat(30_000)).with_metadata(some_metadata("x"));
        Err(status.with_detail(Any { type_url: String::new(), value: vec![0; 30_000] }))
    });
    net.serve(script).await;
    let client = net.client().await;
    let status = client.unary(Note::default()).await.expect_err("an error");
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.details().is_empty());
    assert!(status.message().len() > 10_000 && status.message().len() < 16_384);
    client.unary(Note::default()).await.expect_err("the connection lives");
}

async fn a_status_says_where_it_comes_from(net: Net) {
    let script = Script::new().unary(|_| async { Err(Status::not_found("no such note")) });
    net.serve(script).await;
    let client = net.client().await;
    let remote = client.unary(Note::default()).await.expect_err("an error");
    assert_eq!(remote.to_string(), "NOT_FOUND: no such note");
    let local = client.unary(sized(5 << 20)).await.expect_err("too long");
    assert_eq!(local.origin(), Origin::Local);
    assert!(local.to_string().ends_with("(local)"), "{local}");
}

// [MTH-001]
async fn an_unknown_method_is_unimplemented(net: Net) {
    net.serve(Script::new()).await;
    let channel = net.channel().await;
    for path in ["test.v1.Test/Nothing", "test.v2.Test/Unary", "x", "/", "with\0nul", "ünï/cöde"]
    {
        let method = Method::new(path, MethodKind::Unary);
        for _ in 0..2 {
            let result = channel.unary::<Note, Note>(&method, Request::new(Note::default())).await;
            let status = result.expect_err("there is no such method");
            assert_eq!((status.code(), status.origin()), (Code::Unimplemented, Origin::Remote));
            assert!(status.not_started());
            assert!(status.message().contains(path), "{status}");
        }
    }
    static LONG: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "x".repeat(1025));
    for path in ["", LONG.as_str()] {
        let method = Method::new(path, MethodKind::Unary);
        let result = channel.unary::<Note, Note>(&method, Request::new(Note::default())).await;
        let status = result.expect_err("not a name");
        assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Local));
        assert!(status.not_started());
    }
    let chat = Method::new("test.v1.Test/Nothing", MethodKind::BidiStreaming);
    let opened = channel.bidi_streaming::<Note, Note>(&chat, Request::new(())).await;
    let (_sender, mut replies) = opened.expect("opens");
    let status = replies.message().await.expect_err("there is no such method");
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.not_started());
}

// [MTH-002]
async fn more_methods_than_there_are_numbers(net: Net) {
    net.serve(Script::new()).await;
    let channel = net.channel().await;
    for number in 0..1100 {
        // The names of methods are static.
        let path: &'static str = format!("test.v1.Other/M{number}").leak();
        let method = Method::new(path, MethodKind::Unary);
        let result = channel.unary::<Note, Note>(&method, Request::new(Note::default())).await;
        assert_eq!(result.expect_err("unknown").code(), Code::Unimplemented);
    }
    let reply = channel.unary::<Note, Note>(&test_methods::UNARY, Request::new(numbered(5))).await;
    assert_eq!(reply.expect("OK").into_inner(), numbered(5));
}

// [ERR-002]
async fn what_does_not_decode_ends_its_call_alone(net: Net) {
    // A string that is not a note, on either side.
    let broken = Method::new("test.v1.Test/Unary", MethodKind::Unary);
    let script = Script::new().chat(|request, mut replies| async move {
        let mut notes = request.into_inner();
        replies.send(numbered(1)).await?;
        while notes.message().await?.is_some() {}
        Ok(())
    });
    net.serve(script).await;
    let channel = net.channel().await;
    let text = "text that is longer than ten bytes".to_owned();

    // `String` is google.protobuf.StringValue: field 1 is a number in a note.
    let result = channel.unary::<String, Note>(&broken, Request::new(text.clone())).await;
    let status = result.expect_err("the request is not a note");
    assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Remote));

    let result = channel.unary::<Note, String>(&broken, Request::new(numbered(3))).await;
    let status = result.expect_err("the reply is not a string");
    assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Local));

    let chat = test_methods::CHAT;
    let opened = channel.bidi_streaming::<String, Note>(&chat, Request::new(())).await;
    let (mut sender, mut replies) = opened.expect("opens");
    assert_eq!(replies.message().await.expect("OK"), Some(numbered(1)));
    sender.send(text).await.expect("is taken");
    let status = replies.message().await.expect_err("the message is not a note");
    assert_eq!((status.code(), status.origin()), (Code::InvalidArgument, Origin::Remote));

    let opened = channel.bidi_streaming::<Note, String>(&chat, Request::new(())).await;
    let (_sender, mut replies) = opened.expect("opens");
    let status = replies.message().await.expect_err("the message is not a string");
    assert_eq!((status.code(), status.origin()), (Code::Internal, Origin::Local));
    let again = replies.message().await.expect_err("the same again");
    assert_eq!(again, status);

    let reply = channel.unary::<Note, Note>(&broken, Request::new(numbered(9))).await;
    assert_eq!(reply.expect("the connection lives").into_inner(), numbered(9));
}

async fn a_handler_knows_who_calls(net: Net) {
    let seen = Arc::new(Mutex::new(None));
    let put = Arc::clone(&seen);
    let script = Script::new().unary(move |request| {
        let put = Arc::clone(&put);
        async move {
            *put.lock().expect("not poisoned") = request.peer().cloned();
            assert_eq!(request.deadline(), None);
            Ok(Response::new(Note::default()))
        }
    });
    net.serve(script).await;
    let channel = net.channel().await;
    let client = bowline_tests::test::test_client::TestClient::new(channel.clone());
    client.unary(Note::default()).await.expect("OK");
    let caller = seen.lock().expect("not poisoned").clone().expect("there is a peer");
    let server = channel.peer().expect("there is a peer");
    for peer in [caller, server] {
        let pid = Some(std::process::id());
        // SAFETY is not needed to know one's own user: /proc/self belongs to it.
        let own =
            std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc"));
        match net.transport() {
            Transport::Unix | Transport::Memory => {
                assert_eq!((peer.pid(), peer.uid()), (pid, Some(own)), "{peer:?}");
                assert!(peer.gid().is_some());
            }
            Transport::Tcp => {
                assert_eq!((peer.pid(), peer.uid()), (None, None), "{peer:?}");
                assert!(peer.socket_addr().is_some_and(|addr| addr.ip().is_loopback()));
            }
        }
    }
}

async fn ready_tells_what_the_server_takes(net: Net) {
    net.serve(Script::new()).await;
    let channel = net.channel().await;
    let limits = channel.ready().await.expect("the server answers");
    assert_eq!((limits.calls_max, limits.message_max), (1024, Some(4 << 20)));
    channel.ping().await.expect("the server answers");
}

over_every_transport!(
    each_kind_carries_its_messages,
    streams_may_be_empty,
    an_empty_message_is_a_message,
    messages_of_every_length_arrive_whole,
    many_calls_at_once,
    metadata_goes_both_ways_in_its_order,
    a_handler_accepts_before_it_has_a_message,
    metadata_that_is_not_valid_is_refused_here,
    every_status_arrives_whole,
    a_status_that_is_too_large_keeps_its_code,
    a_status_says_where_it_comes_from,
    an_unknown_method_is_unimplemented,
    more_methods_than_there_are_numbers,
    what_does_not_decode_ends_its_call_alone,
    a_handler_knows_who_calls,
    ready_tells_what_the_server_takes,
);
