//! A channel's connection that is made again when it is lost.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bowline_transport::PeerIdentity;

use crate::Status;
use crate::channel::{CLOSED, ChannelBuilder, Link};
use crate::reconnect::{Reconnect, after, is_retryable};

/// A connection that is made again when it is lost.
pub(crate) struct Reconnecting {
    builder: ChannelBuilder,
    policy: Reconnect,
    current: Mutex<Current>,
    /// Held by the one who connects.
    connecting: tokio::sync::Mutex<Attempts>,
}

#[derive(Default)]
struct Current {
    link: Option<Arc<Link>>,
    closed: bool,
    /// Why the last attempt failed, for all who wait.
    last_error: Option<String>,
}

/// Attempts since a connection last stood.
#[derive(Default)]
struct Attempts {
    made: u32,
    next: Option<Instant>,
}

impl Reconnecting {
    pub(crate) fn new(builder: ChannelBuilder, policy: Reconnect, link: Option<Arc<Link>>) -> Self {
        Self {
            builder,
            policy,
            current: Mutex::new(Current { link, closed: false, last_error: None }),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// The connection, made first if there is none: at the deadline the wait ends.
    pub(crate) async fn link(&self, deadline: Option<Instant>) -> Result<Arc<Link>, Status> {
        if let Some(link) = self.current()? {
            return Ok(link);
        }
        let until = deadline.unwrap_or_else(|| after(self.policy.patience));
        let connected = tokio::time::timeout_at(until.into(), self.connect()).await;
        connected.unwrap_or_else(|_| {
            let mut text = "there was no connection in time".to_owned();
            if let Some(error) = &self.lock().last_error {
                text = format!("{text}: {error}");
            }
            let status = match deadline {
                Some(_) => Status::deadline_exceeded(text),
                None => Status::unavailable(text),
            };
            Err(status.with_not_started(true))
        })
    }

    async fn connect(&self) -> Result<Arc<Link>, Status> {
        let mut attempts = self.connecting.lock().await;
        // Looked at once for each connection: else every call that waits would begin anew.
        let lost = self.lock().link.take_if(|link| !link.shared.is_usable());
        if lost.is_some_and(|link| link.shared.has_stood()) {
            attempts.made = 0;
        }
        loop {
            if let Some(link) = self.current()? {
                return Ok(link);
            }
            if let Some(next) = attempts.next {
                tokio::time::sleep_until(next.into()).await;
            }
            // Counted before it is made: an attempt that is given up counts, too.
            attempts.made += 1;
            let pause = self.policy.pause(attempts.made, fastrand::f64());
            attempts.next = Some(after(pause));
            match self.builder.connect_once().await {
                Ok(link) => {
                    let mut current = self.lock();
                    if current.closed {
                        return Err(Status::unavailable(CLOSED).with_not_started(true));
                    }
                    current.link = Some(Arc::clone(&link));
                    current.last_error = None;
                    return Ok(link);
                }
                Err(error) if is_retryable(&error) => {
                    tracing::debug!(%error, "connecting failed");
                    self.lock().last_error = Some(error.to_string());
                }
                Err(error) => {
                    return Err(Status::unavailable(error.to_string()).with_not_started(true));
                }
            }
        }
    }

    /// The connection, if it can be used.
    fn current(&self) -> Result<Option<Arc<Link>>, Status> {
        let current = self.lock();
        if current.closed {
            return Err(Status::unavailable(CLOSED).with_not_started(true));
        }
        Ok(current.link.as_ref().filter(|link| link.shared.is_usable()).map(Arc::clone))
    }

    /// Who is at the other end, while there is a connection.
    pub(crate) fn peer(&self) -> Option<PeerIdentity> {
        let link = self.current().ok().flatten()?;
        Some(link.shared.peer().clone())
    }

    /// Makes no more connections, and gives back the last one.
    pub(crate) fn close(&self) -> Option<Arc<Link>> {
        let mut current = self.lock();
        current.closed = true;
        current.link.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.builder.connector.fmt(f)
    }
}
