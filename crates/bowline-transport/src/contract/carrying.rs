//! Clauses on the bytes: that they arrive, in order, once, and at the right connection.

use std::io::{ErrorKind, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::BytesMut;

use super::Harness;
use super::support::{
    Clause, Connected, Numbers, connect, connected, exchange, fill, join, pattern, recv_exact,
    recv_some, send_all, send_some,
};
use crate::Socket;

/// Bytes arrive in order, both ways at once, whatever the sizes of the sends and receives are.
///
/// # Panics
/// If the transport breaks this.
pub async fn bytes_arrive_in_order_both_ways(harness: &dyn Harness) {
    const TOTAL: usize = 3_000_000;
    let clause = Clause("bytes_arrive_in_order_both_ways");
    let Connected { client, server, .. } = connected(harness, clause).await;

    let send = async |socket: &dyn Socket, seed: u64| {
        let (data, mut numbers, mut sent) = (pattern(0, TOTAL), Numbers(seed), 0);
        while sent < TOTAL {
            let end = TOTAL.min(sent + numbers.size());
            send_all(clause, socket, &data[sent..end]).await;
            sent = end;
        }
    };
    let receive = async |socket: &dyn Socket, seed: u64| {
        let (mut numbers, mut buf) = (Numbers(seed), BytesMut::new());
        while buf.len() < TOTAL {
            let room = numbers.size();
            let count = clause.ok("poll_recv", recv_some(socket, &mut buf, room).await);
            clause.ensure(count > 0, "the end came before it");
            clause.ensure(count <= room, "more came than there was room for");
        }
        clause.same("what was sent", &buf, &pattern(0, TOTAL));
    };
    let there = join(send(&*client, 1), receive(&*server, 2));
    let back = join(send(&*server, 3), receive(&*client, 4));
    join(there, back).await;
}

/// The slices of one send arrive as one run of bytes, also where some are empty, and where there are
/// more of them than a system call takes.
///
/// # Panics
/// If the transport breaks this.
pub async fn vectored_sends_arrive_in_order(harness: &dyn Harness) {
    let clause = Clause("vectored_sends_arrive_in_order");
    let Connected { client, server, .. } = connected(harness, clause).await;
    for (slices, longest) in [(3, 5), (40, 20_000), (3_000, 7)] {
        let mut numbers = Numbers(slices as u64);
        let lengths: Vec<_> = (0..slices).map(|_| numbers.up_to(longest) - 1).collect();
        let expected = pattern(0, lengths.iter().sum());
        let send = async {
            let mut rest = &expected[..];
            let mut parts: Vec<IoSlice<'_>> = Vec::new();
            for length in &lengths {
                let (part, after) = rest.split_at(*length);
                parts.push(IoSlice::new(part));
                rest = after;
            }
            let mut unsent = &mut parts[..];
            while unsent.iter().any(|part| !part.is_empty()) {
                let sent = clause.ok("poll_send", send_some(&*client, unsent).await);
                clause.ensure(sent > 0, "poll_send sent nothing of what was not empty");
                IoSlice::advance_slices(&mut unsent, sent);
            }
        };
        let (_, found) = join(send, recv_exact(clause, &*server, expected.len())).await;
        clause.same("what was sent", &found, &expected);
    }
}

/// A send without bytes returns 0 and has no effect.
///
/// # Panics
/// If the transport breaks this.
pub async fn empty_sends_send_nothing(harness: &dyn Harness) {
    let clause = Clause("empty_sends_send_nothing");
    let Connected { client, server, .. } = connected(harness, clause).await;
    for data in [&[][..], &[IoSlice::new(&[])], &[IoSlice::new(&[]), IoSlice::new(&[])]] {
        let sent = clause.ok("poll_send", send_some(&*client, data).await);
        clause.ensure(sent == 0, "poll_send counted bytes where there were none");
        let sent = clause.ok("try_send", client.try_send(data, &[]));
        clause.ensure(sent == 0, "try_send counted bytes where there were none");
    }
    exchange(clause, &*client, &*server).await;
}

/// Descriptors arrive where the capabilities say so; elsewhere sending one is `Unsupported`, and does
/// no harm.
///
/// # Panics
/// If the transport breaks this.
pub async fn descriptors_go_only_where_they_can(harness: &dyn Harness) {
    let clause = Clause("descriptors_go_only_where_they_can");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let file = clause.ok("opening /dev/null", std::fs::File::open("/dev/null"));
    let (data, descriptors) = ([IoSlice::new(b"x")], [file.as_fd()]);
    if client.capabilities().descriptors {
        clause.ok("try_send with a descriptor", client.try_send(&data, &descriptors));
        let (mut buf, mut received) = (BytesMut::with_capacity(16), Vec::new());
        let count = std::future::poll_fn(|cx| server.poll_recv(cx, &mut buf, &mut received)).await;
        clause.ok("poll_recv with a descriptor", count);
        clause.ensure(received.len() == 1, "the descriptor did not come with its byte");
    } else {
        let unsupported = |error: &std::io::Error| error.kind() == ErrorKind::Unsupported;
        let tried = client.try_send(&data, &descriptors);
        clause.ensure(
            tried.is_err_and(|error| unsupported(&error)),
            "try_send of a descriptor is not Unsupported",
        );
        let mut cx = Context::from_waker(Waker::noop());
        match client.poll_send(&mut cx, &data, &descriptors) {
            Poll::Ready(Err(error)) if unsupported(&error) => {}
            _ => clause.fail("poll_send of a descriptor is not Unsupported"),
        }
    }
    exchange(clause, &*client, &*server).await;
}

/// Several threads may send at once: no byte is lost, repeated, or overtaken by a later one of the
/// same thread.
///
/// # Panics
/// If the transport breaks this.
pub async fn calls_from_many_threads_keep_their_bytes(harness: &dyn Harness) {
    const THREADS: usize = 4;
    const EACH: usize = 300_000;
    let clause = Clause("calls_from_many_threads_keep_their_bytes");
    let Connected { client, server, .. } = connected(harness, clause).await;
    let client: Arc<dyn Socket> = Arc::from(client);

    // The upper bits of a byte tell its thread, the lower ones where it stands.
    let stream =
        |thread: usize| (0..EACH).map(|at| ((thread << 6) | (at % 61)) as u8).collect::<Vec<u8>>();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (client, data) = (Arc::clone(&client), stream(number));
            thread::spawn(move || {
                let mut unsent = &data[..];
                while !unsent.is_empty() {
                    let (first, second) =
                        unsent[..unsent.len().min(1_500)].split_at(unsent.len().min(100));
                    match client.try_send(&[IoSlice::new(first), IoSlice::new(second)], &[]) {
                        Ok(sent) => unsent = &unsent[sent..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                        Err(error) => clause.fail(format_args!("try_send failed: {error}")),
                    }
                }
            })
        })
        .collect();
    let received = recv_exact(clause, &*server, THREADS * EACH).await;
    for thread in threads {
        clause.ensure(thread.join().is_ok(), "a sending thread failed");
    }
    for thread in 0..THREADS {
        let of_thread = received.iter().copied().filter(|byte| usize::from(byte >> 6) == thread);
        let found: Vec<u8> = of_thread.collect();
        clause.same("what one thread sent", &found, &stream(thread));
    }
}

/// A connection that is stuck does not hold up another one at the same listener.
///
/// # Panics
/// If the transport breaks this.
pub async fn connections_do_not_interfere(harness: &dyn Harness) {
    let clause = Clause("connections_do_not_interfere");
    let stuck = connected(harness, clause).await;
    let (client, server) = connect(harness, clause, &*stuck.listener).await;
    let there = fill(clause, &*stuck.client, 0, Waker::noop());
    let back = fill(clause, &*stuck.server, 0, Waker::noop());
    for _ in 0..50 {
        exchange(clause, &*client, &*server).await;
    }
    drop((client, server));
    for (receiver, length) in [(&stuck.server, there), (&stuck.client, back)] {
        let found = recv_exact(clause, &**receiver, length).await;
        clause.same("what the stuck connection held", &found, &pattern(0, length));
    }
    exchange(clause, &*stuck.client, &*stuck.server).await;
}
