//! ttrpc, its asynchronous half, with the code that
//! [`ttrpc-codegen`](https://docs.rs/ttrpc-codegen/0.7) generates.
//!
//! - `TCP_NODELAY` at both sides. Its own `tcp://` addresses do not set it, so sockets are made here
//!   and handed to
//!   [`Socket::new`](https://docs.rs/ttrpc/0.10/ttrpc/asynchronous/transport/struct.Socket.html#method.new).
//! - Payloads are [`Bytes`] (`tokio_bytes`).
//! - Messages are limited to 4 MiB, which is enough; calls in flight and streams are not limited.
//! - There is nothing else that can be set.
//!
//! A message of a stream is sent when the one before it has been written to the socket: `send` waits
//! for that. The header and the content of a message are read apart, from the socket itself. A
//! buffered reader around it would save a third of the processor time of 64 calls in flight; nothing
//! says that users should do that, and so it is not done here.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use ::ttrpc::r#async::transport::{Listener as Incoming, Socket};
use ::ttrpc::r#async::{
    Client as Connection, Server, ServerStream, ServerStreamReceiver, ServerStreamSender,
    TtrpcContext,
};
use ::ttrpc::context::Context;
use bowline_bench::load::Handler;
use bowline_bench::spawn_on_runtime;
use bowline_bench::system::{BoxError, Client, Endpoint, Ready, System, Transferred};
use bytes::Bytes;
use futures::{future, stream};

use crate::generated::ttrpc::bench::{DownloadRequest, Payload, UploadReply};
use crate::generated::ttrpc::bench_ttrpc::{Bench, BenchClient, create_bench};
use crate::sockets::{self, Listener};

struct Service(Handler);

#[async_trait::async_trait]
impl Bench for Service {
    async fn unary(&self, _: &TtrpcContext, request: Payload) -> ::ttrpc::Result<Payload> {
        self.0.wait().await;
        Ok(request)
    }

    async fn download(
        &self,
        _: &TtrpcContext,
        request: DownloadRequest,
        payloads: ServerStreamSender<Payload>,
    ) -> ::ttrpc::Result<()> {
        let message = message(vec![0x5a; request.size as usize].into());
        for _ in 0..request.count {
            payloads.send(&message).await?;
        }
        Ok(())
    }

    async fn upload(
        &self,
        _: &TtrpcContext,
        mut payloads: ServerStreamReceiver<Payload>,
    ) -> ::ttrpc::Result<UploadReply> {
        let mut reply = UploadReply::new();
        while let Some(message) = payloads.recv().await? {
            reply.messages += 1;
            reply.bytes += message.payload.len() as u64;
        }
        Ok(reply)
    }

    async fn chat(
        &self,
        _: &TtrpcContext,
        mut payloads: ServerStream<Payload, Payload>,
    ) -> ::ttrpc::Result<()> {
        while let Some(message) = payloads.recv().await? {
            payloads.send(&message).await?;
        }
        Ok(())
    }
}

fn message(payload: Bytes) -> Payload {
    Payload { payload, ..Default::default() }
}

/// ttrpc.
#[derive(Debug)]
pub(crate) struct Ttrpc;

/// A connection of ttrpc's.
#[derive(Clone)]
pub(crate) struct TtrpcClient(BenchClient);

impl System for Ttrpc {
    const NAME: &'static str = "ttrpc";
    type Client = TtrpcClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        let incoming = stream::unfold(listener, async |listener: Listener| {
            Some((listener.accept().await, listener))
        });
        let mut server = Server::new()
            .add_listener(Incoming::new(incoming))
            .register_service(create_bench(Arc::new(Service(handler))));
        server.start().await?;
        pending().await
    }

    async fn connect(endpoint: &Endpoint) -> Result<TtrpcClient, BoxError> {
        let socket = Socket::new(sockets::connect(&endpoint.address).await?);
        Ok(TtrpcClient(BenchClient::new(Connection::new(socket))))
    }

    spawn_on_runtime!();
}

impl Client for TtrpcClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        Ok(self.0.unary(Context::default(), &message(payload)).await?.payload.len())
    }

    async fn download(&self, count: u64, size: u32) -> Result<Transferred, BoxError> {
        let request = DownloadRequest { count, size, ..Default::default() };
        let mut payloads = self.0.download(Context::default(), &request).await?;
        let mut transferred = Transferred::default();
        while let Some(message) = payloads.recv().await? {
            transferred.add(message.payload.len());
        }
        Ok(transferred)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let mut payloads = self.0.upload(Context::default()).await?;
        let message = message(payload);
        for _ in 0..count {
            payloads.send(&message).await?;
        }
        let reply = payloads.close_and_recv().await?;
        Ok(Transferred { messages: reply.messages, bytes: reply.bytes })
    }

    async fn chat(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (requests, mut responses) = self.0.chat(Context::default()).await?.split();
        let message = message(payload);
        let send = async {
            for _ in 0..count {
                requests.send(&message).await?;
            }
            requests.close_send().await
        };
        let receive = async {
            let mut transferred = Transferred::default();
            loop {
                match responses.recv().await {
                    Ok(message) => transferred.add(message.payload.len()),
                    Err(::ttrpc::Error::Eof) => return Ok(transferred),
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(future::try_join(send, receive).await?.1)
    }
}
