//! Cap'n Proto.
//!
//! - Both halves of a socket are
//!   [buffered](https://docs.rs/capnp-rpc/0.27/capnp_rpc/twoparty/struct.VatNetwork.html#method.new),
//!   and `TCP_NODELAY` is set, as its documentation has it.
//! - Streams are methods that return
//!   [`stream`](https://capnproto.org/news/2020-04-23-capnproto-0.8.html#multi-stream-flow-control),
//!   on an object of the receiver. Their window is 64 KiB by default, here 256 KiB
//!   ([`set_window_size`](https://docs.rs/capnp-rpc/0.27/capnp_rpc/twoparty/struct.VatNetwork.html#method.set_window_size)),
//!   which is better for 64 KiB messages; 1 MiB and more is worse for small ones.
//! - Messages are limited to 64 MiB, which is enough; calls in flight are not limited.
//! - A payload is copied into a message and out of it: that is how its builders work. The client
//!   does not copy what comes back.
//! - Its objects belong to one thread: on a multi-thread runtime it uses one of the threads.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use ::capnp::message::ReaderOptions;
use bowline_bench::load::Handler;
use bowline_bench::system::{BoxError, Client, Endpoint, Job, Ready, System, Transferred};
use bytes::Bytes;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use futures::AsyncReadExt as _;
use futures::io::{BufReader, BufWriter};
use tokio::task::{AbortHandle, spawn_local};
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use crate::generated::bench_capnp::{bench, sink};
use crate::sockets::{self, Listener, Socket};

const WINDOW: usize = 256 << 10;

type Result<T> = std::result::Result<T, ::capnp::Error>;

struct Service(Handler);

impl bench::Server for Service {
    async fn unary(
        self: Rc<Self>,
        params: bench::UnaryParams,
        mut results: bench::UnaryResults,
    ) -> Result<()> {
        self.0.wait().await;
        results.get().set_payload(params.get()?.get_payload()?);
        Ok(())
    }

    async fn download(
        self: Rc<Self>,
        params: bench::DownloadParams,
        _: bench::DownloadResults,
    ) -> Result<()> {
        let params = params.get()?;
        let payload = vec![0x5a; params.get_size() as usize];
        write(&params.get_sink()?, params.get_count(), &payload).await?;
        Ok(())
    }

    async fn upload(
        self: Rc<Self>,
        _: bench::UploadParams,
        mut results: bench::UploadResults,
    ) -> Result<()> {
        results.get().set_sink(new_client(Count::default()));
        Ok(())
    }

    async fn chat(
        self: Rc<Self>,
        params: bench::ChatParams,
        mut results: bench::ChatResults,
    ) -> Result<()> {
        results.get().set_sink(new_client(Echo(params.get()?.get_back()?)));
        Ok(())
    }
}

/// Counts what is written.
#[derive(Default)]
struct Count(Rc<Cell<Transferred>>);

impl sink::Server for Count {
    async fn write(self: Rc<Self>, params: sink::WriteParams) -> Result<()> {
        let mut transferred = self.0.get();
        transferred.add(params.get()?.get_payload()?.len());
        self.0.set(transferred);
        Ok(())
    }

    async fn end(self: Rc<Self>, _: sink::EndParams, mut results: sink::EndResults) -> Result<()> {
        let Transferred { messages, bytes } = self.0.get();
        results.get().set_messages(messages);
        results.get().set_bytes(bytes);
        Ok(())
    }
}

/// Writes what is written to another one.
struct Echo(sink::Client);

impl sink::Server for Echo {
    async fn write(self: Rc<Self>, params: sink::WriteParams) -> Result<()> {
        let mut request = self.0.write_request();
        request.get().set_payload(params.get()?.get_payload()?);
        request.send().await
    }

    async fn end(self: Rc<Self>, _: sink::EndParams, _: sink::EndResults) -> Result<()> {
        self.0.end_request().send().promise.await?;
        Ok(())
    }
}

/// Writes a payload again and again, and gives what has come to the other side.
async fn write(sink: &sink::Client, count: u64, payload: &[u8]) -> Result<Transferred> {
    for _ in 0..count {
        let mut request = sink.write_request();
        request.get().set_payload(payload);
        request.send().await?;
    }
    let reply = sink.end_request().send().promise.await?;
    let reply = reply.get()?;
    Ok(Transferred { messages: reply.get_messages(), bytes: reply.get_bytes() })
}

/// One side of a connection.
fn network(socket: Socket, side: Side) -> Box<VatNetwork<impl futures::AsyncRead + Unpin>> {
    let (reader, writer) = socket.compat().split();
    let (reader, writer) = (BufReader::new(reader), BufWriter::new(writer));
    let mut network = VatNetwork::new(reader, writer, side, ReaderOptions::new());
    network.set_window_size(WINDOW);
    Box::new(network)
}

/// Cap'n Proto.
#[derive(Debug)]
pub(crate) struct Capnp;

/// A connection of Cap'n Proto's.
#[derive(Clone)]
pub(crate) struct CapnpClient {
    bench: bench::Client,
    _connection: Rc<Connection>,
}

/// The task that drives a connection, and closes it with its end.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl System for Capnp {
    const NAME: &'static str = "capnp-rpc";
    type Client = CapnpClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> std::result::Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        let service: bench::Client = new_client(Service(handler));
        loop {
            let network = network(listener.accept().await?, Side::Server);
            spawn_local(RpcSystem::new(network, Some(service.client.clone())));
        }
    }

    async fn connect(endpoint: &Endpoint) -> std::result::Result<CapnpClient, BoxError> {
        let network = network(sockets::connect(&endpoint.address).await?, Side::Client);
        let mut system = RpcSystem::new(network, None);
        let bench = system.bootstrap(Side::Server);
        let connection = Connection(spawn_local(system).abort_handle());
        Ok(CapnpClient { bench, _connection: Rc::new(connection) })
    }

    fn spawn(job: Job<Self>) {
        spawn_local(job.run());
    }
}

impl Client for CapnpClient {
    async fn unary(&self, payload: Bytes) -> std::result::Result<usize, BoxError> {
        let mut request = self.bench.unary_request();
        request.get().set_payload(&payload);
        let reply = request.send().promise.await?;
        Ok(reply.get()?.get_payload()?.len())
    }

    async fn download(&self, count: u64, size: u32) -> std::result::Result<Transferred, BoxError> {
        let counted = Rc::new(Cell::new(Transferred::default()));
        let mut request = self.bench.download_request();
        request.get().set_count(count);
        request.get().set_size(size);
        request.get().set_sink(new_client(Count(Rc::clone(&counted))));
        request.send().promise.await?;
        Ok(counted.get())
    }

    async fn upload(
        &self,
        count: u64,
        payload: Bytes,
    ) -> std::result::Result<Transferred, BoxError> {
        let sink = self.bench.upload_request().send().pipeline.get_sink();
        Ok(write(&sink, count, &payload).await?)
    }

    async fn chat(&self, count: u64, payload: Bytes) -> std::result::Result<Transferred, BoxError> {
        let counted = Rc::new(Cell::new(Transferred::default()));
        let mut request = self.bench.chat_request();
        request.get().set_back(new_client(Count(Rc::clone(&counted))));
        let sink = request.send().pipeline.get_sink();
        write(&sink, count, &payload).await?;
        Ok(counted.get())
    }
}
