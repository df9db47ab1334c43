//! Blocking sockets that count the bytes which really move.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bowline::blocking;
use bowline::{Address, PeerIdentity};
use bytes::BytesMut;

use super::hard::counting::Counter;

/// A socket that counts.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) socket: Box<dyn blocking::Socket>,
    pub(crate) counter: Arc<Counter>,
    pub(crate) server: bool,
}

impl Counted {
    fn count(&self, server: &AtomicU64, client: &AtomicU64, bytes: usize) {
        let count = if self.server { server } else { client };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn received(&self, bytes: usize) {
        self.count(&self.counter.server_received, &self.counter.client_received, bytes);
    }
}

impl AsFd for Counted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl blocking::Socket for Counted {
    fn recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
        self.socket.recv(buf).inspect(|n| self.received(*n))
    }

    fn try_recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
        self.socket.try_recv(buf).inspect(|n| self.received(*n))
    }

    fn try_send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = self.socket.try_send(data)?;
        self.count(&self.counter.server_sent, &self.counter.client_sent, sent);
        Ok(sent)
    }

    fn peer(&self) -> &PeerIdentity {
        self.socket.peer()
    }

    fn keeps_written(&self) -> bool {
        self.socket.keeps_written()
    }
}

/// A listener whose sockets count.
#[derive(Debug)]
pub(crate) struct CountedListener {
    pub(crate) listener: Box<dyn blocking::Listener>,
    pub(crate) counter: Arc<Counter>,
}

impl AsFd for CountedListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl blocking::Listener for CountedListener {
    fn accept(&self) -> io::Result<Box<dyn blocking::Socket>> {
        let socket = self.listener.accept()?;
        Ok(Box::new(Counted { socket, counter: Arc::clone(&self.counter), server: true }))
    }

    fn address(&self) -> &Address {
        self.listener.address()
    }
}
