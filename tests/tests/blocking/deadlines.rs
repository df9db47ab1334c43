//! Deadlines, on both sides, whoever of the threads reads.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bowline::{Code, Limits, Origin, Request, Response, Status};
use bowline_tests::blocking::{Gate, Gauge, Place, Script, until};
use bowline_tests::over_each_socket;
use bowline_tests::script::numbered;
use bowline_tests::test::Note;
use bowline_tests::test::test_blocking_client::TestClient;

const SOON: Duration = Duration::from_millis(30);
const LATE: Duration = Duration::from_secs(3600);

/// Handlers that go on until nobody waits for them.
fn stuck(gauge: &Gauge) -> Script {
    let (unary, upload) = (gauge.clone(), gauge.clone());
    Script::new()
        .unary(move |request| {
            let _inside = unary.enter();
            while !request.is_cancelled() {
                thread::yield_now();
            }
            Err(Status::internal("nobody is told"))
        })
        .upload(move |request| {
            let _inside = upload.enter();
            let error = request.into_inner().find_map(Result::err);
            Err(error.unwrap_or_else(|| Status::internal("it ended")))
        })
}

fn late(timeout: Duration) -> Request<Note> {
    Request::new(Note::default()).with_timeout(timeout)
}

// [DLN-001]
fn a_handler_sees_the_deadline(place: &Place) {
    let script = Script::new().unary(|request| {
        let left = request.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        Ok(numbered(left.map_or(0, |left| left.as_secs())).into())
    });
    place.serve(script);
    let client = place.client();
    let seconds = client.unary(late(LATE)).expect("OK").into_inner().number;
    assert!((3000..=3600).contains(&seconds), "{seconds} s are left");
    assert_eq!(client.unary(Note::default()).expect("OK").into_inner().number, 0, "there is none");
    let channel = place.builder().timeout(LATE).connect().expect("the server listens");
    let seconds = TestClient::new(channel).unary(Note::default()).expect("OK").into_inner().number;
    assert!((3000..=3600).contains(&seconds), "{seconds} s are left");
}

/// Short ones and long ones are kept by different means.
// [DLN-002] [DLN-003]
fn a_deadline_ends_the_call_on_both_sides(place: &Place) {
    let gauge = Gauge::new();
    // The handler's end, with which the server's status goes out, comes after the client's.
    let gate = Arc::new(Mutex::new(Gate::new()));
    let (counted, current) = (gauge.clone(), Arc::clone(&gate));
    let script = stuck(&gauge).unary(move |request| {
        let _inside = counted.enter();
        let gate = current.lock().expect("not poisoned").clone();
        until("the deadline passes", || request.is_cancelled());
        gate.pass();
        Err(Status::internal("nobody is told"))
    });
    place.serve(script);
    let client = place.client();
    for timeout in [SOON, Duration::from_millis(250), SOON] {
        let start = Instant::now();
        let status = client.unary(late(timeout)).expect_err("the handler is stuck");
        assert_eq!((status.code(), status.origin()), (Code::DeadlineExceeded, Origin::Local));
        assert!(start.elapsed() >= timeout, "{:?} is too early", start.elapsed());
        std::mem::take(&mut *gate.lock().expect("not poisoned")).open();
        gauge.live(0);
    }
    let request = Request::new(()).with_timeout(SOON);
    let (mut sender, reply) = client.upload(request).expect("opens");
    let status = reply.wait().expect_err("the handler is stuck");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    sender.send(Note::default()).expect_err("the call has ended");
    gauge.live(0);

    let start = Instant::now();
    let status = client.unary(late(Duration::ZERO)).expect_err("it has passed");
    assert!(status.not_started() && start.elapsed() < LATE);
}

/// The one who reads has no deadline, and does not know of the other's.
fn a_deadline_ends_a_call_that_another_thread_reads_for(place: &Place) {
    let gauge = Gauge::new();
    let gate = Gate::new();
    let passed = gate.clone();
    let script = stuck(&gauge).chat(move |_, _| {
        passed.pass();
        Ok(())
    });
    place.serve(script);
    let client = place.client();
    thread::scope(|scope| {
        let (sender, mut replies) = client.chat(()).expect("opens");
        let reading = scope.spawn(move || replies.message());
        let started = Instant::now();
        // Whichever of them reads.
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| client.unary(late(Duration::from_millis(100)))))
            .collect();
        for call in calls {
            let status = call.join().expect("no panic").expect_err("the handler is stuck");
            assert_eq!(status.code(), Code::DeadlineExceeded);
        }
        assert!(started.elapsed() < Duration::from_secs(10), "the deadline was 100 ms");
        gate.open();
        assert!(reading.join().expect("no panic").expect("OK").is_none());
        drop(sender);
    });
    gauge.live(0);
}

// [SLT-003]
fn a_call_that_waits_for_a_slot_has_a_deadline(place: &Place) {
    let gate = Gate::new();
    let gauge = Gauge::new();
    let (passed, counted) = (gate.clone(), gauge.clone());
    let script = Script::new().unary(move |request| {
        let _inside = counted.enter();
        passed.pass();
        Ok(Response::new(request.into_inner()))
    });
    let mut limits = Limits::accepting();
    limits.calls_max = 64;
    place.serve_with(bowline::blocking::Server::builder().limits(limits), script);
    let client = place.client();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..100)
            .map(|n| {
                (
                    n,
                    scope.spawn({
                        let client = &client;
                        move || client.unary(numbered(n))
                    }),
                )
            })
            .collect();
        gauge.entered(64);
        let status = client.unary(late(SOON)).expect_err("no slot is free");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(status.not_started(), "{status}");
        assert!(status.message().contains("64 slots"), "{status}");
        gate.open();
        for (n, call) in calls {
            assert_eq!(call.join().expect("no panic").expect("OK").into_inner(), numbered(n));
        }
    });
    assert_eq!(gauge.counts().peak, 64, "as many as there are slots");
}

over_each_socket!(
    a_handler_sees_the_deadline,
    a_deadline_ends_the_call_on_both_sides,
    a_deadline_ends_a_call_that_another_thread_reads_for,
    a_call_that_waits_for_a_slot_has_a_deadline,
);
