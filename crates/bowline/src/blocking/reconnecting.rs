//! A channel's connection that is made again when it is lost.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bowline_transport::PeerIdentity;

use super::channel::{CLOSED, ChannelBuilder, Link};
use crate::Status;
use crate::reconnect::{Reconnect, after, is_retryable};

/// A connection that is made again when it is lost, by one of the threads that need it.
pub(super) struct Reconnecting {
    builder: ChannelBuilder,
    policy: Reconnect,
    current: Mutex<Current>,
    /// Rings when there is a connection, an attempt has failed, or the channel was closed.
    changed: Condvar,
}

#[derive(Default)]
struct Current {
    link: Option<Arc<Link>>,
    closed: bool,
    /// A thread connects.
    connecting: bool,
    /// Attempts since a connection last stood, and when the next one may be made.
    attempts: u32,
    next: Option<Instant>,
    /// Why the last attempt failed, for all who wait.
    last_error: Option<String>,
}

impl Reconnecting {
    pub(super) fn new(builder: ChannelBuilder, policy: Reconnect, link: Option<Arc<Link>>) -> Self {
        let current = Current { link, ..Current::default() };
        Self { builder, policy, current: Mutex::new(current), changed: Condvar::new() }
    }

    /// The connection, made first if there is none: at the deadline the wait ends.
    pub(super) fn link(&self, deadline: Option<Instant>) -> Result<Arc<Link>, Status> {
        let mut current = self.lock();
        // Only if it has to wait.
        let mut until = deadline;
        loop {
            if current.closed {
                return Err(Status::unavailable(CLOSED).with_not_started(true));
            }
            if let Some(link) = current.usable() {
                return Ok(link);
            }
            let now = Instant::now();
            let end = *until.get_or_insert_with(|| after(self.policy.patience));
            if now >= end {
                return Err(current.too_late(deadline.is_some()));
            }
            let next = current.next.filter(|next| *next > now);
            if current.connecting || next.is_some() {
                let left = next.map_or(end, |next| next.min(end)) - now;
                let waited = self.changed.wait_timeout(current, left);
                current = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            current = self.attempt(current)?;
        }
    }

    /// Connects once, without the lock.
    fn attempt<'a>(
        &'a self,
        mut current: MutexGuard<'a, Current>,
    ) -> Result<MutexGuard<'a, Current>, Status> {
        let lost = current.link.take();
        if lost.as_ref().is_some_and(|link| link.shared.has_stood()) {
            current.attempts = 0;
        }
        current.attempts += 1;
        current.next = Some(after(self.policy.pause(current.attempts, fastrand::f64())));
        current.connecting = true;
        drop(current);
        // Not under the lock: it says good-bye.
        drop(lost);
        let connected = self.builder.connect_once();
        let mut current = self.lock();
        current.connecting = false;
        self.changed.notify_all();
        match connected {
            // One that came too late ends with its last owner.
            Ok(link) if !current.closed => {
                current.link = Some(link);
                current.last_error = None;
            }
            Ok(_) => {}
            Err(error) if is_retryable(&error) => {
                tracing::debug!(%error, "connecting failed");
                current.last_error = Some(error.to_string());
            }
            Err(error) => {
                return Err(Status::unavailable(error.to_string()).with_not_started(true));
            }
        }
        Ok(current)
    }

    /// Who is at the other end, while there is a connection.
    pub(super) fn peer(&self) -> Option<PeerIdentity> {
        self.lock().usable().map(|link| link.shared.peer().clone())
    }

    /// Makes no more connections, and gives back the last one.
    pub(super) fn close(&self) -> Option<Arc<Link>> {
        let mut current = self.lock();
        current.closed = true;
        self.changed.notify_all();
        current.link.take()
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// The connection, if it can be used.
    fn usable(&self) -> Option<Arc<Link>> {
        self.link.as_ref().filter(|link| link.shared.is_usable()).map(Arc::clone)
    }

    /// What one is told who has waited in vain.
    fn too_late(&self, deadline: bool) -> Status {
        let mut text = "there was no connection in time".to_owned();
        if let Some(error) = &self.last_error {
            text = format!("{text}: {error}");
        }
        let status =
            if deadline { Status::deadline_exceeded(text) } else { Status::unavailable(text) };
        status.with_not_started(true)
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.builder.fmt(f)
    }
}
