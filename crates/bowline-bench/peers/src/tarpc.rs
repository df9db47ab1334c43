//! tarpc, with the codec and the server loop of its own examples
//! (<https://github.com/google/tarpc/tree/master/tarpc/examples>).
//!
//! - bincode, which is the faster one of the two codecs that it brings; payloads are
//!   [`Bytes`], which go through it as one piece and not as a sequence of numbers.
//! - `max_in_flight_requests` is 1,000 by default and enough. The buffers between callers, handlers
//!   and the task of the connection hold 100 by default, and
//!   [“too low value may decrease throughput”](https://docs.rs/tarpc/0.38/tarpc/client/struct.Config.html):
//!   they hold as many calls as a load has in flight.
//! - Frames are limited to 8 MiB by default, which is enough.
//! - A task for each call at the server, as `spawn_incoming` does it.
//! - Calls have the deadline that `context::current()` gives: ten seconds.
//! - No subscriber of `tracing`: spans cost what they cost when nobody looks.

use std::convert::Infallible;

use ::tarpc::client;
use ::tarpc::context::{self, Context};
use ::tarpc::serde_transport;
use ::tarpc::server::{self, Channel as _};
use ::tarpc::tokio_serde::formats::Bincode;
use bowline_bench::compare::Transport;
use bowline_bench::load::{Handler, Load, Work};
use bowline_bench::spawn_on_runtime;
use bowline_bench::system::{BoxError, Client, Endpoint, Ready, System};
use bytes::Bytes;
use futures::StreamExt as _;

use crate::sockets::{self, Listener, Socket};

/// More than any load has in flight.
const BUFFERED: usize = 1024;

/// Its only kind of method.
#[::tarpc::service]
trait Bench {
    /// Answers with the payload of the request.
    async fn unary(payload: Bytes) -> Bytes;
}

type Connection<Item, SinkItem> =
    serde_transport::Transport<Socket, Item, SinkItem, Bincode<Item, SinkItem>>;

#[derive(Clone)]
struct Service(Handler);

impl Bench for Service {
    async fn unary(self, _: Context, payload: Bytes) -> Bytes {
        self.0.wait().await;
        payload
    }
}

/// tarpc.
#[derive(Debug)]
pub(crate) struct Tarpc;

/// A connection of tarpc's.
#[derive(Debug, Clone)]
pub(crate) struct TarpcClient(BenchClient);

impl System for Tarpc {
    const NAME: &'static str = "tarpc";
    type Client = TarpcClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        loop {
            tokio::spawn(answer(listener.accept().await?, Service(handler)));
        }
    }

    async fn connect(endpoint: &Endpoint) -> Result<TarpcClient, BoxError> {
        let socket = sockets::connect(&endpoint.address).await?;
        let mut config = client::Config::default();
        config.pending_request_buffer = BUFFERED;
        Ok(TarpcClient(BenchClient::new(config, transport(socket)).spawn()))
    }

    spawn_on_runtime!();

    fn unsupported(load: &Load, _: Transport) -> Option<&'static str> {
        matches!(load.work, Work::Stream { .. }).then_some("no streams")
    }
}

/// A socket that carries messages.
fn transport<Item, SinkItem>(socket: Socket) -> Connection<Item, SinkItem>
where
    Item: for<'de> ::tarpc::serde::Deserialize<'de>,
    SinkItem: ::tarpc::serde::Serialize,
{
    (socket, Bincode::default()).into()
}

async fn answer(socket: Socket, service: Service) {
    let config = server::Config { pending_response_buffer: BUFFERED };
    let calls = config.channel(transport(socket)).execute(service.serve());
    calls.for_each(async |call| drop(tokio::spawn(call))).await;
}

impl Client for TarpcClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        Ok(self.0.unary(context::current(), payload).await?.len())
    }
}
