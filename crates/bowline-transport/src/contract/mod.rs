//! The contract as a test suite, for every transport, also for those that live elsewhere.
//!
//! A transport gives the suite a [`Harness`]; each clause is an async function, and [`run_all`] runs
//! them one after the other. A clause that fails panics with its name and what it saw. The suite
//! needs no runtime of its own: it runs on whichever executor polls it. It has no timers, so that a
//! transport that forgets to wake someone makes it wait for ever: put a time limit around it.
//!
//! ```
//! use async_trait::async_trait;
//! use bowline_transport::contract::{self, Harness};
//! use bowline_transport::memory::{MemoryConnector, MemoryListener};
//! use bowline_transport::{Address, Connector, Listener};
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! struct Memory(AtomicUsize);
//!
//! #[async_trait]
//! impl Harness for Memory {
//!     async fn listen(&self) -> Box<dyn Listener> {
//!         let name = format!("contract-{}", self.0.fetch_add(1, Ordering::Relaxed));
//!         let address = Address::memory(&name).expect("the name is not empty");
//!         Box::new(MemoryListener::bind(&address).expect("the name is free"))
//!     }
//!
//!     fn connector(&self, address: &Address) -> Box<dyn Connector> {
//!         Box::new(MemoryConnector::new(address).expect("the listener gave it"))
//!     }
//! }
//!
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     struct Thread(std::thread::Thread);
//! #     impl std::task::Wake for Thread {
//! #         fn wake(self: std::sync::Arc<Self>) { self.0.unpark() }
//! #     }
//! #     let waker = std::sync::Arc::new(Thread(std::thread::current())).into();
//! #     let mut cx = std::task::Context::from_waker(&waker);
//! #     let mut future = std::pin::pin!(future);
//! #     loop {
//! #         if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut cx) { return out }
//! #         std::thread::park();
//! #     }
//! # }
//! block_on(contract::run_all(&Memory(AtomicUsize::new(0))));
//! ```

mod carrying;
mod ending;
mod listening;
mod support;
mod waiting;

use async_trait::async_trait;

pub use self::carrying::{
    bytes_arrive_in_order_both_ways, calls_from_many_threads_keep_their_bytes,
    connections_do_not_interfere, descriptors_go_only_where_they_can, empty_sends_send_nothing,
    vectored_sends_arrive_in_order,
};
pub use self::ending::{
    drop_ends_the_peers_reading, sending_to_a_closed_peer_fails, shutdown_ends_one_direction,
    what_was_written_before_the_end_is_read,
};
pub use self::listening::{
    abandoned_attempts_leave_nothing_behind, addresses_come_back, dropped_listeners_refuse,
    many_connections_at_once, peers_stay_who_they_are,
};
pub use self::waiting::{
    a_full_socket_makes_the_sender_wait, both_directions_wait_side_by_side,
    the_last_receiver_to_wait_is_woken, the_last_sender_to_wait_is_woken, trying_does_not_wait,
    waiting_to_receive_takes_nothing,
};

use crate::{Address, Connector, Listener};

/// What the suite needs of a transport.
///
/// Its methods are part of a test: they panic where they fail. Each direction of a connection must
/// hold at least 2,000 bytes that nobody has read yet.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A listener at an address of its own, that nobody else connects to.
    async fn listen(&self) -> Box<dyn Listener>;

    /// A connector to the address of one of those listeners.
    fn connector(&self, address: &Address) -> Box<dyn Connector>;
}

/// Runs all clauses, one after the other.
///
/// # Panics
/// If the transport breaks one of them.
pub async fn run_all(harness: &dyn Harness) {
    addresses_come_back(harness).await;
    peers_stay_who_they_are(harness).await;
    trying_does_not_wait(harness).await;
    empty_sends_send_nothing(harness).await;
    bytes_arrive_in_order_both_ways(harness).await;
    vectored_sends_arrive_in_order(harness).await;
    waiting_to_receive_takes_nothing(harness).await;
    the_last_receiver_to_wait_is_woken(harness).await;
    the_last_sender_to_wait_is_woken(harness).await;
    a_full_socket_makes_the_sender_wait(harness).await;
    both_directions_wait_side_by_side(harness).await;
    shutdown_ends_one_direction(harness).await;
    drop_ends_the_peers_reading(harness).await;
    what_was_written_before_the_end_is_read(harness).await;
    sending_to_a_closed_peer_fails(harness).await;
    descriptors_go_only_where_they_can(harness).await;
    calls_from_many_threads_keep_their_bytes(harness).await;
    connections_do_not_interfere(harness).await;
    many_connections_at_once(harness).await;
    abandoned_attempts_leave_nothing_behind(harness).await;
    dropped_listeners_refuse(harness).await;
}
