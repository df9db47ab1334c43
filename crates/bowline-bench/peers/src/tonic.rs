//! tonic.
//!
//! - [`TCP_NODELAY`](https://docs.rs/tonic/0.14/tonic/transport/struct.Endpoint.html#method.tcp_nodelay)
//!   is on at both sides.
//! - HTTP/2's [windows](https://docs.rs/tonic/0.14/tonic/transport/struct.Server.html#method.initial_stream_window_size)
//!   are 64 KiB by default, here 2 MiB: no message is longer. With 4 MiB for a stream and 64 MiB for a
//!   connection, eight calls of 1 MiB at once took twice the processor time. They are fixed, since the adaptive window
//!   has to learn, by pings, what is known here.
//! - The largest [frame](https://docs.rs/tonic/0.14/tonic/transport/struct.Server.html#method.max_frame_size)
//!   is 16 KiB by default, here 256 KiB: streams of 1 KiB and 64 KiB messages take about 40 % less
//!   processor time, calls of 64 KiB about 15 % more; still larger ones do not help.
//! - [Concurrent streams](https://docs.rs/tonic/0.14/tonic/transport/struct.Server.html#method.max_concurrent_streams)
//!   are limited to 200 by default; here to more than any load has.
//! - Messages are limited to 4 MiB when they arrive, by default, which is enough.
//! - Payloads are [`Bytes`] ([`bytes(".")`](https://docs.rs/tonic-prost-build/0.14/tonic_prost_build/struct.Builder.html#method.bytes)).
//! - Its own ways to sockets: a `unix:` address, and `TcpIncoming`.

use std::convert::Infallible;
use std::pin::Pin;

use ::tonic::transport::server::TcpIncoming;
use ::tonic::transport::{Channel, Endpoint as To, Server};
use ::tonic::{Request, Response, Status, Streaming};
use bowline_bench::load::Handler;
use bowline_bench::spawn_on_runtime;
use bowline_bench::system::{Address, BoxError, Client, Endpoint, Ready, System, Transferred};
use bytes::Bytes;
use futures::{Stream, stream};
use tokio_stream::wrappers::UnixListenerStream;

use crate::generated::tonic::bench_client::BenchClient;
use crate::generated::tonic::bench_server::{Bench, BenchServer};
use crate::generated::tonic::{DownloadRequest, Payload, UploadReply};
use crate::sockets::Listener;

pub(crate) const WINDOW: u32 = 2 << 20;
pub(crate) const STREAMS: u32 = 1024;
pub(crate) const FRAME: u32 = 256 << 10;

struct Service(Handler);

#[::tonic::async_trait]
impl Bench for Service {
    type DownloadStream = Pin<Box<dyn Stream<Item = Result<Payload, Status>> + Send>>;
    type ChatStream = Streaming<Payload>;

    async fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        self.0.wait().await;
        Ok(Response::new(request.into_inner()))
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let DownloadRequest { count, size } = request.into_inner();
        let payload = Bytes::from(vec![0x5a; size as usize]);
        let payloads = (0..count).map(move |_| Ok(Payload { payload: payload.clone() }));
        Ok(Response::new(Box::pin(stream::iter(payloads))))
    }

    async fn upload(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<UploadReply>, Status> {
        let Transferred { messages, bytes } = count(request.into_inner()).await?;
        Ok(Response::new(UploadReply { messages, bytes }))
    }

    async fn chat(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

async fn count(mut payloads: Streaming<Payload>) -> Result<Transferred, Status> {
    let mut transferred = Transferred::default();
    while let Some(message) = payloads.message().await? {
        transferred.add(message.payload.len());
    }
    Ok(transferred)
}

fn repeat(count: u64, payload: Bytes) -> impl Stream<Item = Payload> + Send + 'static {
    stream::iter((0..count).map(move |_| Payload { payload: payload.clone() }))
}

/// tonic.
#[derive(Debug)]
pub(crate) struct Tonic;

/// A connection of tonic's.
#[derive(Debug, Clone)]
pub(crate) struct TonicClient(BenchClient<Channel>);

impl System for Tonic {
    const NAME: &'static str = "tonic";
    type Client = TonicClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        let router = Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_concurrent_streams(STREAMS)
            .max_frame_size(FRAME)
            .add_service(BenchServer::new(Service(handler)));
        match listener {
            Listener::Unix(listener) => {
                router.serve_with_incoming(UnixListenerStream::new(listener)).await?;
            }
            Listener::Tcp(listener) => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                router.serve_with_incoming(incoming).await?;
            }
        }
        Err("the listener has ended".into())
    }

    async fn connect(endpoint: &Endpoint) -> Result<TonicClient, BoxError> {
        let to = match &endpoint.address {
            Address::Unix(path) => format!("unix:{}", path.display()),
            Address::Tcp(address) => format!("http://{address}"),
        };
        let channel = To::from_shared(to)?
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .connect()
            .await?;
        Ok(TonicClient(BenchClient::new(channel)))
    }

    spawn_on_runtime!();
}

impl Client for TonicClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        let response = self.0.clone().unary(Payload { payload }).await?;
        Ok(response.get_ref().payload.len())
    }

    async fn download(&self, number: u64, size: u32) -> Result<Transferred, BoxError> {
        let response = self.0.clone().download(DownloadRequest { count: number, size }).await?;
        Ok(count(response.into_inner()).await?)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let response = self.0.clone().upload(repeat(count, payload)).await?;
        let UploadReply { messages, bytes } = response.into_inner();
        Ok(Transferred { messages, bytes })
    }

    async fn chat(&self, number: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let response = self.0.clone().chat(repeat(number, payload)).await?;
        Ok(count(response.into_inner()).await?)
    }
}
