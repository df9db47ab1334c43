//! Bowline without a runtime: a thread for each call at the client, and what `bowline::blocking` has
//! at the server.

use std::convert::Infallible;
use std::thread;

use ::bowline::blocking::{Channel, Sender, Server, Streaming};
use ::bowline::{Request, Response, Status};
use bytes::Bytes;

use super::CONNECTIONS_MAX;
use super::v1::bench_blocking_client::BenchClient;
use super::v1::bench_blocking_server::{Bench, BenchServer};
use super::v1::{DownloadRequest, Payload, UploadReply};
use crate::compare::Transport;
use crate::load::{Handler, Load, Work};
use crate::system::{BoxError, Client, Endpoint, Job, Ready, System, Transferred, spawn_thread};

struct Service(Handler);

impl Bench for Service {
    fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        self.0.block();
        Ok(Response::new(request.into_inner()))
    }

    fn download(
        &self,
        request: Request<DownloadRequest>,
        replies: Sender<Payload>,
    ) -> Result<(), Status> {
        let DownloadRequest { count, size } = request.into_inner();
        send(replies, count, &Bytes::from(vec![0x5a; size as usize]))
    }

    fn upload(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<UploadReply>, Status> {
        let Transferred { messages, bytes } = receive(request.into_inner())?;
        Ok(Response::new(UploadReply { messages, bytes }))
    }

    fn chat(
        &self,
        request: Request<Streaming<Payload>>,
        mut replies: Sender<Payload>,
    ) -> Result<(), Status> {
        for message in request.into_inner() {
            replies.send(message?)?;
        }
        Ok(())
    }
}

fn receive(messages: Streaming<Payload>) -> Result<Transferred, Status> {
    let mut received = Transferred::default();
    for message in messages {
        received.add(message?.payload.len());
    }
    Ok(received)
}

fn send(mut sender: Sender<Payload>, count: u64, payload: &Bytes) -> Result<(), Status> {
    for _ in 0..count {
        sender.feed(Payload { payload: payload.clone() })?;
    }
    sender.finish();
    Ok(())
}

/// Bowline without a runtime.
#[derive(Debug)]
pub struct BowlineBlocking;

/// A connection of its.
#[derive(Debug, Clone)]
pub struct BowlineBlockingClient {
    channel: Channel,
    stub: BenchClient,
}

impl System for BowlineBlocking {
    const NAME: &'static str = "bowline-blocking";
    const BLOCKING: bool = true;
    type Client = BowlineBlockingClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let server = Server::builder()
            .add_service(BenchServer::new(Service(handler)))
            .connections_max(CONNECTIONS_MAX)
            .listen(&endpoint.address.to_string())?;
        ready.at(super::listening(server.addresses(), endpoint.address)?);
        server.serve()?;
        Err("the server has ended".into())
    }

    async fn connect(endpoint: &Endpoint) -> Result<BowlineBlockingClient, BoxError> {
        let channel = Channel::connect(&endpoint.address.to_string())?;
        Ok(BowlineBlockingClient { stub: BenchClient::new(channel.clone()), channel })
    }

    fn spawn(job: Job<Self>) {
        spawn_thread(job.run());
    }

    fn unsupported(load: &Load, _: Transport) -> Option<&'static str> {
        matches!(load.work, Work::Idle { .. }).then_some("a thread for each connection")
    }
}

impl Client for BowlineBlockingClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        Ok(self.stub.unary(Payload { payload })?.message().payload.len())
    }

    async fn download(&self, count: u64, size: u32) -> Result<Transferred, BoxError> {
        Ok(receive(self.stub.download(DownloadRequest { count, size })?)?)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (sender, reply) = self.stub.upload(())?;
        // When the call has ended, the reply says why.
        let _ = send(sender, count, &payload);
        let UploadReply { messages, bytes } = reply.wait()?.into_inner();
        Ok(Transferred { messages, bytes })
    }

    async fn chat(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (sender, messages) = self.stub.chat(())?;
        thread::scope(|scope| {
            scope.spawn(|| send(sender, count, &payload));
            Ok(receive(messages)?)
        })
    }

    async fn close(self) -> Result<(), BoxError> {
        drop(self.stub);
        self.channel.close();
        Ok(())
    }
}
