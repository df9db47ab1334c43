//! Death of a peer, by SIGKILL at certain points of the protocol: over Unix sockets and TCP with
//! processes, over memory by dropping one end there. Who is left learns it at once, tells it as it
//! is, and goes on.

mod hard;

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bowline::transport::memory::{MemoryConnector, MemoryListener};
use bowline::transport::{Address, Connector, Listener, Socket};
use bowline::{
    Channel, Code, Limits, Reconnect, Reply, Request, Response, Sender, Server, Status, Streaming,
};
use bowline_protocol::FrameType;
use bowline_tcp::{TcpConnector, TcpListener};
use bowline_unix::{UnixConnector, UnixListener};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::hard::bytes::{
    MESSAGES, Point, Reader, hello_of_server, last_words, of_client, of_server, send,
};
use self::hard::child::{Child, end_with_parent, role, say};
use self::hard::counting::{Counter, CountingListener};
use self::hard::service::{ASK, ECHO, Hard, JOIN, OnAsk, OnStream, REPEAT};
use self::hard::wiring::{Kind, address};
use self::hard::{Flavour, Raw, content, soon};

const KINDS: [Kind; 3] = [Kind::Unix, Kind::Tcp, Kind::Memory];

/// A death shows within this time.
const BOUND: Duration = Duration::from_secs(5);

async fn promptly<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(BOUND, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {BOUND:?}"),
    }
}

async fn listener(kind: Kind, at: &Address) -> Box<dyn Listener> {
    match kind {
        Kind::Unix => Box::new(UnixListener::bind(at).expect("listens")),
        Kind::Tcp => Box::new(TcpListener::bind(at).await.expect("listens")),
        Kind::Memory => Box::new(MemoryListener::bind(at).expect("listens")),
    }
}

fn connector(at: &Address) -> Box<dyn Connector> {
    match at.scheme() {
        "unix" => Box::new(UnixConnector::new(at).expect("an address")),
        "tcp" => Box::new(TcpConnector::new(at).expect("an address")),
        _ => Box::new(MemoryConnector::new(at).expect("an address")),
    }
}

/// What dies: a process, or the socket of an end in this one.
enum Victim {
    Process(Child),
    Socket(Box<dyn Socket>),
}

impl Victim {
    fn kill(self) {
        match self {
            Self::Process(child) => child.kill(),
            Self::Socket(socket) => drop(socket),
        }
    }
}

/// A client of raw bytes at its point.
async fn raw_client(at: &Address, point: Point) -> Victim {
    if at.scheme() != "memory" {
        let mut child = Child::spawn(&["client", &at.to_string(), &format!("{point:?}")]);
        assert_eq!(child.line().await, "at the point");
        return Victim::Process(child);
    }
    let socket = connector(at).connect().await.expect("connects");
    send(&*socket, &of_client(point)).await;
    Victim::Socket(socket)
}

/// What a handler that never ends by itself tells of its life.
#[derive(Debug, PartialEq, Eq)]
enum Life {
    Started,
    Message,
    Dropped,
}

/// Tells when it is dropped.
struct Guard(mpsc::UnboundedSender<Life>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(Life::Dropped);
    }
}

fn endless_stream() -> (OnStream, mpsc::UnboundedReceiver<Life>) {
    let (life, lives) = mpsc::unbounded_channel();
    let on_stream: OnStream = Arc::new(move |request, sender| {
        let life = life.clone();
        Box::pin(async move {
            let _guard = Guard(life.clone());
            let _ = life.send(Life::Started);
            let mut stream = request.into_inner();
            while let Ok(Some(_)) = stream.message().await {
                let _ = life.send(Life::Message);
            }
            // Whatever the stream says: only being dropped ends it.
            let _sender = sender;
            std::future::pending().await
        })
    });
    (on_stream, lives)
}

async fn client_dies(kind: Kind, point: Point) {
    let (on_stream, mut lives) = endless_stream();
    let counter = Arc::new(Counter::default());
    let listener = listener(kind, &address(kind)).await;
    let listener = CountingListener { listener, counter: Arc::clone(&counter) };
    let server = Server::builder()
        .add_service(Hard { on_stream: Some(on_stream), ..Hard::default() })
        .listen_on(listener)
        .expect("limits");
    let at = server.addresses().next().expect("one").clone();
    let stop = server.handle();
    let serving = tokio::spawn(server.serve());
    let bystander = Channel::connect(&at.to_string()).await.expect("connects");
    echo(&bystander).await;

    let victim = raw_client(&at, point).await;
    let streams = !matches!(point, Point::BeforeHello | Point::InsideHello);
    if streams {
        assert_eq!(soon("the handler", lives.recv()).await, Some(Life::Started));
    }
    if point == Point::InStream {
        for _ in 0..MESSAGES {
            assert_eq!(soon("a message", lives.recv()).await, Some(Life::Message));
        }
    }
    echo(&bystander).await;
    let killed = Instant::now();
    victim.kill();
    if streams {
        let dropped = promptly("the handler's end", lives.recv()).await;
        assert_eq!(dropped, Some(Life::Dropped));
    }
    let gone = async {
        while counter.closed.load(Ordering::Acquire) < 1 {
            counter.closing.notified().await;
        }
    };
    promptly("the end of the server's socket", gone).await;
    let took = killed.elapsed();
    echo(&bystander).await;
    assert!(lives.try_recv().is_err(), "the handler does nothing more");
    eprintln!("{kind:?}: client dies at {point:?}, the server has forgotten it in {took:?}");
    bystander.close().await;
    stop.shutdown();
    promptly("the shutdown", serving).await.expect("no panic");
}

async fn echo(channel: &Channel) {
    let request = Request::new(Raw(content(1, 1000)));
    let answer: Result<Response<Raw>, _> = promptly("an echo", channel.unary(&ECHO, request)).await;
    assert_eq!(answer.expect("the echo succeeds").message().0, content(1, 1000));
}

#[test]
fn a_client_dies() {
    for kind in KINDS {
        for point in Point::ALL {
            Flavour::Multi.block_on(client_dies(kind, point));
            Flavour::Current.block_on(client_dies(kind, point));
        }
    }
}

/// As many calls as a server of [`of_server`] takes.
const SLOTS: usize = 64;
/// Calls that wait for a slot.
const WAITING: usize = 3;

type Unary = JoinHandle<Result<Response<Raw>, Status>>;

fn ask(channel: &Channel, number: usize) -> Unary {
    let channel = channel.clone();
    tokio::spawn(async move { channel.unary(&ECHO, Request::new(Raw(content(number, 100)))).await })
}

fn lost(what: &str, result: Result<Response<Raw>, Status>, not_started: bool) {
    let status = result.expect_err("nobody answers");
    assert_eq!(status.code(), Code::Unavailable, "{what}: {status}");
    assert_eq!(status.not_started(), not_started, "{what}: {status}");
}

/// A server of raw bytes; it comes to its point once it has seen all requests for which there are
/// slots.
async fn raw_server(socket: &dyn Socket, point: Point) {
    Reader::new(socket).frames(SLOTS, FrameType::Request, None).await;
    send(socket, &of_server(point)).await;
}

async fn server_dies(kind: Kind, point: Point) {
    let what = format!("{kind:?}, the server dies at {point:?}");
    let (on_stream, mut lives) = endless_stream();
    let (at, child, listener) = match kind {
        Kind::Memory => {
            let at = address(kind);
            let listener = listener(kind, &at).await;
            (at, None, Some(listener))
        }
        Kind::Unix | Kind::Tcp => {
            let at = address(kind).to_string();
            let mut child = Child::spawn(&["server", &at, &format!("{point:?}")]);
            (child.line().await.parse().expect("an address"), Some(child), None)
        }
    };
    let builder = Channel::builder(&at.to_string()).expect("an address");
    let builder = builder.add_service(Hard { on_stream: Some(on_stream), ..Hard::default() });
    let channel = builder.connect().await.expect("connects");

    // Call 1 is a stream of answers, a call of which only REQUEST leaves, or a unary call.
    let (mut stream, mut sender, mut reply, mut first) = (None, None, None, None);
    match point {
        Point::InStream => {
            let request = Request::new(Raw(content(0, 10)));
            let opened = channel.server_streaming(&REPEAT, request).await;
            let opened: Streaming<Raw> = opened.expect("opens");
            stream = Some(opened);
        }
        Point::BeforeData => {
            let opened = channel.client_streaming(&JOIN, Request::new(())).await.expect("opens");
            let (half, other): (Sender<Raw>, Reply<Raw>) = opened;
            (sender, reply) = (Some(half), Some(other));
        }
        _ => first = Some(ask(&channel, 1)),
    }
    let mut calls: Vec<Unary> = (0..SLOTS - 1).map(|number| ask(&channel, number)).collect();
    // On one thread the order of the tasks is that of the calls; on two it is made so.
    let victim = match (child, listener) {
        (Some(mut child), _) => {
            assert_eq!(child.line().await, "at the point");
            Victim::Process(child)
        }
        (None, Some(listener)) => {
            let socket = listener.accept().await.expect("accepts");
            raw_server(&*socket, point).await;
            Victim::Socket(socket)
        }
        (None, None) => unreachable!("a server is one or the other"),
    };
    let hello = !matches!(point, Point::BeforeHello | Point::InsideHello);
    if hello {
        channel.ready().await.expect("the HELLO is there");
        assert_eq!(soon("the callback", lives.recv()).await, Some(Life::Started));
    }
    if point == Point::InStream {
        // The slot of the call that has been answered goes to one that waits.
        let answered = calls.remove(0);
        let answer = soon("the answer before the death", answered).await.expect("no panic");
        assert_eq!(&answer.expect("it was answered").message().0[..], b"answer");
        calls.push(ask(&channel, SLOTS));
        let status = channel.ping();
        // The server reads no more; what was to be sent has left when this is sent.
        assert!(tokio::time::timeout(Duration::ZERO, status).await.is_err(), "nobody answers");
    }
    let mut waiting: Vec<Unary> = (0..WAITING).map(|number| ask(&channel, number)).collect();
    // Those tasks have run when this one has.
    for _ in 0..2 {
        let turn = ask(&channel, 0);
        tokio::task::yield_now().await;
        waiting.push(turn);
    }
    let killed = Instant::now();
    victim.kill();

    // Without a preface nothing has started, where none can have been lost.
    let none_started = point == Point::BeforeHello && kind != Kind::Tcp;
    for call in calls.drain(..) {
        let result = promptly(&what, call).await.expect("no panic");
        lost(&what, result, none_started);
    }
    for call in waiting {
        let result = promptly(&what, call).await.expect("no panic");
        lost(&format!("{what}, a call that waits"), result, true);
    }
    if let Some(first) = first {
        lost(&what, promptly(&what, first).await.expect("no panic"), none_started);
    }
    if let Some(mut stream) = stream {
        for _ in 0..MESSAGES {
            let message = promptly(&what, stream.message()).await.expect("arrived before");
            assert_eq!(&message.expect("a message").0[..], b"message");
        }
        for _ in 0..2 {
            let end = promptly(&what, stream.message()).await;
            lost(&what, end.map(|_| Response::new(Raw::default())), false);
        }
    }
    if let Some(reply) = reply {
        lost(&what, promptly(&what, reply).await, false);
    }
    if let Some(mut sender) = sender {
        let sent = promptly(&what, sender.send(Raw::default())).await;
        assert!(sent.is_err(), "{what}: nobody takes it");
    }
    if hello {
        let dropped = promptly("the callback's end", lives.recv()).await;
        assert_eq!(dropped, Some(Life::Dropped));
    }
    eprintln!("{what}: the client knows it in {:?}", killed.elapsed());
    // The connection is gone; a new call says so, and that it has not started.
    lost(&what, ask(&channel, 0).await.expect("no panic"), true);
    promptly("closing", channel.close()).await;
}

#[test]
fn a_server_dies() {
    for kind in KINDS {
        for point in Point::ALL {
            Flavour::Current.block_on(server_dies(kind, point));
        }
    }
}

/// A server sends its last words and is gone at once, with input that it has not read; over Unix
/// sockets that makes the client's next read or write fail. What was sent is still read.
async fn last_words_are_read(kind: Kind, goaway: Option<&str>, write_first: bool) {
    let what = format!("{kind:?}, GOAWAY {goaway:?}, write first {write_first}");
    let at = address(kind);
    let listener = listener(kind, &at).await;
    let channel = Channel::connect(&at.to_string()).await.expect("connects");
    let request = Request::new(Raw(content(0, 10)));
    let mut stream: Streaming<Raw> =
        channel.server_streaming(&REPEAT, request).await.expect("opens");
    let socket = listener.accept().await.expect("accepts");
    Reader::new(&*socket).frames(1, FrameType::Request, None).await;
    send(&*socket, &hello_of_server()).await;
    channel.ready().await.expect("a HELLO");
    let request = Request::new(Raw(content(0, 10)));
    let mut unread: Streaming<Raw> =
        channel.server_streaming(&REPEAT, request).await.expect("opens");

    // From here on the client's driver does not run until this task waits.
    let words = last_words(goaway);
    let sent = socket.try_send(&[IoSlice::new(&words)], &[]).expect("there is room");
    assert_eq!(sent, words.len());
    drop(socket);
    let mut late = Box::pin(channel.unary(&ECHO, Request::new(Raw(content(0, 10)))));
    if write_first {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(late.as_mut().poll(&mut cx).is_pending(), "{what}: nothing has been read");
    }
    for _ in 0..MESSAGES {
        let message = promptly(&what, stream.message()).await.expect("was sent");
        assert_eq!(&message.expect("a message").0[..], b"message", "{what}");
    }
    let check = |result: Result<(), Status>, not_started| {
        let status = result.expect_err("the server is gone");
        assert!(status.message().contains(goaway.unwrap_or("lost")), "{what}: {status}");
        lost(&what, Err(status), not_started);
    };
    check(promptly(&what, stream.message()).await.map(|_| ()), false);
    // With the GOAWAY it is known that it has not started, else it may have.
    check(promptly(&what, unread.message()).await.map(|_| ()), goaway.is_some());
    let late: Result<Response<Raw>, _> = promptly(&what, late).await;
    check(late.map(|_| ()), goaway.is_some() || !write_first);
    promptly("closing", channel.close()).await;
}

#[test]
fn what_was_sent_before_a_death_is_read() {
    for kind in [Kind::Unix, Kind::Memory] {
        for goaway in [None, Some("the disk is full")] {
            for write_first in [false, true] {
                Flavour::Current.block_on(last_words_are_read(kind, goaway, write_first));
            }
        }
    }
}

/// After kill -9 the next server takes the address over, and old clients come back to it.
async fn server_comes_back(kind: Kind) {
    let at = address(kind).to_string();
    let mut server = Child::spawn(&["serve", &at]);
    let at = server.line().await;
    let builder = Channel::builder(&at).expect("an address").reconnect(Reconnect::default());
    let channel = builder.connect().await.expect("connects");
    for round in 0..3 {
        echo(&channel).await;
        let open = channel.clone();
        let in_flight: Unary =
            tokio::spawn(async move { open.unary(&ASK, Request::new(Raw(content(1, 10)))).await });
        assert_eq!(server.line().await, "asked");
        server.kill();
        let result = promptly("the call in flight", in_flight).await.expect("no panic");
        lost("the call in flight", result, false);
        // A call that is made while nobody is there waits for the next server.
        let early = ask(&channel, round);
        let start = Instant::now();
        server = Child::spawn(&["serve", &at]);
        assert_eq!(server.line().await, at, "the address is the same");
        let answer = promptly("a call to the next server", early).await.expect("no panic");
        assert_eq!(answer.expect("an answer").message().0, content(round, 100));
        eprintln!("{kind:?}: the next server answers {:?} after its start", start.elapsed());
    }
    promptly("closing", channel.close()).await;
}

#[test]
fn a_killed_server_comes_back() {
    for kind in [Kind::Unix, Kind::Tcp] {
        for flavour in Flavour::ALL {
            flavour.block_on(server_comes_back(kind));
        }
    }
}

/// A connection that stood for a while ends the row of attempts: the next loss begins a new one, and
/// the first attempt is made at once. (The pauses here would add up to minutes.)
#[test]
fn pauses_begin_anew_after_a_connection_that_stood() {
    Flavour::Current.block_on(async {
        let at = address(Kind::Memory).to_string();
        let mut policy = Reconnect::default();
        (policy.initial, policy.factor, policy.max) =
            (Duration::from_millis(1), 10.0, Duration::from_secs(100));
        let builder = Channel::builder(&at).expect("an address").reconnect(policy);
        let channel = builder.connect_lazily().expect("limits");
        for _ in 0..6 {
            let server = Server::builder().add_service(Hard::default());
            let server = server.listen(&at).await.expect("listens");
            let stop = server.handle();
            let serving = tokio::spawn(server.serve());
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(5) {
                echo(&channel).await;
            }
            stop.shutdown();
            promptly("the shutdown", serving).await.expect("no panic");
        }
    });
}

/// What a child does.
#[test]
#[ignore = "is started by other tests, in a process of its own"]
fn child() {
    let Some(role) = role() else { return };
    end_with_parent();
    Flavour::Current.block_on(async {
        let at: Address = role[1].parse().expect("an address");
        match role[0].as_str() {
            "client" => {
                let socket = connector(&at).connect().await.expect("connects");
                send(&*socket, &of_client(Point::from_name(&role[2]))).await;
                say("at the point");
                std::future::pending::<()>().await;
            }
            "server" => {
                let kind = if at.scheme() == "tcp" { Kind::Tcp } else { Kind::Unix };
                let listener = listener(kind, &at).await;
                say(&listener.address().to_string());
                let socket = listener.accept().await.expect("accepts");
                raw_server(&*socket, Point::from_name(&role[2])).await;
                say("at the point");
                std::future::pending::<()>().await;
            }
            _ => {
                let on_ask: OnAsk = Arc::new(|_| {
                    Box::pin(async {
                        say("asked");
                        std::future::pending().await
                    })
                });
                let service = Hard { on_ask: Some(on_ask), ..Hard::default() };
                let builder = Server::builder().limits(Limits::accepting()).add_service(service);
                let server = builder.listen(&role[1]).await.expect("listens");
                say(&server.addresses().next().expect("one").to_string());
                server.serve().await;
            }
        }
    });
}
