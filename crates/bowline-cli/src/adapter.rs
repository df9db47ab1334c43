//! This program as an adapter of the conformance kit: `bowline::Channel`, driven by commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline::tcp::TcpConnector;
use bowline::transport::memory::MemoryConnector;
use bowline::transport::{AddressKind, Fault, TransportError};
use bowline::unix::UnixConnector;
use bowline::{
    Address, Channel, ChannelBuilder, Error, Limits, Method, Request, Response, Sender, Status,
    Streaming,
};
use bowline_bench::demo::v1::echo_methods;
use bowline_conformance::commands::command::Kind;
use bowline_conformance::commands::{self, Call, Connect, Result as Outcome};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use self::raw::Raw;
use crate::limits;

mod raw;

/// A connection, once it is there: calls may be asked for before.
type Connection = watch::Receiver<Option<Result<Channel, Status>>>;

/// The connections of one adapter, by the kit's numbers.
#[derive(Debug, Clone, Default)]
struct Connections(Arc<Mutex<HashMap<u64, Connection>>>);

/// Does what the kit asks for until its commands end.
pub(crate) async fn serve(
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> std::io::Result<()> {
    let connections = Connections::default();
    bowline_conformance::adapter::serve(input, output, move |command| {
        let work = connections.begin(command);
        async move { work.run().await }
    })
    .await
}

/// A command that has found its connection, in the order in which commands came.
enum Work {
    Connect(Connect, watch::Sender<Option<Result<Channel, Status>>>),
    Call(Call, Option<Connection>),
    Close(Option<Connection>),
}

impl Connections {
    fn begin(&self, command: Kind) -> Work {
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match command {
            Kind::Connect(connect) => {
                let (sender, receiver) = watch::channel(None);
                connections.insert(connect.connection, receiver);
                Work::Connect(connect, sender)
            }
            Kind::Call(call) => {
                let connection = connections.get(&call.connection).cloned();
                Work::Call(call, connection)
            }
            Kind::Close(close) => Work::Close(connections.remove(&close.connection)),
        }
    }
}

impl Work {
    async fn run(self) -> Outcome {
        match self {
            Self::Connect(command, sender) => {
                let connected = connect(&command).await.map_err(|error| match error {
                    Error::Transport(error) => Status::unavailable(error.to_string()),
                    error => Status::internal(error.to_string()),
                });
                let outcome = outcome(connected.as_ref().err().cloned(), Vec::new());
                // Nobody may have a call for it.
                let _ = sender.send(Some(connected));
                outcome
            }
            Self::Call(call, connection) => match ready(connection).await {
                Ok(channel) => make_call(&channel, call).await,
                Err(status) => outcome(Some(status), Vec::new()),
            },
            Self::Close(connection) => {
                if let Ok(channel) = ready(connection).await {
                    tokio::spawn(channel.close());
                }
                Outcome::default()
            }
        }
    }
}

async fn ready(connection: Option<Connection>) -> Result<Channel, Status> {
    let Some(mut connection) = connection else {
        return Err(Status::invalid_argument("there is no such connection"));
    };
    let connected = connection.wait_for(Option::is_some).await;
    let connected = connected.map_err(|_| Status::internal("the connection was not made"))?;
    connected.clone().unwrap_or_else(|| Err(Status::internal("the connection was not made")))
}

async fn connect(command: &Connect) -> Result<Channel, Error> {
    let address: Address = command.address.parse().map_err(Error::from)?;
    let mut limits = Limits::connecting();
    if command.timeout_ms > 0 {
        limits::set_timeouts(&mut limits, Duration::from_millis(command.timeout_ms.into()));
    }
    builder(&address)?.limits(limits).connect().await
}

fn builder(address: &Address) -> Result<ChannelBuilder, TransportError> {
    Ok(match address.kind() {
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            Channel::with_connector(UnixConnector::new(address)?)
        }
        AddressKind::Tcp { .. } => Channel::with_connector(TcpConnector::new(address)?),
        AddressKind::Memory(_) => Channel::with_connector(MemoryConnector::new(address)?),
        _ => return Err(TransportError::connect(address, Fault::unsupported(address))),
    })
}

async fn make_call(channel: &Channel, call: Call) -> Outcome {
    let mut messages = Vec::new();
    let status = called(channel, call, &mut messages).await.err();
    outcome(status, messages)
}

async fn called(channel: &Channel, call: Call, got: &mut Vec<Raw>) -> Result<(), Status> {
    let method = method(&call.method)?;
    let timeout =
        if call.timeout_us == 0 { Duration::MAX } else { Duration::from_micros(call.timeout_us) };
    let mut sent = call.messages.iter().cloned().map(Raw);
    match call.kind() {
        commands::Kind::Unary => {
            let request = Request::new(sent.next().unwrap_or_default()).with_timeout(timeout);
            let calling = channel.unary(method, request);
            let response = if call.cancel { given_up(calling).await? } else { calling.await? };
            got.push(response.into_inner());
            Ok(())
        }
        commands::Kind::ServerStreaming => {
            let request = Request::new(sent.next().unwrap_or_default()).with_timeout(timeout);
            let streaming = channel.server_streaming(method, request).await?;
            receive(streaming, &call, got).await
        }
        commands::Kind::ClientStreaming => {
            let request = Request::new(()).with_timeout(timeout);
            let (sender, reply) = channel.client_streaming(method, request).await?;
            let _open = send(sender, sent, &call).await?;
            let response: Response<Raw> = reply.await?;
            got.push(response.into_inner());
            Ok(())
        }
        commands::Kind::BidiStreaming => {
            let request = Request::new(()).with_timeout(timeout);
            let (sender, streaming) = channel.bidi_streaming(method, request).await?;
            let _open = send(sender, sent, &call).await?;
            receive(streaming, &call, got).await
        }
    }
}

/// Sends the caller's messages; a sender that goes on is to be kept.
async fn send(
    mut sender: Sender<Raw>,
    messages: impl Iterator<Item = Raw>,
    call: &Call,
) -> Result<Option<Sender<Raw>>, Status> {
    for message in messages {
        sender.send(message).await?;
    }
    if call.cancel {
        return Err(given_up_status());
    }
    if call.open {
        return Ok(Some(sender));
    }
    sender.finish();
    Ok(None)
}

fn given_up_status() -> Status {
    Status::cancelled("the kit asked for it")
}

/// Polls a call once, so that it is made, and drops it.
async fn given_up<T>(calling: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let mut calling = std::pin::pin!(calling);
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(calling.as_mut().poll(cx))).await;
    match first {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => Err(given_up_status()),
    }
}

async fn receive(
    mut streaming: Streaming<Raw>,
    call: &Call,
    got: &mut Vec<Raw>,
) -> Result<(), Status> {
    if call.cancel {
        return Err(given_up_status());
    }
    while let Some(message) = streaming.message().await? {
        got.push(message);
        if got.len() == call.cancel_after as usize {
            return Err(given_up_status());
        }
    }
    Ok(())
}

fn method(name: &str) -> Result<&'static Method, Status> {
    match name.strip_prefix("bowline.demo.v1.Echo/") {
        Some("Unary") => Ok(&echo_methods::UNARY),
        Some("Download") => Ok(&echo_methods::DOWNLOAD),
        Some("Upload") => Ok(&echo_methods::UPLOAD),
        Some("Chat") => Ok(&echo_methods::CHAT),
        _ => Err(Status::invalid_argument(format!("{name} is no method of Echo"))),
    }
}

fn outcome(status: Option<Status>, messages: Vec<Raw>) -> Outcome {
    let status = status.unwrap_or_else(Status::ok);
    Outcome {
        code: status.code() as u32,
        text: status.message().to_owned(),
        messages: messages.into_iter().map(|Raw(bytes)| bytes).collect(),
        not_started: status.not_started(),
    }
}
