//! connectrpc.
//!
//! - The Connect protocol, its default. With gRPC's, calls of 64 B took the same processor
//!   time, calls of 64 KiB less, and calls of 1 MiB more.
//! - A hyper connection for each accepted socket: its own server listens on TCP only, and
//!   [its guide](https://github.com/connectrpc/connect-rust/blob/main/docs/guide.md) has this for
//!   what that server cannot do. HTTP/2 only, so that nothing looks for its version.
//! - `TCP_NODELAY` at both sides.
//! - HTTP/2's streams and frames are those of [`tonic`](crate::tonic), and so is the window of a
//!   stream, for the same reasons. That of a connection is 16 MiB: each message of a stream goes in a
//!   frame of its own, and the h2 library allows so many small frames that have not been read as half
//!   of this window is large, and then ends the connection (“too_many_data_frames”). With 2 MiB a
//!   stream of 64 B messages cannot be sent at full speed.
//! - The client is a connection that is
//!   [shared](https://docs.rs/connectrpc/0.9/connectrpc/client/struct.Http2Connection.html#method.shared),
//!   with the buffer that is recommended there.
//! - The server dispatches by the generated `match` and not by a table of trait objects.
//! - Neither compression nor JSON are compiled in: nothing is negotiated.
//! - Payloads are [`Bytes`], and what the server sends are views of buffers, which are
//!   [not copied](https://github.com/connectrpc/connect-rust/blob/main/docs/guide.md#returning-a-view-body).
//! - Messages are limited to 4 MiB, which is enough.

use std::convert::Infallible;
use std::sync::Arc;

use ::connectrpc::client::{ClientConfig, Http2Connection, SharedHttp2Connection};
use ::connectrpc::{
    ConnectError, ConnectRpcService, InboundStream, RequestContext, Response, ServiceRequest,
    ServiceResult, ServiceStream, StreamMessage, stream_iter,
};
use bowline_bench::load::Handler;
use bowline_bench::spawn_on_runtime;
use bowline_bench::system::{Address, BoxError, Client, Endpoint, Ready, System, Transferred};
use bytes::Bytes;
use futures::{StreamExt as _, future};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;

use crate::generated::connectrpc::bowline::bench::v1::{
    Bench, BenchClient, BenchServer, DownloadRequest, OwnedPayloadView, Payload, UploadReply,
};
use crate::sockets::Listener;
use crate::tonic::{FRAME, STREAMS, WINDOW};

const CONNECTION_WINDOW: u32 = 16 << 20;

struct Service(Handler);

#[allow(refining_impl_trait, reason = "its documentation has handlers name what they return")]
impl Bench for Service {
    async fn unary(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, Payload>,
    ) -> ServiceResult<OwnedPayloadView> {
        self.0.wait().await;
        Response::ok(request.to_owned_view())
    }

    async fn download(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, DownloadRequest>,
    ) -> ServiceResult<ServiceStream<OwnedPayloadView>> {
        let payload = message(vec![0x5a; request.size as usize].into());
        let view = OwnedPayloadView::from_owned(&payload)
            .map_err(|error| ConnectError::internal(error.to_string()))?;
        Response::stream_ok(stream_iter((0..request.count).map(move |_| Ok(view.clone()))))
    }

    async fn upload(
        &self,
        _: RequestContext,
        mut requests: InboundStream<Payload>,
    ) -> ServiceResult<UploadReply> {
        let mut reply = UploadReply::default();
        while let Some(message) = requests.next().await {
            reply.messages += 1;
            reply.bytes += message?.payload().len() as u64;
        }
        Response::ok(reply)
    }

    async fn chat(
        &self,
        _: RequestContext,
        requests: InboundStream<Payload>,
    ) -> ServiceResult<ServiceStream<StreamMessage<Payload>>> {
        Response::stream_ok(requests)
    }
}

fn message(payload: Bytes) -> Payload {
    Payload { payload, ..Default::default() }
}

/// connectrpc.
#[derive(Debug)]
pub(crate) struct Connectrpc;

/// A connection of connectrpc's.
#[derive(Clone)]
pub(crate) struct ConnectrpcClient(Arc<BenchClient<SharedHttp2Connection>>);

impl System for Connectrpc {
    const NAME: &'static str = "connectrpc";
    type Client = ConnectrpcClient;

    async fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> Result<Infallible, BoxError> {
        let (listener, address) = Listener::bind(&endpoint.address).await?;
        ready.at(address);
        let service = ConnectRpcService::new(BenchServer::new(Service(handler)));
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(STREAMS)
            .max_frame_size(FRAME);
        loop {
            let socket = TokioIo::new(listener.accept().await?);
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(http.serve_connection(socket, service));
        }
    }

    async fn connect(endpoint: &Endpoint) -> Result<ConnectrpcClient, BoxError> {
        let http = Http2Connection::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .h2_settings(|http| {
                http.max_frame_size(FRAME);
            });
        let (http, uri) = match &endpoint.address {
            Address::Unix(path) => {
                let uri = hyper::Uri::from_static("http://localhost");
                (http.connect_unix(path, uri.clone()).await?, uri)
            }
            Address::Tcp(address) => {
                let uri: hyper::Uri = format!("http://{address}").parse()?;
                (http.connect_plaintext(uri.clone()).await?, uri)
            }
        };
        let client = BenchClient::new(http.shared(STREAMS as usize), ClientConfig::new(uri));
        Ok(ConnectrpcClient(Arc::new(client)))
    }

    spawn_on_runtime!();
}

impl Client for ConnectrpcClient {
    async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
        let response = self.0.unary(message(payload)).await?;
        Ok(response.view().payload.len())
    }

    async fn download(&self, count: u64, size: u32) -> Result<Transferred, BoxError> {
        let request = DownloadRequest { count, size, ..Default::default() };
        let mut payloads = self.0.download(request).await?;
        let mut transferred = Transferred::default();
        while let Some(message) = payloads.message().await? {
            transferred.add(message.payload().len());
        }
        Ok(transferred)
    }

    async fn upload(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let payloads = (0..count).map(move |_| message(payload.clone()));
        let response = self.0.upload(stream_iter(payloads)).await?;
        let reply = response.view();
        Ok(Transferred { messages: reply.messages, bytes: reply.bytes })
    }

    async fn chat(&self, count: u64, payload: Bytes) -> Result<Transferred, BoxError> {
        let (mut requests, mut responses) = self.0.chat().await?.into_split();
        let send = async move {
            for _ in 0..count {
                requests.send(message(payload.clone())).await?;
            }
            requests.close_send();
            Ok::<_, ConnectError>(())
        };
        let receive = async {
            let mut transferred = Transferred::default();
            while let Some(message) = responses.message().await? {
                transferred.add(message.payload().len());
            }
            Ok(transferred)
        };
        Ok(future::try_join(send, receive).await?.1)
    }
}
