//! Names inside this process: the registry, the listeners in it, and the connectors that look there.

use std::collections::{HashMap, VecDeque, hash_map};
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;

use super::{CAPACITY, MemorySocket, pair};
use crate::{Address, AddressKind, Connector, Fault, Listener, Socket, TransportError};

/// How many connections wait for `accept` at most. Further connectors wait for one to be accepted.
pub const BACKLOG: usize = 128;

/// Who listens in this process.
static NAMES: LazyLock<Mutex<HashMap<Box<str>, Arc<Queue>>>> = LazyLock::new(Mutex::default);

/// Accepts connections at a `memory:` address.
///
/// Dropping it frees the name and closes the connections that nobody has accepted.
#[derive(Debug)]
pub struct MemoryListener {
    address: Address,
    queue: Arc<Queue>,
}

impl MemoryListener {
    /// Listens at a `memory:` address.
    ///
    /// # Errors
    /// [`Fault::NameTaken`], or [`Fault::Unsupported`] for an address of another transport.
    pub fn bind(address: &Address) -> Result<Self, TransportError> {
        Self::bind_with_capacity(address, CAPACITY)
    }

    /// As [`bind`](Self::bind); each direction of each connection holds up to `capacity` bytes.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with_capacity(address: &Address, capacity: usize) -> Result<Self, TransportError> {
        let name = name(address).map_err(|fault| TransportError::listen(address, fault))?;
        let queue = Arc::new(Queue { capacity, state: Mutex::default() });
        match lock(&NAMES).entry(name.into()) {
            hash_map::Entry::Occupied(_) => {
                return Err(TransportError::listen(address, Fault::NameTaken));
            }
            hash_map::Entry::Vacant(entry) => entry.insert(Arc::clone(&queue)),
        };
        Ok(Self { address: address.clone(), queue })
    }
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        let mut turn = Turn::new(&self.queue, Side::Accepting);
        poll_fn(|cx| turn.poll(cx, QueueState::accept)).await.map(|socket| Box::new(socket) as _)
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        if let AddressKind::Memory(name) = self.address.kind() {
            lock(&NAMES).remove(name);
        }
        let mut state = lock(&self.queue.state);
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        let wakers = state.wakers(Side::Connecting).take_all();
        drop(state);
        // Dropping a socket wakes whoever waits at its other end: not under the lock.
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Makes connections to a `memory:` address.
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    address: Address,
}

impl MemoryConnector {
    /// Makes connections to a `memory:` address. The listener may come later.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for an address of another transport.
    pub fn new(address: &Address) -> Result<Self, TransportError> {
        match name(address) {
            Ok(_) => Ok(Self { address: address.clone() }),
            Err(fault) => Err(TransportError::connect(address, fault)),
        }
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    /// Waits while [`BACKLOG`] connections wait to be accepted.
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        let fail = |fault| TransportError::connect(&self.address, fault);
        let name = name(&self.address).map_err(fail)?;
        let nobody = || fail(Fault::NobodyListening { stale: false });
        let queue = lock(&NAMES).get(name).map(Arc::clone).ok_or_else(nobody)?;
        let (ours, theirs) = pair(queue.capacity);
        let mut theirs = Some(theirs);
        let mut turn = Turn::new(&queue, Side::Connecting);
        let queued = poll_fn(|cx| turn.poll(cx, |state| state.connect(&mut theirs))).await;
        queued.map_err(|_closed| nobody())?;
        Ok(Box::new(ours))
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

/// The connections that wait to be accepted at one name.
#[derive(Debug)]
struct Queue {
    capacity: usize,
    state: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<MemorySocket>,
    closed: bool,
    accepting: Wakers,
    connecting: Wakers,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Accepting,
    Connecting,
}

impl QueueState {
    /// `WouldBlock` while no connection waits.
    fn accept(&mut self) -> io::Result<MemorySocket> {
        self.waiting.pop_front().ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    /// `WouldBlock` while the queue is full, else takes the socket, unless it is closed.
    fn connect(&mut self, socket: &mut Option<MemorySocket>) -> io::Result<()> {
        if self.closed {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        if self.waiting.len() >= BACKLOG {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.waiting.extend(socket.take());
        Ok(())
    }

    fn wakers(&mut self, side: Side) -> &mut Wakers {
        match side {
            Side::Accepting => &mut self.accepting,
            Side::Connecting => &mut self.connecting,
        }
    }
}

/// One task's wait at a queue. What it leaves there goes when it is dropped.
struct Turn<'a> {
    queue: &'a Queue,
    side: Side,
    ticket: Option<u64>,
}

impl<'a> Turn<'a> {
    fn new(queue: &'a Queue, side: Side) -> Self {
        Self { queue, side, ticket: None }
    }

    /// Tries, registers the waker where that would block, and wakes one of the other side where it
    /// succeeded.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut QueueState) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut state = lock(&self.queue.state);
        let result = match attempt(&mut state) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let wakers = state.wakers(self.side);
                let ticket = *self.ticket.get_or_insert_with(|| wakers.ticket());
                let replaced = wakers.put(ticket, cx.waker());
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
            result => result,
        };
        let other = match self.side {
            Side::Accepting => Side::Connecting,
            Side::Connecting => Side::Accepting,
        };
        // All of them: the one woken alone might be dropped before it takes its turn.
        let wakers = state.wakers(other).take_all();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Poll::Ready(result)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            // The guard goes first: with the waker may go a task that uses this very queue.
            let removed = lock(&self.queue.state).wakers(self.side).remove(ticket);
            drop(removed);
        }
    }
}

/// The wakers of the tasks that wait, each under the ticket it was given.
#[derive(Debug, Default)]
struct Wakers {
    waiting: Vec<(u64, Waker)>,
    next: u64,
}

impl Wakers {
    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Returns the waker that it replaces.
    #[must_use]
    fn put(&mut self, ticket: u64, waker: &Waker) -> Option<Waker> {
        match self.waiting.iter_mut().find(|(other, _)| *other == ticket) {
            Some((_, slot)) if slot.will_wake(waker) => None,
            Some((_, slot)) => Some(std::mem::replace(slot, waker.clone())),
            None => {
                self.waiting.push((ticket, waker.clone()));
                None
            }
        }
    }

    #[must_use]
    fn remove(&mut self, ticket: u64) -> Option<Waker> {
        let index = self.waiting.iter().position(|(other, _)| *other == ticket)?;
        Some(self.waiting.swap_remove(index).1)
    }

    fn take_all(&mut self) -> Vec<Waker> {
        self.waiting.drain(..).map(|(_, waker)| waker).collect()
    }
}

fn name(address: &Address) -> Result<&str, Fault> {
    match address.kind() {
        AddressKind::Memory(name) => Ok(name),
        _ => Err(Fault::unsupported(address)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever is behind these locks is whole at every point where a panic is possible.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
