//! The threads that answer calls: one for each connection, which reads it and runs its handlers, more
//! where handlers take long, and a keeper that sees to connections which nobody reads.

mod keeper;
mod pool;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bowline_protocol::{Config, ConnectionError, ErrorCode};

use self::keeper::Keeper;
use self::pool::Pool;
use super::Socket;
use super::connection::{Served, Shared, Watch};
use super::service::Service;
use crate::error::Error;
use crate::router::Router;

/// The threads of a server, or of a channel that takes calls.
pub(super) struct Workers {
    pool: Pool,
    keeper: Keeper,
    next: AtomicU64,
    open: Mutex<Open>,
    /// Rings when a connection has ended.
    ended: Condvar,
    /// All is over with the only connection.
    of_one: bool,
}

/// Connections that have not ended.
#[derive(Default)]
struct Open {
    all: HashMap<u64, Connection>,
    /// How many of them are only told that there are too many.
    refused: usize,
}

struct Connection {
    shared: Arc<Shared>,
    refused: bool,
}

impl Workers {
    /// The threads of a server: `threads_max` beside one for each connection.
    pub(super) fn new(threads_max: usize) -> Result<Arc<Self>, Error> {
        Self::start(threads_max, false)
    }

    /// One connection with threads of its own, which end with it.
    pub(super) fn of_one_connection(
        threads_max: usize,
        socket: Box<dyn Socket>,
        config: Config,
        router: Arc<Router<dyn Service>>,
    ) -> Result<Arc<Shared>, Error> {
        Self::start(threads_max, true)?.add(socket, config, router, None)
    }

    fn start(threads_max: usize, of_one: bool) -> Result<Arc<Self>, Error> {
        let workers = Arc::new(Self {
            pool: Pool::new(threads_max),
            keeper: Keeper::new().map_err(Error::Resources)?,
            next: AtomicU64::new(0),
            open: Mutex::default(),
            ended: Condvar::new(),
            of_one,
        });
        keeper::spawn(Arc::clone(&workers)).map_err(Error::Resources)?;
        Ok(workers)
    }

    /// Answers the calls of this connection, or refuses it.
    pub(super) fn add(
        self: &Arc<Self>,
        socket: Box<dyn Socket>,
        config: Config,
        router: Arc<Router<dyn Service>>,
        refuse: Option<(ErrorCode, &'static str)>,
    ) -> Result<Arc<Shared>, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let served = Served { workers: Arc::clone(self), number, watch: Watch::default() };
        let shared = Shared::new(Arc::from(socket), config, router, Some(served), refuse)?;
        let connection = Connection { shared: Arc::clone(&shared), refused: refuse.is_some() };
        let mut open = self.lock();
        open.refused += usize::from(connection.refused);
        open.all.insert(number, connection);
        drop(open);
        self.pool.add_connection();
        if let Err(error) = self.pool.serve(Arc::clone(&shared)) {
            shared.kill();
            return Err(Error::Resources(error));
        }
        Ok(shared)
    }

    /// How many connections are open, and how many more are being refused.
    pub(super) fn connections(&self) -> (usize, usize) {
        let open = self.lock();
        (open.all.len() - open.refused, open.refused)
    }

    /// Has another thread start a handler of this connection.
    pub(super) fn help(&self, shared: Arc<Shared>) {
        self.pool.help(shared);
    }

    /// Nobody reads some connection any longer.
    pub(super) fn on_unread(&self) {
        self.keeper.wake_if_parked();
    }

    /// The connection with this number has ended. Called under its lock.
    pub(super) fn on_closed(&self, number: u64, error: Option<&ConnectionError>) {
        let connection = {
            let mut open = self.lock();
            let connection = open.all.remove(&number);
            open.refused -= connection.iter().filter(|c| c.refused).count();
            connection
        };
        if let (Some(error), Some(connection)) = (error, &connection) {
            tracing::info!(peer = ?connection.shared.peer(), %error, "connection ended");
        }
        self.pool.remove_connection();
        self.ended.notify_all();
        if self.of_one {
            self.stop();
        }
    }

    /// Does this to all connections.
    pub(super) fn each(&self, act: impl Fn(&Arc<Shared>)) {
        let open: Vec<_> = self.lock().all.values().map(|c| Arc::clone(&c.shared)).collect();
        for shared in open {
            act(&shared);
        }
    }

    /// Waits until all connections have ended, or the time is over; whether they have.
    pub(super) fn wait_until_ended(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        let mut open = self.lock();
        while !open.all.is_empty() {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.ended.wait_timeout(open, left);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Lets all threads go, as soon as they have nothing to do.
    pub(super) fn stop(&self) {
        self.pool.stop();
        self.keeper.stop();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
