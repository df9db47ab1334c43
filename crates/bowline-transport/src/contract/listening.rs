//! Clauses on listeners and connectors: addresses, identities, and attempts that are given up.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::Harness;
use super::support::{
    Clause, Connected, Probe, connect, connected, exchange, join, pattern, recv_exact, recv_some,
    recv_to_end, send_all,
};
use crate::Address;

/// The address that a listener and a connector tell is the one to connect to, and its text parses to
/// the same address.
///
/// # Panics
/// If the transport breaks this.
pub async fn addresses_come_back(harness: &dyn Harness) {
    let clause = Clause("addresses_come_back");
    let Connected { listener, client, server } = connected(harness, clause).await;
    let address = listener.address();
    let parsed = clause.ok("parsing the address", Address::from_os_str(&address.to_os_string()));
    clause.ensure(parsed == *address, format_args!("{address} is not what it parses to"));
    clause.ensure(harness.connector(address).address() == address, "the connector tells another");
    exchange(clause, &*client, &*server).await;
    // Two listeners are two places.
    let other = harness.listen().await;
    clause.ensure(other.address() != address, "two listeners have one address");
}

/// A socket's peer stays the same, whatever happens to the connection; the capabilities of both ends
/// agree.
///
/// # Panics
/// If the transport breaks this.
pub async fn peers_stay_who_they_are(harness: &dyn Harness) {
    let clause = Clause("peers_stay_who_they_are");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let (of_client, of_server) = (client.peer().clone(), server.peer().clone());
    clause.ensure(of_client.kind() == of_server.kind(), "the two ends are of different kinds");
    clause.ensure(!of_client.kind().is_empty(), "the kind of the peer is empty");
    clause.ensure(
        client.capabilities() == server.capabilities(),
        "the two ends have different capabilities",
    );
    exchange(clause, &*client, &*server).await;
    clause.ensure(*client.peer() == of_client, "the peer changes as bytes are exchanged");
    drop(client);
    let _end = recv_to_end(&*server).await;
    clause.ensure(*server.peer() == of_server, "the peer changes as it leaves");
}

/// Many connections live side by side, each with its own bytes.
///
/// # Panics
/// If the transport breaks this.
pub async fn many_connections_at_once(harness: &dyn Harness) {
    const CONNECTIONS: usize = 64;
    let clause = Clause("many_connections_at_once");
    let listener = harness.listen().await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(connect(harness, clause, &*listener).await);
    }
    for (number, (client, server)) in connections.iter().enumerate() {
        send_all(clause, &**client, &pattern(number, 2_000)).await;
        send_all(clause, &**server, &pattern(number + CONNECTIONS, 2_000)).await;
    }
    for (number, (client, server)) in connections.iter().enumerate().rev() {
        let there = recv_exact(clause, &**server, 2_000).await;
        clause.same("what was sent on one of many", &there, &pattern(number, 2_000));
        let back = recv_exact(clause, &**client, 2_000).await;
        clause.same("what came on one of many", &back, &pattern(number + CONNECTIONS, 2_000));
    }
}

/// An `accept` or `connect` that is dropped while it waits loses no connection of others, and leaves
/// none half-open.
///
/// # Panics
/// If the transport breaks this.
pub async fn abandoned_attempts_leave_nothing_behind(harness: &dyn Harness) {
    let clause = Clause("abandoned_attempts_leave_nothing_behind");
    let listener = harness.listen().await;
    let connector = harness.connector(listener.address());
    for _ in 0..10 {
        let (_, waker) = Probe::new();
        let mut accept = listener.accept();
        let polled = accept.as_mut().poll(&mut Context::from_waker(&waker));
        clause.ensure(polled.is_pending(), "accept returns though nobody has connected");
        drop(accept);
    }
    let (client, server) = connect(harness, clause, &*listener).await;
    exchange(clause, &*client, &*server).await;

    // Each of these is polled once: it may have connected by then, or be on its way.
    for _ in 0..10 {
        let (_, waker) = Probe::new();
        let mut attempt = connector.connect();
        if let Poll::Ready(result) = attempt.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(clause.ok("connect", result));
        }
    }
    let connect_and_send = async {
        let client = clause.ok("connect", connector.connect().await);
        send_all(clause, &*client, b"x").await;
        client
    };
    let accept_the_live_one = async {
        let mut dead = VecDeque::new();
        loop {
            let server = clause.ok("accept", listener.accept().await);
            // The ones that were given up have ended, and say so.
            match recv_some(&*server, &mut BytesMut::new(), 64).await {
                Ok(1) => return server,
                Ok(0) | Err(_) => dead.push_back(server),
                Ok(_) => clause.fail("an attempt that was given up has sent something"),
            }
            clause.ensure(dead.len() <= 10, "more connections come than were made");
        }
    };
    let (client, server) = join(connect_and_send, accept_the_live_one).await;
    exchange(clause, &*client, &*server).await;
}

/// Dropping a listener refuses later connections, with a fault that is worth a retry; those that
/// were accepted live on.
///
/// # Panics
/// If the transport breaks this.
pub async fn dropped_listeners_refuse(harness: &dyn Harness) {
    let clause = Clause("dropped_listeners_refuse");
    let Connected { listener, client, server } = connected(harness, clause).await;
    let connector = harness.connector(listener.address());
    drop(listener);
    match connector.connect().await {
        Ok(_) => clause.fail("a connect succeeds after the listener was dropped"),
        Err(error) => clause.ensure(
            error.is_retryable(),
            format_args!("a server that is gone is not worth a retry: {error}"),
        ),
    }
    exchange(clause, &*client, &*server).await;
}
