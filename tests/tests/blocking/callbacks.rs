//! Calls from the server to the client, on the client's own connection.

use std::thread;

use bowline::{Code, Origin, Request, Response};
use bowline_tests::blocking::{Gate, Gauge, Place, Script};
use bowline_tests::over_each_socket;
use bowline_tests::script::{Outcome, numbered, said};
use bowline_tests::test::Note;
use bowline_tests::test::test_blocking_client::TestClient;

fn back(request: &Request<impl Sized>) -> TestClient {
    TestClient::new(request.blocking_caller().expect("there is a way back").clone())
}

/// Asks the other side for one less than it was asked for, down to none: N handlers stand in each
/// other.
fn descend(request: Request<Note>) -> Outcome<Response<Note>> {
    let other = back(&request);
    let mut note = request.into_inner();
    if note.number > 0 {
        note.number -= 1;
        note = other.unary(note)?.into_inner();
    }
    note.text.push('.');
    Ok(Response::new(note))
}

fn both(place: &Place, server: Script, client: Script) -> TestClient {
    place.serve(server);
    let builder = place.builder().add_service(client.into_service());
    TestClient::new(builder.connect().expect("the server listens"))
}

fn handlers_call_each_other(place: &Place) {
    let client = both(place, Script::new().unary(descend), Script::new().unary(descend));
    for depth in [0, 1, 2, 7, 40] {
        let reply = client.unary(numbered(depth)).expect("OK").into_inner();
        assert_eq!(reply.text.len() as u64, depth + 1, "one dot of each handler");
    }
}

fn streams_go_both_ways_too(place: &Place) {
    // The server passes on what the client's own stream sends.
    let server = Script::new().download(|request, mut replies| {
        for note in back(&request).download(request.into_inner())? {
            replies.send(note?)?;
        }
        Ok(())
    });
    let client = both(place, server, Script::new());
    let note = Note { number: 100, payload: vec![7; 10_000], ..Note::default() };
    let notes = client.download(note).expect("opens");
    let numbers: Vec<u64> = notes.map(|note| note.expect("OK").number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

/// While none of the client's own threads waits.
fn a_client_with_services_answers_by_itself(place: &Place) {
    let gauge = Gauge::new();
    let (counted, gate) = (gauge.clone(), Gate::new());
    let passed = gate.clone();
    let server = Script::new().unary(move |request| {
        let caller = back(&request);
        let (counted, passed) = (counted.clone(), passed.clone());
        thread::spawn(move || {
            passed.pass();
            for number in 0..100 {
                assert_eq!(
                    caller.unary(numbered(number)).expect("OK").into_inner(),
                    numbered(number)
                );
                drop(counted.enter());
            }
        });
        Ok(Response::new(Note::default()))
    });
    let client = both(place, server, Script::new());
    client.unary(Note::default()).expect("OK");
    gate.open();
    gauge.entered(100);
    drop(client);
}

fn a_client_without_services_takes_no_calls(place: &Place) {
    let server = Script::new().unary(|request| {
        let status = back(&request).unary(said("back")).expect_err("it takes none");
        assert_eq!((status.code(), status.origin()), (Code::Unimplemented, Origin::Local));
        assert!(status.not_started());
        Ok(Response::new(Note::default()))
    });
    place.serve(server);
    place.client().unary(Note::default()).expect("OK");
}

over_each_socket!(
    handlers_call_each_other,
    streams_go_both_ways_too,
    a_client_with_services_answers_by_itself,
    a_client_without_services_takes_no_calls,
);
