//! Messages written by hand whose encoding goes wrong: it runs inside the connection.

use bowline::{
    Channel, Code, Handler, Method, MethodKind, Request, Response, Server, ServerCall, Service,
    Streaming,
};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

/// A message of one field of bytes. Asked to, it panics while it is encoded, or is not as long as it
/// says.
#[derive(Debug, Clone, Default, PartialEq)]
struct Odd(Bytes);

const PANICS: &[u8] = b"panics";
const LIES: &[u8] = b"lies";

impl Message for Odd {
    fn encode_raw(&self, out: &mut impl BufMut) {
        prost::encoding::bytes::encode(1, &self.0, out);
        assert_ne!(self.0, PANICS, "as asked");
    }

    fn merge_field(
        &mut self,
        tag: u32,
        kind: WireType,
        from: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => prost::encoding::bytes::merge(kind, &mut self.0, from, context),
            _ => prost::encoding::skip_field(kind, tag, from, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let length = prost::encoding::bytes::encoded_len(1, &self.0);
        if self.0 == LIES { length + 1 } else { length }
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

const UNARY: Method = Method::new("odd.Odd/Unary", MethodKind::Unary);
const DOWNLOAD: Method = Method::new("odd.Odd/Download", MethodKind::ServerStreaming);

/// Answers with what the request is.
struct Echo;

impl Service for Echo {
    fn methods(&self) -> &'static [Method] {
        &[UNARY, DOWNLOAD]
    }

    fn call(&self, index: usize, call: ServerCall) -> Handler {
        if index == 0 {
            let answer = |request: Request<Bytes>| Ok(Response::new(Odd(request.into_inner())));
            return call.unary(move |request| async move { answer(request) });
        }
        call.server_streaming(|request: Request<Bytes>, mut replies| async move {
            replies.send(Odd(Bytes::from_static(b"first"))).await?;
            replies.send(Odd(request.into_inner())).await
        })
    }
}

async fn say(channel: &Channel, what: &'static [u8]) -> Result<Odd, Code> {
    let request = Request::new(Bytes::from_static(what));
    let reply = channel.unary::<Bytes, Odd>(&UNARY, request).await;
    reply.map(Response::into_inner).map_err(|status| status.code())
}

async fn a_reply_that_cannot_be_encoded_ends_its_call_alone(net: Net) {
    net.start(Server::builder().add_service(Echo)).await;
    let channel = net.channel().await;
    for _ in 0..3 {
        assert_eq!(say(&channel, PANICS).await, Err(Code::Internal));
        assert_eq!(say(&channel, LIES).await, Ok(Odd(Bytes::from_static(LIES))));
        assert_eq!(say(&channel, b"works").await, Ok(Odd(Bytes::from_static(b"works"))));
    }
}

async fn a_message_of_a_stream_that_cannot_be_encoded_ends_its_call_alone(net: Net) {
    net.start(Server::builder().add_service(Echo)).await;
    let channel = net.channel().await;
    for _ in 0..3 {
        let request = Request::new(Bytes::from_static(PANICS));
        let replies = channel.server_streaming::<Bytes, Odd>(&DOWNLOAD, request).await;
        let mut replies: Streaming<Odd> = replies.expect("it is opened");
        let first = replies.message().await.expect("OK");
        assert_eq!(first, Some(Odd(Bytes::from_static(b"first"))));
        assert_eq!(replies.message().await.expect_err("no more").code(), Code::Internal);
        assert_eq!(say(&channel, b"works").await, Ok(Odd(Bytes::from_static(b"works"))));
    }
}

async fn a_request_that_cannot_be_encoded_leaves_no_call_behind(net: Net) {
    net.start(Server::builder().add_service(Echo)).await;
    let channel = net.channel().await;
    let calls_max = channel.ready().await.expect("it listens").calls_max;
    // More than the server has room for, if any of them took a place.
    for _ in 0..=calls_max {
        let panics = channel.clone();
        let call = tokio::spawn(async move {
            let request = Request::new(Odd(Bytes::from_static(PANICS)));
            panics.unary::<Odd, Odd>(&UNARY, request).await
        });
        assert!(call.await.expect_err("as asked").is_panic());
    }
    let request = Request::new(Odd(Bytes::from_static(LIES)));
    let reply = channel.unary::<Odd, Odd>(&UNARY, request).await.expect("OK");
    assert!(!reply.message().0.is_empty());
}

over_every_transport!(
    a_reply_that_cannot_be_encoded_ends_its_call_alone,
    a_message_of_a_stream_that_cannot_be_encoded_ends_its_call_alone,
    a_request_that_cannot_be_encoded_leaves_no_call_behind,
);
