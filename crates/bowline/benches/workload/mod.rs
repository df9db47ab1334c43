//! Client and server on one thread as work to be measured, once for times and once for
//! instructions: each turn of the drivers, with all that is above and below.
//!
//! Each workload is [`OPERATIONS`] operations. A connection has been through them when it is
//! measured: it is in its stride.

use bowline::{
    BusyPoll, Channel, Handler, Method, MethodKind, Request, Response, Server, ServerCall, Service,
};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Calls, or messages of streams, of every workload.
pub(crate) const OPERATIONS: usize = ROUNDS * BATCH;

/// How often a workload is repeated: a driver reads the clock, so one round alone may be off.
const ROUNDS: usize = 16;
/// Calls that are made at once, and messages of one stream.
const BATCH: usize = 64;

/// What carries the bytes.
#[derive(Clone, Copy)]
pub(crate) enum Carrier {
    Memory,
    Unix,
}

impl Carrier {
    /// An address for this process alone, without a file.
    fn address(self) -> String {
        let scheme = match self {
            Self::Memory => "memory",
            Self::Unix => "unix-abstract",
        };
        format!("{scheme}:bowline-workload-{}", std::process::id())
    }
}

const UNARY: Method = Method::new("bowline.bench.v1.Bench/Unary", MethodKind::Unary);
const DOWNLOAD: Method =
    Method::new("bowline.bench.v1.Bench/Download", MethodKind::ServerStreaming);

/// Sends back what it gets: once, or [`BATCH`] times.
struct Echo;

impl Service for Echo {
    fn methods(&self) -> &'static [Method] {
        &[UNARY, DOWNLOAD]
    }

    fn call(&self, index: usize, call: ServerCall) -> Handler {
        if index == 0 {
            return call
                .unary(async |request: Request<Bytes>| Ok(Response::new(request.into_inner())));
        }
        call.server_streaming(async |request: Request<Bytes>, mut replies| {
            for _ in 0..BATCH {
                replies.send(request.message().clone()).await?;
            }
            Ok(())
        })
    }
}

/// A runtime of one thread, with a server on it and a channel to it.
pub(crate) struct Pair {
    runtime: Runtime,
    channel: Channel,
}

impl Pair {
    /// After the handshake, and after each workload with this payload. Without polling: how long that
    /// goes on depends on the clock, and so would the count.
    pub(crate) fn warm(carrier: Carrier, payload: &Bytes) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let address = carrier.address();
        let channel = runtime.block_on(async {
            let server = Server::builder().add_service(Echo).busy_poll(BusyPoll::Off);
            let server = server.listen(&address).await.expect("the address is free");
            tokio::spawn(server.serve());
            let client = Channel::builder(&address).expect("is one").busy_poll(BusyPoll::Off);
            client.connect().await.expect("the server listens")
        });
        let pair = Self { runtime, channel };
        unary(&pair, payload);
        unary_at_once(&pair, payload);
        stream(&pair, payload);
        pair
    }
}

async fn call(channel: Channel, payload: Bytes) {
    let length = payload.len();
    let reply: Response<Bytes> =
        channel.unary(&UNARY, Request::new(payload)).await.expect("a reply");
    assert_eq!(reply.message().len(), length);
}

/// Calls one after the other.
pub(crate) fn unary(pair: &Pair, payload: &Bytes) {
    pair.runtime.block_on(async {
        for _ in 0..OPERATIONS {
            call(pair.channel.clone(), payload.clone()).await;
        }
    });
}

/// Batches of calls, each call in a task of its own.
pub(crate) fn unary_at_once(pair: &Pair, payload: &Bytes) {
    pair.runtime.block_on(async {
        for _ in 0..ROUNDS {
            let mut calls = JoinSet::new();
            for _ in 0..BATCH {
                calls.spawn(call(pair.channel.clone(), payload.clone()));
            }
            calls.join_all().await;
        }
    });
}

/// Calls with a stream of messages from the server, one after the other.
pub(crate) fn stream(pair: &Pair, payload: &Bytes) {
    pair.runtime.block_on(async {
        for _ in 0..ROUNDS {
            let request = Request::new(payload.clone());
            let replies = pair.channel.server_streaming(&DOWNLOAD, request).await;
            let mut replies = replies.expect("the call opens");
            let mut count = 0;
            while let Some(message) = replies.message().await.expect("the stream goes on") {
                let message: Bytes = message;
                assert_eq!(message.len(), payload.len());
                count += 1;
            }
            assert_eq!(count, BATCH);
        }
    });
}
