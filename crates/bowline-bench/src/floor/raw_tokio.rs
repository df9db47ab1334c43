//! The same on tokio, with many calls in flight: buffered reads, one write for all that waits, and
//! replies in the order of the requests.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

use super::calls::{Connection, Halves};
use super::input::Input;
use super::raw_streams;
use super::sockets::{Listener, Reader, Writer, connect_tokio};
use crate::compare::Transport;
use crate::load::{Handler, Load};
use crate::spawn_on_runtime;
use crate::system::{BoxError, Client, Endpoint, Ready, System, Transferred};

/// Sockets of tokio's.
#[derive(Debug)]
pub struct RawTokio;

/// A connection.
#[derive(Clone)]
pub struct RawTokioClient(Arc<Mutex<Connection>>);

impl RawTokioClient {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the socket from calls, for a stream.
    fn take(&self) -> Result<Halves, BoxError> {
        self.lock().swap(None).ok_or_else(|| "streams run one after the other".into())
    }

    fn give_back(&self, halves: Halves) {
        self.lock().swap(Some(halves));
    }
}

impl Client for RawTokioClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        let (mut payload, mut number) = (Some(payload), 0);
        let reply = poll_fn(|cx| {
            let mut connection = self.lock();
            let payload = payload.take();
            let is_new = payload.is_some();
            if let Some(payload) = payload {
                number = connection.start(payload);
            }
            connection.poll(number, is_new, cx)
        });
        Ok(reply.await?)
    }

    async fn download(&self, count: u64, size: u32) -> Result<Transferred, BoxError> {
        let mut halves = self.take()?;
        let transferred = raw_streams::download(&mut halves, count, size).await?;
        self.give_back(halves);
        Ok(transferred)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let mut halves = self.take()?;
        let transferred = raw_streams::upload(&mut halves, count, payload).await?;
        self.give_back(halves);
        Ok(transferred)
    }

    async fn chat(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let mut halves = self.take()?;
        let transferred = raw_streams::chat(&mut halves, count, payload).await?;
        self.give_back(halves);
        Ok(transferred)
    }
}

impl fmt::Debug for RawTokioClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTokioClient").finish_non_exhaustive()
    }
}

async fn echo(reader: Reader, mut writer: Writer) -> io::Result<()> {
    let mut input = Input::new(reader);
    loop {
        // A reply is what the request was: what is here as a whole goes back in one write.
        writer.write_all(input.messages()).await?;
        if input.is_at_request() {
            raw_streams::serve(&mut input, &mut writer).await?;
        } else {
            input.fill().await?;
        }
    }
}

impl System for RawTokio {
    const NAME: &'static str = "raw-tokio";
    type Client = RawTokioClient;

    async fn serve(endpoint: Endpoint, _: Handler, ready: Ready) -> Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        loop {
            let (reader, writer) = listener.accept().await?;
            tokio::spawn(echo(reader, writer));
        }
    }

    async fn connect(endpoint: &Endpoint) -> Result<RawTokioClient, BoxError> {
        let (reader, writer) = connect_tokio(&endpoint.address).await?;
        Ok(RawTokioClient(Arc::new(Mutex::new(Connection::new(reader, writer)))))
    }

    spawn_on_runtime!();

    fn unsupported(load: &Load, _: Transport) -> Option<&'static str> {
        (load.handler != Handler::AtOnce).then_some("no handlers")
    }
}
