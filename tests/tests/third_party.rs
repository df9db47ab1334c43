//! A transport of which nothing in Bowline knows passes the transports' contract and carries calls of
//! all four styles, with callbacks on the same connection.

mod hard;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bowline::transport::contract::{self, Harness};
use bowline::transport::{Address, Connector, Fault, Listener};
use bowline::{Channel, Code, Metadata, Reconnect, Request, Response, Sender, Server, Streaming};
use bowline_tests::pipes::{PipeConnector, PipeListener};

use self::hard::service::{ASK, CHAT, ECHO, Hard, JOIN, OnAsk, REPEAT};
use self::hard::wiring::unique;
use self::hard::{Flavour, Raw, content, soon};

fn address() -> Address {
    format!("pipes:{}", unique("third")).parse().expect("an address")
}

struct Pipes(AtomicUsize);

#[async_trait]
impl Harness for Pipes {
    async fn listen(&self) -> Box<dyn Listener> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(PipeListener::bind(&address()).expect("the name is free"))
    }

    fn connector(&self, address: &Address) -> Box<dyn Connector> {
        Box::new(PipeConnector::new(address).expect("the listener gave it"))
    }
}

#[test]
fn pipes_keep_the_contract() {
    for flavour in Flavour::ALL {
        let pipes = Pipes(AtomicUsize::new(0));
        flavour.block_on(async {
            let limit = Duration::from_secs(120);
            let run = tokio::time::timeout(limit, contract::run_all(&pipes));
            run.await.expect("somebody is woken");
        });
        assert!(pipes.0.into_inner() > 10, "the suite has run");
    }
}

async fn all_styles() {
    let address = address();
    let on_ask: OnAsk = Arc::new(|request| {
        Box::pin(async move {
            // A callback: the client's echo, on the same connection.
            let caller = request.caller().expect("a caller").clone();
            assert_eq!(request.peer().expect("a peer").kind(), "pipes");
            caller.unary(&ECHO, Request::new(request.into_inner())).await
        })
    });
    let service = Hard { on_ask: Some(on_ask), ..Hard::default() };
    let listener = PipeListener::bind(&address).expect("the name is free");
    let server = Server::builder().add_service(service).listen_on(listener).expect("limits");
    assert_eq!(server.addresses().next(), Some(&address));
    let stop = server.handle();
    let serving = tokio::spawn(server.serve());
    let connector = PipeConnector::new(&address).expect("a pipes address");
    let builder = Channel::with_connector(connector).add_service(Hard::default());
    let channel = builder.connect().await.expect("connects");

    for length in [0, 1, 1_000, 100_000, 1_000_000] {
        let sent = content(length, length);
        let echo: Response<Raw> =
            channel.unary(&ECHO, Request::new(Raw(sent.clone()))).await.expect("unary");
        assert!(echo.message().0 == sent, "unary");
        let echo: Response<Raw> =
            channel.unary(&ASK, Request::new(Raw(sent.clone()))).await.expect("a callback");
        assert!(echo.message().0 == sent, "a callback");

        let mut metadata = Metadata::new();
        metadata.insert("count", "5").expect("valid");
        let request = Request::new(Raw(sent.clone())).with_metadata(metadata);
        let mut stream: Streaming<Raw> =
            channel.server_streaming(&REPEAT, request).await.expect("opens");
        for _ in 0..5 {
            let message = stream.message().await.expect("server streaming").expect("five");
            assert!(message.0 == sent, "server streaming");
        }
        assert_eq!(stream.message().await.expect("ends well"), None);

        let opened = channel.client_streaming(&JOIN, Request::new(())).await.expect("opens");
        let (mut sender, reply): (Sender<Raw>, bowline::Reply<Raw>) = opened;
        for _ in 0..3 {
            sender.send(Raw(sent.clone())).await.expect("client streaming");
        }
        sender.finish();
        let joined = reply.await.expect("client streaming").into_inner().0;
        assert!(joined == [&sent[..], &sent, &sent].concat(), "client streaming");

        let opened = channel.bidi_streaming(&CHAT, Request::new(())).await.expect("opens");
        let (mut sender, mut stream): (Sender<Raw>, Streaming<Raw>) = opened;
        for _ in 0..3 {
            sender.send(Raw(sent.clone())).await.expect("bidirectional");
            let back = stream.message().await.expect("bidirectional").expect("an echo");
            assert!(back.0 == sent, "bidirectional");
        }
        sender.finish();
        assert_eq!(stream.message().await.expect("ends well"), None);
    }
    channel.close().await;
    stop.shutdown();
    serving.await.expect("the server does not panic");
}

#[test]
fn pipes_carry_all_styles_of_calls() {
    for flavour in Flavour::ALL {
        flavour.block_on(async { soon("calls over pipes", all_styles()).await });
    }
}

/// What the runtime makes of a transport's faults: a name where nobody listens is worth a retry.
#[test]
fn pipes_reconnect() {
    Flavour::Current.block_on(async {
        let address = address();
        let connector = PipeConnector::new(&address).expect("a pipes address");
        let error = Channel::with_connector(connector.clone()).connect().await.map(|_| ());
        let text = error.expect_err("nobody listens").to_string();
        assert!(text.contains(&address.to_string()) && text.contains("nobody listens"), "{text}");

        let builder = Channel::with_connector(connector).reconnect(Reconnect::default());
        let channel = builder.connect_lazily().expect("limits");
        for _ in 0..3 {
            let listener = PipeListener::bind(&address).expect("the name is free again");
            let taken = PipeListener::bind(&address).map(|_| ()).expect_err("the name is taken");
            assert!(matches!(taken.fault(), Fault::NameTaken));
            let server = Server::builder().add_service(Hard::default());
            let server = server.listen_on(listener).expect("limits");
            let stop = server.handle();
            let serving = tokio::spawn(server.serve());
            let request = Request::new(Raw(content(1, 10)));
            let answer: Response<Raw> =
                soon("a call", channel.unary(&ECHO, request)).await.expect("reconnects");
            assert_eq!(answer.message().0, content(1, 10));
            stop.shutdown();
            soon("the shutdown", serving).await.expect("the server does not panic");
        }
        let request = Request::new(Raw::default()).with_timeout(Duration::from_millis(50));
        let answer: Result<Response<Raw>, _> = channel.unary(&ECHO, request).await;
        let status = answer.expect_err("nobody listens");
        assert_eq!((status.code(), status.not_started()), (Code::DeadlineExceeded, true));
    });
}
