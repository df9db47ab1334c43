//! What was found by reading rather than by use: each of these once went wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bowline::transport::{Address, Connector, Socket, TransportError};
use bowline::{
    Channel, Code, Handler, Limits, Method, MethodKind, Reconnect, Request, Response, Server,
    ServerCall, Service,
};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, echo, numbered, said};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;

/// Uses up what the runtime lets a task do in one go.
async fn greedy() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..1000 {
        sender.send(number).expect("is received below");
    }
    for _ in 0..1000 {
        receiver.recv().await;
    }
}

// [DLN-002]
async fn a_deadline_is_kept_by_a_connection_whose_handlers_are_greedy(net: Net) {
    let script = Script::new().unary(|_| async {
        greedy().await;
        std::future::pending().await
    });
    net.serve(script).await;
    let client = net.client().await;
    for _ in 0..3 {
        let request = Request::new(numbered(1)).with_timeout(Duration::from_millis(30));
        let status = client.unary(request).await.expect_err("it never answers");
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
}

/// Handlers of one batch that take their time get tasks of their own.
async fn slow_handlers_do_not_stand_in_a_row(net: Net) {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let script = Script::new().unary(move |request| {
        seen.lock().expect("no panic").push(tokio::task::id());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        echo(request)
    });
    net.serve(script).await;
    let client = net.client().await;
    client.unary(numbered(0)).await.expect("OK");
    let calls: Vec<_> = (0..16)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.unary(numbered(number)).await })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("OK");
    }
    let mut ids = ids.lock().expect("no panic").clone();
    ids.sort();
    ids.dedup();
    assert!(ids.len() > 1, "all ran in the task of the connection");
}

async fn a_kept_way_back_does_not_keep_the_connection(net: Net) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let script = Script::new().unary(move |request| {
        keep.lock().expect("no panic").extend(request.caller().cloned());
        echo(request)
    });
    let server = net.serve(script).await;
    let client = net.channel().await;
    TestClient::new(client.clone()).unary(numbered(1)).await.expect("OK");
    client.close().await;
    let back = kept.lock().expect("no panic").pop().expect("the handler kept it");
    let status = TestClient::new(back.clone()).unary(numbered(1)).await.expect_err("it has gone");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true));
    server.stop().await;
}

async fn a_way_back_can_be_closed_inside_the_handler(net: Net) {
    let script = Script::new().unary(|request: Request<Note>| async {
        let back = request.caller().cloned().expect("there is a way back");
        back.clone().close().await;
        let refused = TestClient::new(back).unary(numbered(1)).await.expect_err("it was closed");
        assert!(refused.not_started());
        Ok(Response::new(request.into_inner()))
    });
    net.serve(script).await;
    let client = net.client().await;
    for number in 0..3 {
        client.unary(numbered(number)).await.expect("the connection goes on");
    }
}

async fn a_server_that_left_while_idle_is_missed(net: Net) {
    let server = net.serve(Script::new().unary(echo)).await;
    let channel = net.channel().await;
    channel.ready().await.expect("the server is there");
    server.stop().await;
    let status = loop {
        match channel.ready().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => break status,
        }
    };
    assert!(!status.message().contains("this side"), "{status}");
    assert!(channel.ping().await.is_err());
}

async fn no_timeout_is_too_long(net: Net) {
    let mut limits = Limits::accepting();
    limits.handshake_timeout = Duration::MAX;
    limits.frame_timeout = Duration::MAX;
    limits.stall_timeout = Duration::MAX;
    limits.keepalive = Some(Duration::MAX);
    net.serve_with(Server::builder().limits(limits.clone()), Script::new().unary(echo)).await;
    let mut forever = Reconnect::default();
    forever.patience = Duration::MAX;
    forever.max = Duration::MAX;
    let builder = net.builder().limits(limits).reconnect(forever).timeout(Duration::MAX);
    let client = TestClient::new(builder.connect_lazily().expect("the limits are good"));
    client.unary(numbered(1)).await.expect("OK");
}

async fn limits_leave_callbacks_alone(net: Net) {
    let script = Script::new().unary(|request: Request<Note>| async {
        let back = TestClient::new(request.caller().cloned().expect("there is a way back"));
        back.unary(request.into_inner()).await
    });
    net.serve(script).await;
    let answers = Script::new().unary(echo).into_service();
    let builder = net.builder().add_service(answers).limits(Limits::connecting());
    let client = TestClient::new(builder.connect().await.expect("the server listens"));
    assert_eq!(client.unary(said("back")).await.expect("OK").into_inner(), said("back"));
}

async fn a_channel_that_reconnects_knows_its_peer(net: Net) {
    net.serve(Script::new().unary(echo)).await;
    let channel = net.builder().connect_lazily().expect("the limits are good");
    assert_eq!(channel.peer(), None);
    channel.ready().await.expect("the server listens");
    assert_eq!(channel.peer(), net.channel().await.peer());
}

/// Counts attempts.
#[derive(Debug)]
struct Counted {
    connector: Box<dyn Connector>,
    attempts: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Connector for Counted {
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.connector.connect().await
    }

    fn address(&self) -> &Address {
        self.connector.address()
    }
}

async fn impatient_calls_do_not_hurry_the_attempts(net: Net) {
    let server = net.serve(Script::new().unary(echo)).await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let connector = Counted { connector: net.connector(), attempts: Arc::clone(&attempts) };
    let mut slow = Reconnect::default();
    slow.initial = Duration::from_secs(3600);
    slow.max = Duration::from_secs(3600);
    let builder = Channel::with_connector(connector).reconnect(slow);
    let client = TestClient::new(builder.connect().await.expect("the server listens"));
    client.unary(numbered(0)).await.expect("OK");
    server.stop().await;
    for number in 0..30 {
        let request = Request::new(numbered(number)).with_timeout(Duration::from_millis(2));
        client.unary(request).await.expect_err("nobody listens");
    }
    let made = attempts.load(Ordering::Relaxed);
    assert!(made <= 2, "{made} attempts, but the pause is an hour");
}

/// A service that panics before it has a handler.
struct Broken;

const METHODS: &[Method] = &[
    Method::new("broken.Broken/Panics", MethodKind::Unary),
    Method::new("broken.Broken/Works", MethodKind::Unary),
];

impl Service for Broken {
    fn methods(&self) -> &'static [Method] {
        METHODS
    }

    fn call(&self, index: usize, call: ServerCall) -> Handler {
        assert_eq!(index, 1, "broken on purpose");
        call.unary(|request: Request<Note>| async { Ok(Response::new(request.into_inner())) })
    }
}

async fn a_service_that_panics_fails_one_call(net: Net) {
    net.start(Server::builder().add_service(Broken)).await;
    let channel = net.channel().await;
    for _ in 0..3 {
        let broken = channel.unary::<Note, Note>(&METHODS[0], Request::new(numbered(1))).await;
        assert_eq!(broken.expect_err("it panics").code(), Code::Internal);
        let works = channel.unary::<Note, Note>(&METHODS[1], Request::new(numbered(1))).await;
        assert_eq!(works.expect("OK").into_inner(), numbered(1));
    }
}

over_every_transport!(
    a_deadline_is_kept_by_a_connection_whose_handlers_are_greedy,
    slow_handlers_do_not_stand_in_a_row,
    a_kept_way_back_does_not_keep_the_connection,
    a_way_back_can_be_closed_inside_the_handler,
    a_server_that_left_while_idle_is_missed,
    no_timeout_is_too_long,
    limits_leave_callbacks_alone,
    a_channel_that_reconnects_knows_its_peer,
    impatient_calls_do_not_hurry_the_attempts,
    a_service_that_panics_fails_one_call,
);
