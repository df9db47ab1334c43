//! vox, in a release candidate of its next version: Cargo.toml says which, and why.
//!
//! - [`StreamLink`](https://docs.rs/vox/0.10.0-rc.5/vox/transport/tcp/struct.StreamLink.html) on both
//!   transports: it writes what is queued at once. A `local://` address has a link that passes
//!   descriptors, and takes a third more processor time for 64 calls in flight.
//! - `TCP_NODELAY` at both sides.
//! - A lane has 64 calls in flight by default
//!   ([`max_concurrent_requests`](https://docs.rs/vox/0.10.0-rc.5/vox/struct.ConnectionSettings.html)),
//!   here more than any load; and 16 messages of a stream on their way, here 128, which is better for
//!   small ones.
//! - Payloads are `Vec<u8>`: its grammar has no slices. A client copies its payload for that, and each
//!   message of a stream is a copy of the payload.
//! - No observer, no middleware.

use std::convert::Infallible;
use std::sync::Arc;

use ::vox::transport::tcp::StreamLink;
use ::vox::{ConnectionHandle, ConnectionSettings, Link, Parity, Rx, Tx};
use bowline_bench::load::Handler;
use bowline_bench::spawn_on_runtime;
use bowline_bench::system::{BoxError, Client, Endpoint, Ready, System, Transferred};
use bytes::Bytes;
use futures::future;
use tokio_util::either::Either;

use crate::sockets::{self, Listener};

/// More than any load has in flight.
const CALLS: u32 = 1024;
/// Messages of a stream that are on their way.
const MESSAGES: u32 = 128;

/// What bench.proto says, in terms of vox: streams are arguments.
#[::vox::service]
trait Bench {
    /// Answers with the payload of the request.
    async fn unary(&self, payload: Vec<u8>) -> Vec<u8>;

    /// Sends as many payloads as are asked for, each of as many bytes.
    async fn download(&self, count: u64, size: u32, payloads: Tx<Vec<u8>>);

    /// Takes payloads until the caller has no more, and answers with how many came, and how many
    /// bytes they have together.
    async fn upload(&self, payloads: Rx<Vec<u8>>) -> (u64, u64);

    /// Sends back every payload, as soon as it arrives, until the caller has no more.
    async fn chat(&self, payloads: Rx<Vec<u8>>, back: Tx<Vec<u8>>);
}

#[derive(Clone)]
struct Service(Handler);

impl Bench for Service {
    async fn unary(&self, payload: Vec<u8>) -> Vec<u8> {
        self.0.wait().await;
        payload
    }

    async fn download(&self, count: u64, size: u32, payloads: Tx<Vec<u8>>) {
        // An error shows at the client: fewer payloads arrive.
        let _ = send(&payloads, count, &vec![0x5a; size as usize]).await;
    }

    async fn upload(&self, payloads: Rx<Vec<u8>>) -> (u64, u64) {
        let Transferred { messages, bytes } = count(payloads).await.unwrap_or_default();
        (messages, bytes)
    }

    async fn chat(&self, mut payloads: Rx<Vec<u8>>, back: Tx<Vec<u8>>) {
        while let Ok(Some(payload)) = payloads.recv().await {
            if back.send(payload.get().clone()).await.is_err() {
                return;
            }
        }
        let _ = back.close(Default::default()).await;
    }
}

async fn send(payloads: &Tx<Vec<u8>>, count: u64, payload: &[u8]) -> Result<(), BoxError> {
    for _ in 0..count {
        payloads.send(payload.to_vec()).await?;
    }
    Ok(payloads.close(Default::default()).await?)
}

async fn count(mut payloads: Rx<Vec<u8>>) -> Result<Transferred, BoxError> {
    let mut transferred = Transferred::default();
    while let Some(payload) = payloads.recv().await? {
        transferred.add(payload.get().len());
    }
    Ok(transferred)
}

/// vox.
#[derive(Debug)]
pub(crate) struct Vox;

/// A connection of vox's.
#[derive(Clone)]
pub(crate) struct VoxClient {
    bench: BenchClient,
    _connection: Arc<Connection>,
}

/// A connection, which is shut down with its end: clients leave it open.
struct Connection(ConnectionHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        // It may have been closed already.
        let _ = self.0.shutdown();
    }
}

impl System for Vox {
    const NAME: &'static str = "vox";
    type Client = VoxClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        loop {
            match listener.accept().await? {
                Either::Left(socket) => tokio::spawn(answer(StreamLink::unix(socket), handler)),
                Either::Right(socket) => tokio::spawn(answer(StreamLink::tcp(socket), handler)),
            };
        }
    }

    async fn connect(endpoint: &Endpoint) -> Result<VoxClient, BoxError> {
        let connection = match sockets::connect(&endpoint.address).await? {
            Either::Left(socket) => establish(StreamLink::unix(socket)).await?,
            Either::Right(socket) => establish(StreamLink::tcp(socket)).await?,
        };
        let settings = ConnectionSettings {
            parity: Parity::Odd,
            max_concurrent_requests: CALLS,
            initial_channel_credit: MESSAGES,
        };
        let bench = connection.open_lane_with_settings(settings).await?;
        Ok(VoxClient { bench, _connection: Arc::new(Connection(connection)) })
    }

    spawn_on_runtime!();
}

async fn answer<L>(link: L, handler: Handler)
where
    L: Link<Tx: Sync, Rx: Send> + Send + 'static,
{
    let connection = ::vox::acceptor_on(link)
        .max_concurrent_requests(CALLS)
        .channel_capacity(MESSAGES)
        .on_lane(BenchDispatcher::new(Service(handler)))
        .establish_connection()
        .await;
    if let Ok(connection) = connection {
        connection.closed().await;
    }
}

async fn establish<L>(link: L) -> Result<ConnectionHandle, BoxError>
where
    L: Link<Tx: Sync, Rx: Send> + Send + 'static,
{
    let connection = ::vox::initiator_on(link)
        .max_concurrent_requests(CALLS)
        .channel_capacity(MESSAGES)
        .establish_connection();
    Ok(connection.await?)
}

impl Client for VoxClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        Ok(self.bench.unary(payload.to_vec()).await?.len())
    }

    async fn download(&self, number: u64, size: u32) -> Result<Transferred, BoxError> {
        let (sender, receiver) = ::vox::channel();
        let call = async { Ok(self.bench.download(number, size, sender).await?) };
        Ok(future::try_join(call, count(receiver)).await?.1)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (sender, receiver) = ::vox::channel();
        let call = async { Ok(self.bench.upload(receiver).await?) };
        let ((messages, bytes), ()) =
            future::try_join(call, send(&sender, count, &payload)).await?;
        Ok(Transferred { messages, bytes })
    }

    async fn chat(&self, number: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (sender, receiver) = ::vox::channel();
        let (back_sender, back_receiver) = ::vox::channel();
        let call = async { Ok(self.bench.chat(receiver, back_sender).await?) };
        let send = send(&sender, number, &payload);
        Ok(future::try_join3(call, send, count(back_receiver)).await?.2)
    }
}
