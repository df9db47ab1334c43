//! Handlers that take long, that wait, and that panic: their connection goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bowline::blocking::{Server, ServerCall, Service};
use bowline::{Code, Metadata, Method, Request, Response, Status};
use bowline_tests::blocking::{Gate, Gauge, Place, Script, until};
use bowline_tests::over_each_socket;
use bowline_tests::script::{numbered, said, sized};
use bowline_tests::test::{Note, test_methods};

/// Notes without a text are answered at once, others when the gate opens.
fn gated(gate: &Gate, gauge: &Gauge) -> Script {
    let (passed, counted) = (gate.clone(), gauge.clone());
    Script::new().unary(move |request| {
        if !request.message().text.is_empty() {
            let _inside = counted.enter();
            passed.pass();
        }
        Ok(Response::new(request.into_inner()))
    })
}

/// The slow one runs in the thread that reads.
fn a_slow_handler_holds_up_nobody(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    place.serve(gated(&gate, &gauge));
    let client = place.client();
    thread::scope(|scope| {
        let mut slow = Vec::new();
        for round in 1..=3 {
            slow.extend((0..20).map(|_| scope.spawn(|| client.unary(said("slow")))));
            gauge.live(20 * round);
            for number in 0..200 {
                let reply = client.unary(numbered(number)).expect("it is not held up");
                assert_eq!(reply.into_inner(), numbered(number));
            }
        }
        gate.open();
        for call in slow {
            assert_eq!(call.join().expect("no panic").expect("OK").into_inner(), said("slow"));
        }
    });
    gauge.live(0);
}

/// A handler that waits on its stream reads for all.
fn handlers_that_wait_for_messages_hold_up_nobody(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    let mut chats: Vec<_> = (0..10).map(|_| client.chat(()).expect("opens")).collect();
    for round in 0..20 {
        for (sender, replies) in &mut chats {
            sender.send(numbered(round)).expect("is taken");
            assert_eq!(replies.message().expect("OK"), Some(numbered(round)));
        }
        client.unary(numbered(round)).expect("it is not held up");
    }
    for (sender, mut replies) in chats {
        sender.finish();
        assert!(replies.message().expect("OK").is_none());
    }
}

/// Neither a CANCEL nor a deadline waits until there is a thread for the call.
fn calls_for_which_there_is_no_thread_wait(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let builder = Server::builder().threads_max(2);
    place.serve_with(builder, gated(&gate, &gauge));
    let client = place.client();
    thread::scope(|scope| {
        let running: Vec<_> = (0..3).map(|_| scope.spawn(|| client.unary(said("slow")))).collect();
        gauge.live(3);
        let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| client.unary(said("later")))).collect();
        let request = Request::new(said("never")).with_timeout(Duration::from_millis(50));
        let status = client.unary(request).expect_err("no thread is free");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        // The server still reads and answers.
        place.channel().ping().expect("a connection of its own");
        assert_eq!(gauge.counts().entered, 3, "one thread of the connection and two others");
        gate.open();
        for call in running.into_iter().chain(waiting) {
            call.join().expect("no panic").expect("OK");
        }
    });
    gauge.live(0);
    assert_eq!(gauge.counts().entered, 8, "the one whose deadline passed was not started");
}

/// What is cancelled while it computes sees it, although its thread is the one that reads.
fn a_handler_that_computes_sees_that_it_is_cancelled(place: &Place) {
    let gauge = Gauge::new();
    let counted = gauge.clone();
    let script = Script::new().download(move |request, mut replies| {
        let _inside = counted.enter();
        assert!(!request.is_cancelled());
        replies.send(numbered(1))?;
        until("the call is cancelled", || request.is_cancelled());
        Ok(())
    });
    place.serve(script);
    let client = place.client();
    let mut stream = client.download(Note::default()).expect("opens");
    assert_eq!(stream.message().expect("OK"), Some(numbered(1)));
    gauge.live(1);
    drop(stream);
    gauge.live(0);
    // And when the whole client goes.
    let (other, mut stream) = {
        let other = place.client();
        let stream = other.download(Note::default()).expect("opens");
        (other, stream)
    };
    assert_eq!(stream.message().expect("OK"), Some(numbered(1)));
    drop(stream);
    drop(other);
    gauge.live(0);
}

/// What a handler has sent goes out although a slow one follows it in the same batch.
fn an_answer_does_not_wait_for_the_next_handler(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    place.serve(gated(&gate, &gauge));
    let client = place.client();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| client.unary(said("slow")).expect("OK"));
            let fast: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn({
                        let client = &client;
                        move || client.unary(numbered(n))
                    })
                })
                .collect();
            for call in fast {
                call.join().expect("no panic").expect("OK");
            }
        }
        gauge.live(20);
        gate.open();
    });
}

fn a_panic_ends_its_call_alone(place: &Place) {
    let script = Script::new()
        .unary(|request| {
            assert!(request.message().text.is_empty(), "the test wants it");
            Ok(Response::new(request.into_inner()))
        })
        .chat(|request, mut replies| {
            for note in request.into_inner() {
                let note = note?;
                assert!(note.text.is_empty(), "the test wants it");
                replies.send(note)?;
            }
            Ok(())
        });
    place.serve(script);
    let client = place.client();
    let (mut sender, mut replies) = client.chat(()).expect("opens");
    for number in 0..5 {
        let status = client.unary(said("panic")).expect_err("it panics");
        assert_eq!((status.code(), status.message()), (Code::Internal, "the handler panicked"));
        client.unary(numbered(number)).expect("the connection lives");
    }
    sender.send(numbered(1)).expect("is taken");
    assert_eq!(replies.message().expect("OK"), Some(numbered(1)));
    sender.send(said("panic")).expect("is taken");
    assert_eq!(replies.message().expect_err("it panics").code(), Code::Internal);
}

/// A service written by hand that does not do as it should.
struct Careless {
    called: Arc<AtomicBool>,
}

impl Service for Careless {
    fn methods(&self) -> &'static [Method] {
        &[test_methods::UNARY]
    }

    fn call(&self, _: usize, call: ServerCall) -> bowline::blocking::Answer {
        self.called.store(true, Ordering::SeqCst);
        drop(call);
        Status::aborted("not today").into()
    }
}

fn a_service_may_answer_with_a_status_alone(place: &Place) {
    let called = Arc::new(AtomicBool::new(false));
    let service = Careless { called: Arc::clone(&called) };
    let server = Server::builder().add_service(service).listen(&place.address());
    let server = server.expect("the address is free");
    let stop = server.handle();
    let serving = thread::spawn(|| server.serve());
    let status = place.client().unary(sized(5000)).expect_err("aborted");
    assert_eq!((status.code(), status.message()), (Code::Aborted, "not today"));
    assert!(called.load(Ordering::SeqCst));
    stop.shutdown();
    serving.join().expect("no panic").expect("it served");
}

/// What is too large is said to the caller, not left open.
// [ERR-002]
fn an_answer_that_cannot_be_sent_ends_its_call(place: &Place) {
    let script = Script::new().unary(|request| match request.message().number {
        0 => Ok(Response::new(sized((4 << 20) + 1))),
        _ => {
            let mut response = Response::new(Note::default());
            let mut metadata = Metadata::new();
            metadata.insert("large", &"x".repeat(20_000)).expect("valid");
            *response.metadata_mut() = metadata;
            Ok(response)
        }
    });
    place.serve(script);
    let client = place.client();
    let status = client.unary(numbered(0)).expect_err("over message_max");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let status = client.unary(numbered(1)).expect_err("over metadata_max");
    assert_eq!(status.code(), Code::InvalidArgument);
}

over_each_socket!(
    a_slow_handler_holds_up_nobody,
    handlers_that_wait_for_messages_hold_up_nobody,
    calls_for_which_there_is_no_thread_wait,
    a_handler_that_computes_sees_that_it_is_cancelled,
    an_answer_does_not_wait_for_the_next_handler,
    a_panic_ends_its_call_alone,
    a_service_may_answer_with_a_status_alone,
    an_answer_that_cannot_be_sent_ends_its_call,
);
