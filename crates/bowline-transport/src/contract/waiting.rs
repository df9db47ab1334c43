//! Clauses on waiting: who is woken, when, and what waiting leaves as it was.

use std::io::{ErrorKind, IoSlice};
use std::task::Waker;

use bytes::BytesMut;

use super::Harness;
use super::support::{
    Clause, Connected, Probe, connected, exchange, fill, join, pattern, recv_exact, recv_once,
    recv_some, send_all, wait_to_receive, yield_now,
};

/// `try_*` fails with `WouldBlock` where there is nothing to receive and no room to send.
///
/// # Panics
/// If the transport breaks this.
pub async fn trying_does_not_wait(harness: &dyn Harness) {
    let clause = Clause("trying_does_not_wait");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let mut buf = BytesMut::with_capacity(64);
    match server.try_recv(&mut buf, &mut Vec::new()) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        result => clause.fail(format_args!("try_recv of nothing returned {result:?}")),
    }
    clause.ensure(buf.is_empty(), "try_recv of nothing appended something");

    let sent = fill(clause, &*client, 0, Waker::noop());
    // What is under way may still make room.
    let mut more = 0;
    loop {
        match client.try_send(&[IoSlice::new(&pattern(sent + more, 60_000))], &[]) {
            Ok(count) => more += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => clause.fail(format_args!("try_send without room failed with: {error}")),
        }
    }
    let received = recv_exact(clause, &*server, sent + more).await;
    clause.same("what was sent", &received, &pattern(0, sent + more));

    // And they succeed once they can, though nobody has waited.
    clause.ok("try_send with room", client.try_send(&[IoSlice::new(b"x")], &[]));
    loop {
        match server.try_recv(&mut buf, &mut Vec::new()) {
            Ok(1) => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => yield_now().await,
            result => clause.fail(format_args!("try_recv of one byte returned {result:?}")),
        }
    }
    exchange(clause, &*client, &*server).await;
}

/// A `poll_recv` that returns `Pending` leaves the buffer as it was and loses nothing that comes
/// later, also if nobody polls again for a while.
///
/// # Panics
/// If the transport breaks this.
pub async fn waiting_to_receive_takes_nothing(harness: &dyn Harness) {
    let clause = Clause("waiting_to_receive_takes_nothing");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let mut abandoned = BytesMut::with_capacity(64);
    abandoned.extend_from_slice(b"kept");
    for _ in 0..10 {
        let polled = recv_once(&*server, Waker::noop(), &mut abandoned);
        clause.ensure(polled.is_pending(), "poll_recv of nothing is not pending");
        clause.same("the buffer of a pending poll_recv", &abandoned, b"kept");
    }
    send_all(clause, &*client, &pattern(0, 2_000)).await;
    let received = recv_exact(clause, &*server, 2_000).await;
    clause.same("what was sent", &received, &pattern(0, 2_000));
    clause.same("the buffer of a pending poll_recv", &abandoned, b"kept");
}

/// Of several calls of `poll_recv` that wait, the last one's waker is woken when bytes arrive.
///
/// # Panics
/// If the transport breaks this.
pub async fn the_last_receiver_to_wait_is_woken(harness: &dyn Harness) {
    let clause = Clause("the_last_receiver_to_wait_is_woken");
    let Connected { client, server, .. } = connected(harness, clause).await;
    for _ in 0..20 {
        let ((_, first), (last, second)) = (Probe::new(), Probe::new());
        wait_to_receive(clause, &*server, &first);
        wait_to_receive(clause, &*server, &second);
        join(send_all(clause, &*client, b"x"), last.woken()).await;
        clause.same("what was sent", &recv_exact(clause, &*server, 1).await, b"x");
    }
}

/// Of several calls of `poll_send` that wait, the last one's waker is woken when there is room.
///
/// # Panics
/// If the transport breaks this.
pub async fn the_last_sender_to_wait_is_woken(harness: &dyn Harness) {
    let clause = Clause("the_last_sender_to_wait_is_woken");
    let Connected { client, server, .. } = connected(harness, clause).await;
    for _ in 0..3 {
        let ((_, first), (last, second)) = (Probe::new(), Probe::new());
        let mut sent = fill(clause, &*client, 0, &first);
        sent += fill(clause, &*client, sent, &second);
        let (received, ()) = join(recv_exact(clause, &*server, sent), last.woken()).await;
        clause.same("what was sent", &received, &pattern(0, sent));
    }
    exchange(clause, &*client, &*server).await;
}

/// A socket whose peer does not read takes a bounded number of bytes, part of a send if need be; the
/// sender waits, and is woken when the peer reads.
///
/// # Panics
/// If the transport breaks this.
pub async fn a_full_socket_makes_the_sender_wait(harness: &dyn Harness) {
    let clause = Clause("a_full_socket_makes_the_sender_wait");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let (probe, waker) = Probe::new();
    let mut sent = 0;
    let mut received = BytesMut::new();
    for round in 1..=20 {
        probe.reset();
        sent += fill(clause, &*client, sent, &waker);
        // In turns with the reader, who leaves something unread in all rounds but the last.
        let leave = if round == 20 { 0 } else { sent / 10 / round };
        let read = async {
            while received.len() < sent - leave {
                let room = (sent - leave - received.len()).min(50_000);
                let count = recv_some(&*server, &mut received, room).await;
                clause.ensure(clause.ok("poll_recv", count) > 0, "the end came before it");
            }
        };
        if round == 20 {
            join(read, probe.woken()).await;
        } else {
            read.await;
        }
    }
    clause.same("what was sent", &received, &pattern(0, sent));
    exchange(clause, &*client, &*server).await;
}

/// One task may wait to receive while another waits to send, at the same socket; each is woken for
/// its own direction.
///
/// # Panics
/// If the transport breaks this.
pub async fn both_directions_wait_side_by_side(harness: &dyn Harness) {
    let clause = Clause("both_directions_wait_side_by_side");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let ((receiver, receive), (sender, send)) = (Probe::new(), Probe::new());
    wait_to_receive(clause, &*client, &receive);
    let sent = fill(clause, &*client, 0, &send);

    join(send_all(clause, &*server, b"x"), receiver.woken()).await;
    clause.same("what was sent", &recv_exact(clause, &*client, 1).await, b"x");
    let (received, ()) = join(recv_exact(clause, &*server, sent), sender.woken()).await;
    clause.same("what was sent", &received, &pattern(0, sent));
    exchange(clause, &*client, &*server).await;
}
