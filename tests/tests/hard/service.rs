//! The service of the hard suites: an echo in all four styles, and a way to the caller's channel.

use std::sync::Arc;

use bowline::{
    Channel, Handler, Method, MethodKind, Request, Response, Sender, ServerCall, Service, Status,
    Streaming,
};
use tokio::sync::mpsc;

use super::Raw;

/// Answers with the message that it was sent.
pub(crate) const ECHO: Method = Method::new("hard.Hard/Echo", MethodKind::Unary);
/// Hands the channel back to the caller to the test.
pub(crate) const GRAB: Method = Method::new("hard.Hard/Grab", MethodKind::Unary);
/// Sends the message back again and again, as often as the metadata `count` says.
pub(crate) const REPEAT: Method = Method::new("hard.Hard/Repeat", MethodKind::ServerStreaming);
/// Puts all messages together into one.
pub(crate) const JOIN: Method = Method::new("hard.Hard/Join", MethodKind::ClientStreaming);
/// Sends each message back.
pub(crate) const CHAT: Method = Method::new("hard.Hard/Chat", MethodKind::BidiStreaming);
/// A bidirectional stream that the test serves itself.
pub(crate) const STREAM: Method = Method::new("hard.Hard/Stream", MethodKind::BidiStreaming);
/// A unary call that the test answers itself.
pub(crate) const ASK: Method = Method::new("hard.Hard/Ask", MethodKind::Unary);

/// Serves a stream.
pub(crate) type OnStream = Arc<
    dyn Fn(Request<Streaming<Raw>>, Sender<Raw>) -> futures::BoxFuture<Result<(), Status>>
        + Send
        + Sync,
>;
/// Answers a call.
pub(crate) type OnAsk =
    Arc<dyn Fn(Request<Raw>) -> futures::BoxFuture<Result<Response<Raw>, Status>> + Send + Sync>;

/// The one thing that is needed of the crate of this name.
pub(crate) mod futures {
    /// A future in a box.
    pub(crate) type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
}

/// The service.
#[derive(Clone, Default)]
pub(crate) struct Hard {
    pub(crate) grabbed: Option<mpsc::UnboundedSender<Channel>>,
    pub(crate) on_stream: Option<OnStream>,
    pub(crate) on_ask: Option<OnAsk>,
}

impl Service for Hard {
    fn methods(&self) -> &'static [Method] {
        &[ECHO, GRAB, REPEAT, JOIN, CHAT, STREAM, ASK]
    }

    fn call(&self, index: usize, call: ServerCall) -> Handler {
        let service = self.clone();
        match index {
            0 => call.unary(|request: Request<Raw>| async move {
                Ok(Response::new(request.into_inner()))
            }),
            1 => call.unary(move |request: Request<Raw>| async move {
                if let (Some(grabbed), Some(caller)) = (service.grabbed, request.caller()) {
                    grabbed.send(caller.clone()).map_err(|_| Status::internal("nobody waits"))?;
                }
                Ok(Response::new(Raw::default()))
            }),
            2 => call.server_streaming(repeat),
            3 => call.client_streaming(join),
            4 => call.bidi_streaming(chat),
            5 => call.bidi_streaming(move |request, sender| async move {
                let Some(on_stream) = service.on_stream else {
                    return Err(Status::unimplemented("the test does not serve streams"));
                };
                on_stream(request, sender).await
            }),
            6 => call.unary(move |request| async move {
                let Some(on_ask) = service.on_ask else {
                    return Err(Status::unimplemented("the test does not answer"));
                };
                on_ask(request).await
            }),
            _ => call.unimplemented(),
        }
    }
}

async fn repeat(request: Request<Raw>, mut sender: Sender<Raw>) -> Result<(), Status> {
    let count = request.metadata().text("count").and_then(|count| count.parse().ok());
    for _ in 0..count.unwrap_or(1) {
        sender.send(request.message().clone()).await?;
    }
    Ok(())
}

async fn join(request: Request<Streaming<Raw>>) -> Result<Response<Raw>, Status> {
    let mut stream = request.into_inner();
    let mut all = Vec::new();
    while let Some(message) = stream.message().await? {
        all.extend_from_slice(&message.0);
    }
    Ok(Response::new(Raw(all.into())))
}

async fn chat(request: Request<Streaming<Raw>>, mut sender: Sender<Raw>) -> Result<(), Status> {
    let mut stream = request.into_inner();
    while let Some(message) = stream.message().await? {
        sender.send(message).await?;
    }
    Ok(())
}
