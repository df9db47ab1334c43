//! Tests of the memory transport: its pipes, its registry of names.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::contract::{self, Harness};
use crate::{Address, Connector, Fault, Listener};

/// Runs a future in a thread of its own, with a time limit.
fn block_on<F: Future<Output = ()> + Send + 'static>(future: F) {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let (done, finished) = mpsc::channel::<()>();
    let runner = thread::spawn(move || {
        let _done = done;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("nobody woke the test for a minute"),
        _ => runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

fn address(name: &str) -> Address {
    Address::memory(name).unwrap()
}

struct Memory {
    capacity: usize,
    next: AtomicUsize,
}

#[async_trait]
impl Harness for Memory {
    async fn listen(&self) -> Box<dyn Listener> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = address(&format!("contract-{}-{number}", self.capacity));
        Box::new(MemoryListener::bind_with_capacity(&address, self.capacity).unwrap())
    }

    fn connector(&self, address: &Address) -> Box<dyn Connector> {
        Box::new(MemoryConnector::new(address).unwrap())
    }
}

#[test]
fn keeps_the_contract() {
    block_on(async {
        contract::run_all(&Memory { capacity: CAPACITY, next: AtomicUsize::new(0) }).await;
    });
}

#[test]
fn keeps_the_contract_with_hardly_any_room() {
    block_on(async {
        let memory = Memory { capacity: 2_000, next: AtomicUsize::new(0) };
        contract::run_all(&memory).await;
    });
}

#[test]
fn a_pipe_of_one_byte_carries_one_byte_at_a_time() {
    let (a, b) = pair(0);
    let data = [IoSlice::new(b""), IoSlice::new(b"xy")];
    assert_eq!(a.try_send(&data, &[]).unwrap(), 1);
    assert_eq!(a.try_send(&data, &[]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut buf = BytesMut::with_capacity(8);
    assert_eq!(b.try_recv(&mut buf, &mut Vec::new()).unwrap(), 1);
    assert_eq!(a.try_send(&data, &[]).unwrap(), 1);
    assert_eq!(buf, "x");
}

#[test]
fn receiving_into_a_full_buffer_is_not_the_end() {
    let (a, b) = pair(CAPACITY);
    a.try_send(&[IoSlice::new(b"x")], &[]).unwrap();
    let error = b.try_recv(&mut BytesMut::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn writing_to_a_closed_peer_is_a_broken_pipe_and_reading_goes_on() {
    let (a, b) = pair(CAPACITY);
    b.try_send(&[IoSlice::new(b"farewell")], &[]).unwrap();
    drop(b);
    let error = a.try_send(&[IoSlice::new(b"x")], &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let mut buf = BytesMut::with_capacity(64);
    assert_eq!(a.try_recv(&mut buf, &mut Vec::new()).unwrap(), 8);
    assert_eq!(a.try_recv(&mut buf, &mut Vec::new()).unwrap(), 0);
    assert_eq!(buf, "farewell");
}

#[test]
fn the_peer_is_this_process() {
    let (a, _b) = pair(CAPACITY);
    assert_eq!((a.peer().kind(), a.peer().pid()), ("memory", Some(std::process::id())));
    assert!(a.peer().uid().is_some() && a.peer().gid().is_some());
}

#[test]
fn a_name_is_taken_once_and_free_again() {
    let address = address("taken-once");
    let listener = MemoryListener::bind(&address).unwrap();
    let error = MemoryListener::bind(&address).unwrap_err();
    assert!(matches!(error.fault(), Fault::NameTaken));
    drop(listener);
    MemoryListener::bind(&address).unwrap();
}

#[test]
fn other_schemes_are_refused() {
    let address: Address = "tcp:127.0.0.1:1".parse().unwrap();
    for error in
        [MemoryListener::bind(&address).unwrap_err(), MemoryConnector::new(&address).unwrap_err()]
    {
        assert!(matches!(error.fault(), Fault::Unsupported { scheme } if scheme == "tcp"));
    }
}

#[test]
fn a_full_queue_makes_connectors_wait_and_its_end_refuses_them() {
    block_on(async {
        let address = address("full-queue");
        let listener = MemoryListener::bind(&address).unwrap();
        let connector = MemoryConnector::new(&address).unwrap();
        let mut queued = Vec::new();
        for _ in 0..BACKLOG {
            queued.push(connector.connect().await.unwrap());
        }
        let mut waiting = connector.connect();
        let pending = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
        listener.accept().await.unwrap();
        queued.push(waiting.await.unwrap());

        let mut waiting = connector.connect();
        let pending = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(pending);
        drop(listener);
        let error = waiting.await.unwrap_err();
        assert!(matches!(error.fault(), Fault::NobodyListening { stale: false }));
        // Those that nobody accepted have ended.
        for client in &queued {
            let mut buf = BytesMut::with_capacity(8);
            assert_eq!(client.try_recv(&mut buf, &mut Vec::new()).unwrap(), 0);
        }
    });
}

#[test]
fn several_tasks_may_accept_at_once() {
    block_on(async {
        let address = address("several-accept");
        let listener = MemoryListener::bind(&address).unwrap();
        let connector = MemoryConnector::new(&address).unwrap();
        let (mut first, mut second) = (listener.accept(), listener.accept());
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            assert!(second.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        // The one that came first gives up; the connection is the other's.
        drop(first);
        let _client = connector.connect().await.unwrap();
        second.await.unwrap();
    });
}
