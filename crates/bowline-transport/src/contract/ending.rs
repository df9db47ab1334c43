//! Clauses on the end of a connection: what is still read, what still goes, and what fails.

use std::io::{ErrorKind, IoSlice};

use bytes::BytesMut;

use super::Harness;
use super::support::{
    Clause, Connected, PLENTY, Probe, connected, join, pattern, recv_exact, recv_some, recv_to_end,
    send_all, send_some, wait_to_receive, yield_now,
};

/// `shutdown` ends one direction: the peer, woken, reads what was sent and then the end of file,
/// again and again; the other direction goes on.
///
/// # Panics
/// If the transport breaks this.
pub async fn shutdown_ends_one_direction(harness: &dyn Harness) {
    let clause = Clause("shutdown_ends_one_direction");
    let Connected { client, server, .. } = connected(harness, clause).await;
    send_all(clause, &*client, &pattern(0, 2_000)).await;
    recv_exact(clause, &*server, 800).await;
    clause.ok("shutdown", client.shutdown());

    let (rest, end) = recv_to_end(&*server).await;
    clause.ok("reading to the end", end);
    clause.same("what was sent before shutdown", &rest, &pattern(800, 1_200));
    let again = recv_some(&*server, &mut BytesMut::new(), 64).await;
    clause.ensure(matches!(again, Ok(0)), "the end of file does not last");
    let sent = send_some(&*client, &[IoSlice::new(b"x")]).await;
    clause.ensure(sent.is_err(), "a send after shutdown succeeds");

    let send = async {
        send_all(clause, &*server, &pattern(0, 1_000_000)).await;
        clause.ok("shutdown", server.shutdown());
    };
    let ((), (received, end)) = join(send, recv_to_end(&*client)).await;
    clause.ok("reading to the end", end);
    clause.same("what was sent the other way", &received, &pattern(0, 1_000_000));

    // A receiver that waits is woken by it.
    let Connected { client, server, .. } = connected(harness, clause).await;
    let (probe, waker) = Probe::new();
    wait_to_receive(clause, &*server, &waker);
    clause.ok("shutdown", client.shutdown());
    probe.woken().await;
    let end = recv_some(&*server, &mut BytesMut::new(), 64).await;
    clause.ensure(matches!(end, Ok(0)), "shutdown is not read as the end of file");
}

/// Dropping a socket wakes the peer that waits to receive, which reads the end of file.
///
/// # Panics
/// If the transport breaks this.
pub async fn drop_ends_the_peers_reading(harness: &dyn Harness) {
    let clause = Clause("drop_ends_the_peers_reading");
    for _ in 0..2 {
        let Connected { client, server, .. } = connected(harness, clause).await;
        let (probe, waker) = Probe::new();
        wait_to_receive(clause, &*server, &waker);
        drop(client);
        probe.woken().await;
        let end = recv_some(&*server, &mut BytesMut::new(), 64).await;
        clause.ensure(matches!(end, Ok(0)), "a peer's drop is not read as the end of file");
    }
}

/// What was written before the writer closed is read to the last byte; where the capabilities say
/// so, also if the writer had not read what was sent to it.
///
/// # Panics
/// If the transport breaks this.
pub async fn what_was_written_before_the_end_is_read(harness: &dyn Harness) {
    let clause = Clause("what_was_written_before_the_end_is_read");
    let Connected { client, server, .. } = connected(harness, clause).await;
    send_all(clause, &*server, &pattern(0, 2_000)).await;
    drop(server);
    let (received, end) = recv_to_end(&*client).await;
    clause.ok("reading to the end", end);
    clause.same("what was written before a drop", &received, &pattern(0, 2_000));

    let Connected { client, server, .. } = connected(harness, clause).await;
    if !client.capabilities().keeps_written {
        return;
    }
    send_all(clause, &*client, b"never read").await;
    send_all(clause, &*server, &pattern(0, 2_000)).await;
    drop(server);
    let (received, _end) = recv_to_end(&*client).await;
    let expected = pattern(0, 2_000);
    clause.same("what was written before a drop with unread bytes", &received, &expected);
}

/// Sending to a peer that has closed fails, without a signal; it does not end receiving.
///
/// # Panics
/// If the transport breaks this.
pub async fn sending_to_a_closed_peer_fails(harness: &dyn Harness) {
    let clause = Clause("sending_to_a_closed_peer_fails");
    let Connected { client, server, .. } = connected(harness, clause).await;
    send_all(clause, &*server, &pattern(0, 2_000)).await;
    drop(server);

    let mut sent = 0;
    let error = loop {
        // Over a network, the news may take a while.
        match send_some(&*client, &[IoSlice::new(b"is anybody there?")]).await {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        clause.ensure(sent < PLENTY, "a socket whose peer has closed takes bytes without end");
        yield_now().await;
    };
    clause.ensure(error.kind() != ErrorKind::WouldBlock, "poll_send fails with WouldBlock");
    let tried = client.try_send(&[IoSlice::new(b"x"), IoSlice::new(b"y")], &[]);
    let gone = |error: std::io::Error| error.kind() != ErrorKind::WouldBlock;
    clause.ensure(tried.is_err_and(gone), "try_send does not fail once poll_send has");

    let (received, _end) = recv_to_end(&*client).await;
    if client.capabilities().keeps_written {
        clause.same("what the peer had written", &received, &pattern(0, 2_000));
    }
}
