//! Both ends of the pipe between the kit and an adapter, which drives a peer's client: see
//! `proto/bowline/conformance/v1/adapter.proto`.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_protocol::FrameType;
use bytes::BytesMut;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use crate::frames::{Frame, take_frame};
use crate::messages::adapter::command::Kind;
use crate::messages::adapter::{Command, Result as Outcome};

/// The kit's handle of an adapter.
#[derive(Debug, Clone)]
pub struct Adapter {
    commands: mpsc::UnboundedSender<(Kind, oneshot::Sender<Outcome>)>,
    connections: Arc<Mutex<u64>>,
}

impl Adapter {
    /// Talks to an adapter through these two ends. Tasks of the runtime carry the bytes until the
    /// handle and its clones are dropped.
    pub fn new(
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (commands, queue) = mpsc::unbounded_channel();
        let pending = Arc::new(Mutex::new(HashMap::new()));
        tokio::spawn(write_commands(output, queue, Arc::clone(&pending)));
        tokio::spawn(read_results(input, pending));
        Self { commands, connections: Arc::default() }
    }

    /// A number that no connection has had yet.
    pub(crate) fn next_connection(&self) -> u64 {
        let mut last = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        *last
    }

    /// Has the adapter do something. What comes back fails if the adapter has gone.
    pub(crate) fn command(&self, kind: Kind) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        // Whoever waits for the result sees that the adapter has gone.
        let _ = self.commands.send((kind, sender));
        receiver
    }
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

async fn write_commands(
    mut output: impl AsyncWrite + Unpin,
    mut queue: mpsc::UnboundedReceiver<(Kind, oneshot::Sender<Outcome>)>,
    pending: Pending,
) {
    let mut number = 0;
    while let Some((kind, sender)) = queue.recv().await {
        number += 1;
        pending.lock().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
        let body = Command { kind: Some(kind) }.encode_to_vec();
        if write_frame(&mut output, number, body).await.is_err() {
            return;
        }
    }
}

async fn read_results(mut input: impl AsyncRead + Unpin, pending: Pending) {
    let mut bytes = BytesMut::new();
    while let Ok(Some((number, body))) = read_frame(&mut input, &mut bytes).await {
        let sender = pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let (Some(sender), Ok(outcome)) = (sender, Outcome::decode(body)) {
            // Nobody may wait for it any more.
            let _ = sender.send(outcome);
        }
    }
    // Nobody is to wait for what an adapter that has gone does.
    pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Runs the other end, in an adapter: does each command as it comes, and writes its result.
///
/// # Errors
/// The input cannot be read, or is not made of commands.
pub async fn serve<F: Future<Output = Outcome> + Send + 'static>(
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Send + Unpin + 'static,
    run: impl Fn(Kind) -> F,
) -> io::Result<()> {
    let (results, mut queue) = mpsc::unbounded_channel::<(u64, Vec<u8>)>();
    let writing = tokio::spawn(async move {
        while let Some((number, body)) = queue.recv().await {
            if write_frame(&mut output, number, body).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = BytesMut::new();
    while let Some((number, body)) = read_frame(&mut input, &mut bytes).await? {
        let command = Command::decode(body).map_err(io::Error::other)?;
        let kind = command.kind.ok_or_else(|| io::Error::other("a command without a kind"))?;
        let (running, results) = (run(kind), results.clone());
        tokio::spawn(async move {
            let body = running.await.encode_to_vec();
            // The kit has gone.
            let _ = results.send((number, body));
        });
    }
    drop(results);
    writing.await.map_err(io::Error::other)
}

async fn write_frame(
    output: &mut (impl AsyncWrite + Unpin),
    number: u64,
    body: Vec<u8>,
) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    Frame::new(FrameType::Data, number, body).write_to(&mut bytes);
    output.write_all(&bytes).await?;
    output.flush().await
}

/// The next frame's number and body; none at the end.
async fn read_frame(
    input: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
) -> io::Result<Option<(u64, bytes::Bytes)>> {
    loop {
        if let Some(frame) = take_frame(bytes) {
            return Ok(Some((frame.header.call, frame.body)));
        }
        if input.read_buf(bytes).await? == 0 {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}
