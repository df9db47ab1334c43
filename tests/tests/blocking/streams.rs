//! Streams: what is dropped early, what is not read, and threads on both halves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bowline::{Code, Limits, Response, Status};
use bowline_tests::blocking::{Gate, Gauge, Place, Script, until};
use bowline_tests::over_each_socket;
use bowline_tests::script::{numbered, said, sized};
use bowline_tests::test::Note;

// [CAN-001] [CAN-002]
fn a_stream_that_is_dropped_cancels_its_call(place: &Place) {
    let gauge = Gauge::new();
    let (endless, silent) = (gauge.clone(), gauge.clone());
    let script = Script::new()
        .download(move |_, mut replies| {
            let _inside = endless.enter();
            loop {
                replies.send(sized(1000))?;
            }
        })
        .chat(move |request, _| {
            let _inside = silent.enter();
            let error = request.into_inner().find_map(Result::err).expect("it is cancelled");
            assert_eq!(error.code(), Code::Cancelled);
            Err(error)
        });
    place.serve(script);
    let client = place.client();
    let mut stream = client.download(Note::default()).expect("opens");
    assert!(stream.message().expect("OK").is_some());
    drop(stream);
    gauge.live(0);

    let (mut sender, replies) = client.chat(()).expect("opens");
    sender.send(Note::default()).expect("is taken");
    gauge.live(1);
    drop(replies);
    gauge.live(0);
    sender.send(Note::default()).expect_err("the call is over");
}

fn a_sender_that_is_dropped_cancels_its_call(place: &Place) {
    let gauge = Gauge::new();
    let counted = gauge.clone();
    let script = Script::new().upload(move |request| {
        let _inside = counted.enter();
        for note in request.into_inner() {
            note?;
        }
        Ok(Response::new(said("complete")))
    });
    place.serve(script);
    let client = place.client();
    let (mut sender, reply) = client.upload(()).expect("opens");
    sender.send(Note::default()).expect("is taken");
    gauge.live(1);
    // While the other half waits.
    let waiting = thread::spawn(|| reply.wait());
    drop(sender);
    let status = waiting.join().expect("no panic").expect_err("it was cut short");
    assert_eq!(status.code(), Code::Cancelled);
    gauge.live(0);

    let (sender, reply) = client.upload(()).expect("opens");
    drop(reply);
    drop(sender);
    client.unary(said("still there")).expect("the connection lives");
}

/// Nobody reads: what was sent stays within the limits. Other calls go on.
fn a_stream_that_nobody_reads_holds_up_its_sender_alone(place: &Place) {
    const LENGTH: u64 = 8 * 1024;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let script = Script::new().download(move |request, mut replies| {
        for number in 0..request.message().number {
            replies.send(Note { number, ..sized(8 * 1024) })?;
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    place.serve(script);
    let client = place.client();
    let mut stream = client.download(numbered(1000)).expect("opens");
    assert_eq!(stream.message().expect("OK").map(|note| note.number), Some(0));
    let limits = Limits::accepting();
    let most = (limits.window + limits.window_ahead + limits.send_queue_max) / LENGTH + 3;
    let mut before = u64::MAX;
    until("the sender waits", || {
        // Each call is a round trip, and reads what came for the stream.
        for _ in 0..10 {
            client.unary(said("beside it")).expect("it is not held up");
        }
        let now = sent.load(Ordering::SeqCst);
        let same = now == before;
        before = now;
        same && now > 1
    });
    assert!(before <= most, "{before} messages were sent, {most} at most fit");
    let rest: Result<Vec<Note>, Status> = stream.collect();
    let numbers: Vec<u64> = rest.expect("OK").iter().map(|note| note.number).collect();
    assert_eq!(numbers, (1..1000).collect::<Vec<_>>());
}

/// The client sends until nobody takes any more; a thread of its own receives.
fn both_halves_have_threads_of_their_own(place: &Place) {
    place.serve(Script::new());
    let client = place.client();
    thread::scope(|scope| {
        for _ in 0..8 {
            let (mut sender, mut replies) = client.chat(()).expect("opens");
            scope.spawn(move || {
                for number in 0..500 {
                    sender.send(Note { number, ..sized(3000) }).expect("is taken");
                }
                sender.finish();
            });
            scope.spawn(move || {
                for number in 0..500 {
                    let note = replies.message().expect("OK").expect("500 come");
                    assert_eq!(
                        (note.number, note.payload.len()),
                        (number, sized(3000).payload.len())
                    );
                }
                assert!(replies.message().expect("OK").is_none());
            });
        }
    });
}

/// Messages that are left to be sent together go out at the latest when somebody waits for what comes
/// of them.
fn messages_that_were_left_go_out_together(place: &Place) {
    let script = Script::new().download(|request, mut replies| {
        for number in 0..request.message().number {
            replies.feed(numbered(number))?;
        }
        Ok(())
    });
    place.serve(script);
    let client = place.client();
    let notes = client.download(numbered(20_000)).expect("opens");
    assert!(notes.map(|note| note.expect("OK").number).eq(0..20_000));

    let (mut sender, mut replies) = client.chat(()).expect("opens");
    sender.feed(numbered(1)).expect("is taken");
    sender.feed(numbered(2)).expect("is taken");
    assert_eq!(replies.message().expect("OK"), Some(numbered(1)));
    assert_eq!(replies.message().expect("OK"), Some(numbered(2)));
    sender.feed(numbered(3)).expect("is taken");
    sender.flush();
    sender.feed(numbered(4)).expect("is taken");
    sender.finish();
    let rest: Vec<u64> = replies.map(|note| note.expect("OK").number).collect();
    assert_eq!(rest, [3, 4]);
}

/// The end of the handler ends the call, whoever still has a half of it.
fn halves_that_outlive_their_handler_are_told(place: &Place) {
    let gauge = Gauge::new();
    let gate = Gate::new();
    let (counted, passed) = (gauge.clone(), gate.clone());
    let script = Script::new().chat(move |request, mut replies| {
        let receiving = counted.enter();
        let mut notes = request.into_inner();
        let sending = counted.clone();
        thread::spawn(move || {
            replies.send(sized(1000)).expect("is taken");
            let _inside = sending.enter();
            while replies.send(sized(100_000)).is_ok() {}
        });
        thread::spawn(move || {
            while matches!(notes.message(), Ok(Some(_))) {}
            drop(receiving);
        });
        passed.pass();
        Ok(())
    });
    place.serve(script);
    let client = place.client();
    let (_sender, replies) = client.chat(()).expect("opens");
    gauge.live(2);
    gate.open();
    gauge.live(0);
    let status = replies.last().expect("messages come");
    assert!(status.is_ok(), "the handler ended well: {status:?}");
}

over_each_socket!(
    a_stream_that_is_dropped_cancels_its_call,
    a_sender_that_is_dropped_cancels_its_call,
    a_stream_that_nobody_reads_holds_up_its_sender_alone,
    both_halves_have_threads_of_their_own,
    messages_that_were_left_go_out_together,
    halves_that_outlive_their_handler_are_told,
);
