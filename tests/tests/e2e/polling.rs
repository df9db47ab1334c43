//! Polling before parking: it changes when things happen, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bowline::{BusyPoll, Server};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, numbered};
use bowline_tests::test::test_client::TestClient;

const MODES: [BusyPoll; 4] = [
    BusyPoll::Off,
    BusyPoll::Adaptive,
    BusyPoll::For(Duration::from_millis(1)),
    BusyPoll::For(Duration::MAX),
];

async fn every_mode_answers(net: Net) {
    for mode in MODES {
        let server = net.serve_with(Server::builder().busy_poll(mode), Script::new()).await;
        let channel = net.builder().busy_poll(mode).connect().await.expect("it listens");
        let client = TestClient::new(channel.clone());
        for number in 0..50 {
            let reply = client.unary(numbered(number)).await.expect("OK");
            assert_eq!(reply.into_inner(), numbered(number));
        }
        let mut copies = client.download(numbered(20)).await.expect("OK");
        for _ in 0..20 {
            assert!(copies.message().await.expect("OK").is_some());
        }
        assert!(copies.message().await.expect("OK").is_none());
        channel.close().await;
        server.stop().await;
    }
}

async fn other_connections_are_not_held_up(net: Net) {
    let polls = BusyPoll::For(Duration::from_secs(1));
    let script = Script::new().unary(|request| async move {
        if request.message().number == 0 {
            std::future::pending::<()>().await;
        }
        Ok(request.into_inner().into())
    });
    net.serve_with(Server::builder().busy_poll(polls), script).await;
    let waiting = net.builder().busy_poll(polls).connect().await.expect("it listens");
    let answered = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&answered);
    let never = tokio::spawn(async move {
        // Polls for all of its second.
        let _ = TestClient::new(waiting).unary(numbered(0)).await;
        ended.store(true, Ordering::Relaxed);
    });
    let client = net.client().await;
    let begun = tokio::time::Instant::now();
    for number in 1..=20 {
        client.unary(numbered(number)).await.expect("OK");
    }
    assert!(begun.elapsed() < Duration::from_millis(900), "calls beside it wait for the poll");
    assert!(!answered.load(Ordering::Relaxed));
    never.abort();
}

over_every_transport!(every_mode_answers, other_connections_are_not_held_up);
