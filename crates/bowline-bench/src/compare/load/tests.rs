//! Loads against servers that answer well, wrongly, and not at all.

use std::slice;

use bowline::{Response, Sender, Server, Status, Streaming};

use super::*;
use crate::demo;
use crate::demo::v1::echo_server::{Echo, EchoServer};
use crate::demo::v1::{Chunk, DownloadRequest, EchoReply, UploadReply};

#[test]
fn contents_differ_by_worker_and_by_call() {
    let (mut one, two) = (Content::new(64, 1), Content::new(64, 2));
    assert_ne!(one.bytes[8..], two.bytes[8..]);
    let mut copy = one.bytes.clone();
    one.stamp(&mut copy);
    assert_eq!(one.bytes, copy);
    let first = copy.clone();
    one.stamp(&mut copy);
    assert_ne!(first, copy);
    Content::new(0, 1).stamp(&mut []);
}

#[test]
fn tallies_add_up() {
    let (mut sum, mut one) = (Tally::new(), Tally::new());
    one.record(Duration::from_micros(5));
    one.record(Duration::from_secs(3600));
    one.fail("first");
    one.fail("second");
    sum.add(&one);
    sum.add(&one);
    assert_eq!((sum.calls, sum.errors), (4, 4));
    assert_eq!(sum.first_error.as_deref(), Some("first"));
    assert_eq!(sum.latencies.len(), 4);
}

/// Answers with one bit that is wrong, where it is hardest to see.
struct Liar;

impl Echo for Liar {
    async fn unary(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        let mut payload = request.into_inner().payload;
        flip(&mut payload);
        Ok(Response::new(EchoReply { payload }))
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
        mut replies: Sender<Chunk>,
    ) -> Result<(), Status> {
        let DownloadRequest { count, size, .. } = request.into_inner();
        for sequence in 0..count {
            let mut payload: Vec<u8> =
                (0..u64::from(size)).map(|i| ((sequence + i) % 251) as u8).collect();
            flip(&mut payload);
            replies.send(Chunk { sequence, payload }).await?;
        }
        Ok(())
    }

    async fn upload(
        &self,
        request: Request<Streaming<Chunk>>,
    ) -> Result<Response<UploadReply>, Status> {
        let mut reply = UploadReply { checksum: 1, ..Default::default() };
        let mut chunks = request.into_inner();
        while let Some(chunk) = chunks.message().await? {
            reply.messages += 1;
            reply.bytes += chunk.payload.len() as u64;
            reply.checksum += demo::checksum(&chunk.payload);
        }
        Ok(Response::new(reply))
    }

    async fn chat(
        &self,
        request: Request<Streaming<Chunk>>,
        mut replies: Sender<Chunk>,
    ) -> Result<(), Status> {
        let mut chunks = request.into_inner();
        while let Some(mut chunk) = chunks.message().await? {
            flip(&mut chunk.payload);
            replies.send(chunk).await?;
        }
        Ok(())
    }
}

fn flip(payload: &mut [u8]) {
    *payload.last_mut().unwrap() ^= 1;
}

async fn measure<T: Echo>(name: &str, service: T, kind: Kind) -> Tally {
    let address = format!("memory:load-{name}-{}", kind.name());
    let server =
        Server::builder().add_service(EchoServer::new(service)).listen(&address).await.unwrap();
    let serving = tokio::spawn(server.serve());
    let channel = Channel::connect(&address).await.unwrap();
    let mut duration = Duration::from_millis(3);
    loop {
        let (tally, elapsed) =
            run(Load::new(kind, 100, 2), slice::from_ref(&channel), duration).await;
        assert!(elapsed >= duration, "{elapsed:?}");
        // On a busy machine, a moment may be too short for a call.
        if tally.calls + tally.errors > 0 || duration > Duration::from_secs(10) {
            serving.abort();
            return tally;
        }
        duration *= 4;
    }
}

#[tokio::test]
async fn right_answers_are_counted_as_calls() {
    for kind in Kind::ALL {
        let tally = measure("echo", demo::EchoService, kind).await;
        assert!(tally.calls > 0 && tally.errors == 0, "{kind:?}: {:?}", tally.first_error);
        assert_eq!(tally.latencies.len(), tally.calls);
    }
}

#[tokio::test]
async fn wrong_answers_are_counted_as_errors() {
    for kind in Kind::ALL {
        let tally = measure("liar", Liar, kind).await;
        assert!(tally.errors > 0 && tally.first_error.is_some(), "{kind:?}");
        // What an upload amounts to is known at its end only.
        assert!(tally.calls == 0 || kind == Kind::ClientStream, "{kind:?}: {}", tally.calls);
    }
}

#[tokio::test]
async fn a_lost_connection_is_counted_and_ends() {
    for kind in Kind::ALL {
        let address = format!("memory:load-lost-{}", kind.name());
        let server = Server::builder().add_service(demo::service()).listen(&address).await.unwrap();
        let serving = tokio::spawn(server.serve());
        let channel = Channel::connect(&address).await.unwrap();
        channel.ready().await.unwrap();
        serving.abort();
        assert!(serving.await.is_err());
        let (tally, _) = run(Load::new(kind, 100, 2), &[channel], Duration::from_millis(5)).await;
        assert!(tally.errors > 0, "{kind:?}");
    }
}
