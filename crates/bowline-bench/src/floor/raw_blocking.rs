//! Blocking sockets: a thread for each connection and one call in flight, one write and one read
//! for each message. A message is its length in four bytes and its content.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use rustix::io::{read, write, writev};

use super::sockets;
use crate::compare::Transport;
use crate::load::{Handler, Load, Work};
use crate::system::{BoxError, Client, Endpoint, Job, Ready, System, spawn_thread};

/// Longest message that is copied behind its length, so that both are one piece.
const COPIED_MAX: usize = 4096;
const LENGTH: usize = 4;

/// Blocking sockets.
#[derive(Debug)]
pub struct RawBlocking;

/// A connection.
#[derive(Debug, Clone)]
pub struct RawBlockingClient(Arc<Mutex<Connection>>);

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: vec![0; 64 * 1024] }
    }

    /// Reads a message to the start of the buffer, and gives its length with the four bytes; 0 at
    /// the end.
    fn receive(&mut self) -> io::Result<usize> {
        let (mut have, mut need) = (0, LENGTH);
        while have < need {
            match read(&self.socket, &mut self.buffer[have..])? {
                0 => return Ok(0),
                n => have += n,
            }
            if let Some(length) = self.buffer[..have].first_chunk::<LENGTH>() {
                need = LENGTH + u32::from_le_bytes(*length) as usize;
                if need > self.buffer.len() {
                    self.buffer.resize(need, 0);
                }
            }
        }
        Ok(have)
    }

    fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_le_bytes();
        if payload.len() <= COPIED_MAX {
            let end = LENGTH + payload.len();
            self.buffer[..LENGTH].copy_from_slice(&length);
            self.buffer[LENGTH..end].copy_from_slice(payload);
            return self.write(0, end);
        }
        let mut written = writev(&self.socket, &[IoSlice::new(&length), IoSlice::new(payload)])?;
        // A socket that takes anything takes the four bytes.
        while written < LENGTH + payload.len() {
            written += write(&self.socket, &payload[written - LENGTH..])?;
        }
        Ok(())
    }

    /// Writes a part of the buffer.
    fn write(&self, mut start: usize, end: usize) -> io::Result<()> {
        while start < end {
            start += write(&self.socket, &self.buffer[start..end])?;
        }
        Ok(())
    }

    fn echo(mut self) -> io::Result<()> {
        loop {
            match self.receive()? {
                0 => return Ok(()),
                length => self.write(0, length)?,
            }
        }
    }
}

impl System for RawBlocking {
    const NAME: &'static str = "raw-blocking";
    const BLOCKING: bool = true;
    type Client = RawBlockingClient;

    async fn serve(endpoint: Endpoint, _: Handler, ready: Ready) -> Result<Infallible, BoxError> {
        let transport = endpoint.address.transport();
        let (listener, address) = sockets::listen(&endpoint.address)?;
        ready.at(address);
        loop {
            let connection = Connection::new(sockets::accept(&listener, transport)?);
            thread::spawn(|| connection.echo());
        }
    }

    async fn connect(endpoint: &Endpoint) -> Result<RawBlockingClient, BoxError> {
        let connection = Connection::new(sockets::connect(&endpoint.address)?);
        Ok(RawBlockingClient(Arc::new(Mutex::new(connection))))
    }

    fn spawn(job: Job<Self>) {
        spawn_thread(job.run());
    }

    fn unsupported(load: &Load, _: Transport) -> Option<&'static str> {
        match load.work {
            _ if load.handler != Handler::AtOnce => Some("no handlers"),
            Work::Unary { in_flight: 1, .. } | Work::Connect => None,
            Work::Idle { .. } => Some("a thread for each connection"),
            _ => Some("one call in flight"),
        }
    }
}

impl Client for RawBlockingClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.send(&payload)?;
        match connection.receive()? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            length => Ok(length - LENGTH),
        }
    }
}
