//! Threads that run what they are given and then wait for more.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::blocking::connection::Shared;

/// A thread that has had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

/// The threads that serve connections: one for each, and up to a number of others.
#[derive(Clone)]
pub(super) struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Rings when there is work, or no more will come.
    work: Condvar,
    /// Threads beside one for each connection.
    others_max: usize,
}

#[derive(Default)]
struct State {
    /// Connections that wait for their thread.
    new: VecDeque<Arc<Shared>>,
    /// Connections that want one more thread, to start a handler.
    busy: VecDeque<Arc<Shared>>,
    connections: usize,
    threads: usize,
    idle: usize,
    stopped: bool,
}

/// What a thread is to do.
struct Job {
    shared: Arc<Shared>,
    /// It is wanted to start a handler.
    asked: bool,
}

impl Pool {
    pub(super) fn new(others_max: usize) -> Self {
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { state, work: Condvar::new(), others_max }) }
    }

    pub(super) fn add_connection(&self) {
        self.inner.lock().connections += 1;
    }

    pub(super) fn remove_connection(&self) {
        self.inner.lock().connections -= 1;
    }

    /// Gives this connection its thread.
    ///
    /// # Errors
    /// There is none to be had.
    pub(super) fn serve(&self, shared: Arc<Shared>) -> io::Result<()> {
        let mut state = self.inner.lock();
        state.new.push_back(shared);
        self.call_thread(&mut state, usize::MAX)
    }

    /// Has a handler of this connection started by another thread, as soon as there is one.
    pub(super) fn help(&self, shared: Arc<Shared>) {
        let mut state = self.inner.lock();
        state.busy.push_back(shared);
        let most = state.connections + self.inner.others_max;
        if let Err(error) = self.call_thread(&mut state, most) {
            tracing::warn!(%error, "a handler waits, as no thread can be started for it");
        }
    }

    /// Sees to it that there is a thread for what has been added last, unless there are as many as
    /// there may be.
    fn call_thread(&self, state: &mut State, most: usize) -> io::Result<()> {
        let waiting = state.new.len() + state.busy.len();
        if state.idle >= waiting {
            self.inner.work.notify_one();
            return Ok(());
        }
        if state.threads >= most {
            return Ok(());
        }
        let pool = self.clone();
        let thread = thread::Builder::new().name("bowline-worker".to_owned());
        thread.spawn(move || pool.work())?;
        state.threads += 1;
        Ok(())
    }

    /// No more work comes: threads that have none end.
    pub(super) fn stop(&self) {
        self.inner.lock().stopped = true;
        self.inner.work.notify_all();
    }

    fn work(&self) {
        while let Some(Job { shared, asked }) = self.next() {
            shared.serve(asked);
        }
    }

    /// The next thing to do; `None` when the thread shall end.
    fn next(&self) -> Option<Job> {
        let mut state = self.inner.lock();
        loop {
            // Connections first: each has a thread, whatever the others do.
            if let Some(shared) = state.new.pop_front() {
                return Some(Job { shared, asked: false });
            }
            // When a connection has ended, there may be a thread too many.
            if state.threads > state.connections + self.inner.others_max {
                break;
            }
            if let Some(shared) = state.busy.pop_front() {
                return Some(Job { shared, asked: true });
            }
            if state.stopped {
                break;
            }
            state.idle += 1;
            let waited = self.inner.work.wait_timeout(state, IDLE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.new.is_empty() && state.busy.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        // What rang for this one is for another.
        self.inner.work.notify_one();
        None
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
