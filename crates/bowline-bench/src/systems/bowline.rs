//! Bowline as anybody would use it: generated code, and the limits and guarantees that are on when
//! nothing is said.

use std::convert::Infallible;

use ::bowline::{BusyPoll, Channel, Request, Response, Sender, Server, Status, Streaming};
use bytes::Bytes;

use super::v1::bench_client::BenchClient;
use super::v1::bench_server::{Bench, BenchServer};
use super::v1::{DownloadRequest, Payload, UploadReply};
use super::{CONNECTIONS_MAX, busy_poll};
use crate::load::Handler;
use crate::spawn_on_runtime;
use crate::system::{BoxError, Client, Endpoint, Ready, System, Transferred};

struct Service(Handler);

impl Bench for Service {
    async fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        self.0.wait().await;
        Ok(Response::new(request.into_inner()))
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
        mut replies: Sender<Payload>,
    ) -> Result<(), Status> {
        let DownloadRequest { count, size } = request.into_inner();
        let payload = Bytes::from(vec![0x5a; size as usize]);
        for _ in 0..count {
            replies.send(Payload { payload: payload.clone() }).await?;
        }
        Ok(())
    }

    async fn upload(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<UploadReply>, Status> {
        let Transferred { messages, bytes } = receive(request.into_inner()).await?;
        Ok(Response::new(UploadReply { messages, bytes }))
    }

    async fn chat(
        &self,
        request: Request<Streaming<Payload>>,
        mut replies: Sender<Payload>,
    ) -> Result<(), Status> {
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            replies.send(message).await?;
        }
        Ok(())
    }
}

async fn receive(mut messages: Streaming<Payload>) -> Result<Transferred, Status> {
    let mut received = Transferred::default();
    while let Some(message) = messages.message().await? {
        received.add(message.payload.len());
    }
    Ok(received)
}

async fn send(mut sender: Sender<Payload>, count: u64, payload: Bytes) {
    for _ in 0..count {
        // When the call has ended, the other half says why.
        if sender.send(Payload { payload: payload.clone() }).await.is_err() {
            return;
        }
    }
    sender.finish();
}

/// Bowline.
#[derive(Debug)]
pub struct Bowline;

/// A connection of Bowline's.
#[derive(Debug, Clone)]
pub struct BowlineClient {
    channel: Channel,
    stub: BenchClient,
}

impl System for Bowline {
    const NAME: &'static str = "bowline";
    type Client = BowlineClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let busy_poll = busy_poll(&endpoint)?;
        serve(endpoint, handler, busy_poll, ready).await
    }

    async fn connect(endpoint: &Endpoint) -> Result<BowlineClient, BoxError> {
        connect(endpoint, busy_poll(endpoint)?).await
    }

    spawn_on_runtime!();
}

/// Bowline that never polls: where the threads sleep as soon as there is nothing to do.
#[derive(Debug)]
pub struct BowlineNoPoll;

impl System for BowlineNoPoll {
    const NAME: &'static str = "bowline-no-poll";
    type Client = BowlineClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        serve(endpoint, handler, BusyPoll::Off, ready).await
    }

    async fn connect(endpoint: &Endpoint) -> Result<BowlineClient, BoxError> {
        connect(endpoint, BusyPoll::Off).await
    }

    spawn_on_runtime!();
}

async fn serve(
    endpoint: Endpoint,
    handler: Handler,
    busy_poll: BusyPoll,
    ready: Ready,
) -> Result<Infallible, BoxError> {
    let server = Server::builder()
        .add_service(BenchServer::new(Service(handler)))
        .connections_max(CONNECTIONS_MAX)
        .busy_poll(busy_poll)
        .listen(&endpoint.address.to_string())
        .await?;
    ready.at(super::listening(server.addresses(), endpoint.address)?);
    server.serve().await;
    Err("the server has ended".into())
}

async fn connect(endpoint: &Endpoint, busy_poll: BusyPoll) -> Result<BowlineClient, BoxError> {
    let channel = Channel::builder(&endpoint.address.to_string())?;
    let channel = channel.busy_poll(busy_poll).connect().await?;
    Ok(BowlineClient { stub: BenchClient::new(channel.clone()), channel })
}

impl Client for BowlineClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        Ok(self.stub.unary(Payload { payload }).await?.message().payload.len())
    }

    async fn download(&self, count: u64, size: u32) -> Result<Transferred, BoxError> {
        Ok(receive(self.stub.download(DownloadRequest { count, size }).await?).await?)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (sender, reply) = self.stub.upload(()).await?;
        send(sender, count, payload).await;
        let UploadReply { messages, bytes } = reply.await?.into_inner();
        Ok(Transferred { messages, bytes })
    }

    async fn chat(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (sender, messages) = self.stub.chat(()).await?;
        let (received, ()) = tokio::join!(receive(messages), send(sender, count, payload));
        Ok(received?)
    }

    async fn close(self) -> Result<(), BoxError> {
        drop(self.stub);
        self.channel.close().await;
        Ok(())
    }
}
