//! The two ends of a connection, each of which blocks its threads or runs on tokio, and calls from
//! either to the other.

use std::ops::Range;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use bowline::blocking::{self, Answer};
use bowline::{Address, Limits, Method, Request, Response, Status};
use bowline_tcp::{TcpConnector, TcpListener};
use bowline_unix::{UnixConnector, UnixListener};
use bytes::Bytes;
use tokio::runtime::{Handle, Runtime};

use super::counted::{Counted, CountedListener};
use super::hard::counting::Counter;
use super::hard::service::{CHAT, ECHO, GRAB, Hard};
use super::hard::wiring::{Buffers, Kind, address};
use super::hard::{Raw, content};

/// How an end waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Blocking,
    Async,
}

/// What makes calls to the other side.
#[derive(Clone)]
pub(crate) enum End {
    Blocking(blocking::Channel),
    Async(bowline::Channel, Handle),
}

impl End {
    /// Sends bytes there and back.
    pub(crate) fn echo(&self, bytes: Bytes) -> Bytes {
        self.unary(&ECHO, bytes).expect("the call succeeds").0
    }

    fn unary(&self, method: &Method, bytes: Bytes) -> Result<Raw, Status> {
        let request = Request::new(Raw(bytes));
        let response: Response<Raw> = match self {
            Self::Blocking(channel) => channel.unary(method, request)?,
            Self::Async(channel, handle) => handle.block_on(channel.unary(method, request))?,
        };
        Ok(response.into_inner())
    }

    /// Sends and receives these messages at once on a stream that echoes.
    pub(crate) fn chat(&self, numbers: Range<usize>, length: usize, counter: &Counter) {
        let check = |number, message: Option<Raw>| {
            let message = message.unwrap_or_else(|| panic!("message {number} is missing"));
            assert!(message.0 == content(number, length), "message {number} is another one");
            counter.complete();
        };
        match self {
            Self::Blocking(channel) => {
                let opened = channel.bidi_streaming(&CHAT, Request::new(())).expect("opens");
                let (mut sender, mut stream) = opened;
                let sent = numbers.clone();
                let sending = thread::spawn(move || {
                    for number in sent {
                        sender.send(Raw(content(number, length))).expect("the message is taken");
                    }
                    sender.finish();
                });
                for number in numbers {
                    check(number, stream.message().expect("the stream goes on"));
                }
                assert_eq!(stream.message().expect("the stream ends well"), None);
                sending.join().expect("no panic");
            }
            Self::Async(channel, handle) => handle.block_on(async {
                let opened = channel.bidi_streaming(&CHAT, Request::new(())).await.expect("opens");
                let (mut sender, mut stream) = opened;
                let sending = async {
                    for number in numbers.clone() {
                        let message = Raw(content(number, length));
                        sender.send(message).await.expect("the message is taken");
                    }
                    sender.finish();
                };
                let receiving = async {
                    for number in numbers.clone() {
                        check(number, stream.message().await.expect("the stream goes on"));
                    }
                    assert_eq!(stream.message().await.expect("the stream ends well"), None);
                };
                tokio::join!(sending, receiving);
            }),
        }
    }

    /// Opens a stream and sends until it is refused, while nobody reads the answers; what is returned
    /// gives it up and waits for its end.
    pub(crate) fn stuck_stream(&self) -> Box<dyn FnOnce()> {
        let message = || Raw(content(0, 8 * 1024));
        match self {
            Self::Blocking(channel) => {
                let opened = channel.bidi_streaming(&CHAT, Request::new(())).expect("opens");
                let (mut sender, never_read): (_, blocking::Streaming<Raw>) = opened;
                let sending = thread::spawn(move || while sender.send(message()).is_ok() {});
                Box::new(move || {
                    drop(never_read);
                    sending.join().expect("no panic");
                })
            }
            Self::Async(channel, handle) => {
                let opening = channel.bidi_streaming(&CHAT, Request::new(()));
                let opened = handle.block_on(opening).expect("opens");
                let (mut sender, never_read): (_, bowline::Streaming<Raw>) = opened;
                let sending =
                    handle.spawn(async move { while sender.send(message()).await.is_ok() {} });
                let handle = handle.clone();
                Box::new(move || {
                    drop(never_read);
                    handle.block_on(sending).expect("no panic");
                })
            }
        }
    }
}

/// The service of the hard suites, as far as it is called here.
struct Echo {
    grabbed: mpsc::Sender<blocking::Channel>,
}

impl blocking::Service for Echo {
    fn methods(&self) -> &'static [Method] {
        &[ECHO, GRAB, CHAT]
    }

    fn call(&self, index: usize, call: blocking::ServerCall) -> Answer {
        match index {
            0 => call.unary(|request: Request<Raw>| Ok(Response::new(request.into_inner()))),
            1 => call.unary(|request: Request<Raw>| {
                let back = request.blocking_caller().expect("a blocking server");
                self.grabbed.send(back.clone()).map_err(|_| Status::internal("nobody waits"))?;
                Ok(Response::new(Raw::default()))
            }),
            _ => call.bidi_streaming(|request: Request<blocking::Streaming<Raw>>, mut sender| {
                request.into_inner().try_for_each(|message| sender.send(message?))
            }),
        }
    }
}

/// A client, a server and the way back, in one process.
pub(crate) struct Rig {
    pub(crate) runtime: Runtime,
    pub(crate) client: End,
    /// The server's way to the client.
    pub(crate) back: End,
    /// What the blocking ends have sent and received.
    pub(crate) counter: Arc<Counter>,
    server: Serving,
}

enum Serving {
    Blocking(blocking::ServerHandle, JoinHandle<()>),
    Async(bowline::ServerHandle, tokio::task::JoinHandle<()>),
}

impl Rig {
    /// `faces` are the client's and the server's.
    pub(crate) fn new(kind: Kind, buffers: Buffers, window: usize, faces: [Face; 2]) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
        let mut limits = Limits::accepting();
        limits.window = window as u64;
        limits.calls_max = 2048;
        let counter = Arc::new(Counter::default());
        let buffer = match (kind, buffers) {
            (_, Buffers::Default) => None,
            (Kind::Tcp, Buffers::Least) => Some(16 * 1024),
            (_, Buffers::Least) => Some(1),
        };
        let (grabbed, grabs) = mpsc::channel();
        let (grabbed_async, mut grabs_async) = tokio::sync::mpsc::unbounded_channel();
        let echo = Echo { grabbed };
        let hard = Hard { grabbed: Some(grabbed_async), ..Hard::default() };
        let wiring = Wiring { kind, buffer, limits: &limits, counter: &counter, runtime: &runtime };
        let (address, server) = match faces[1] {
            Face::Blocking => wiring.serve(echo),
            Face::Async => wiring.serve_async(hard.clone()),
        };
        let client = match faces[0] {
            Face::Blocking => wiring.connect(address),
            Face::Async => wiring.connect_async(&address, hard),
        };
        client.unary(&GRAB, Bytes::new()).expect("the first call");
        let back = match faces[1] {
            Face::Blocking => End::Blocking(grabs.recv().expect("the channel back")),
            Face::Async => {
                let back = grabs_async.blocking_recv().expect("the channel back");
                End::Async(back, runtime.handle().clone())
            }
        };
        Self { runtime, client, back, counter, server }
    }

    /// Closes both ends, which takes until nothing is left.
    pub(crate) fn close(self) {
        drop(self.back);
        match self.client {
            End::Blocking(channel) => channel.close(),
            End::Async(channel, handle) => handle.block_on(channel.close()),
        }
        match self.server {
            Serving::Blocking(stop, serving) => {
                stop.shutdown();
                serving.join().expect("the server does not panic");
            }
            Serving::Async(stop, serving) => {
                stop.shutdown();
                self.runtime.block_on(serving).expect("the server does not panic");
            }
        }
    }
}

/// Options of a socket whose buffers are so long, or as long as the system makes them.
macro_rules! sized {
    ($options:ty, $buffer:expr) => {{
        let options = <$options>::new();
        match $buffer {
            Some(size) => options.send_buffer(size).recv_buffer(size),
            None => options,
        }
    }};
}

struct Wiring<'a> {
    kind: Kind,
    /// For sending and for receiving, each.
    buffer: Option<usize>,
    limits: &'a Limits,
    counter: &'a Arc<Counter>,
    runtime: &'a Runtime,
}

impl Wiring<'_> {
    fn serve(&self, echo: Echo) -> (Address, Serving) {
        let listener: Box<dyn blocking::Listener> = match self.kind {
            Kind::Tcp => Box::new(
                sized!(bowline_tcp::BindOptions, self.buffer)
                    .bind(&address(self.kind))
                    .expect("listens"),
            ),
            _ => Box::new(
                sized!(bowline_unix::BindOptions, self.buffer)
                    .bind(&address(self.kind))
                    .expect("listens"),
            ),
        };
        let address = listener.address().clone();
        let listener = CountedListener { listener, counter: Arc::clone(self.counter) };
        let server = blocking::Server::builder().limits(self.limits.clone()).add_service(echo);
        let server = server.listen_on(listener).expect("limits");
        let stop = server.handle();
        let serving = thread::spawn(|| server.serve().expect("it starts"));
        (address, Serving::Blocking(stop, serving))
    }

    fn serve_async(&self, hard: Hard) -> (Address, Serving) {
        let builder = bowline::Server::builder().limits(self.limits.clone()).add_service(hard);
        let address = address(self.kind);
        let server = self.runtime.block_on(async {
            if self.kind == Kind::Tcp {
                let listener = TcpListener::bind_with(
                    &address,
                    &sized!(bowline_tcp::BindOptions, self.buffer),
                )
                .await;
                builder.listen_on(listener.expect("listens"))
            } else {
                let listener = UnixListener::bind_with(
                    &address,
                    &sized!(bowline_unix::BindOptions, self.buffer),
                );
                builder.listen_on(listener.expect("listens"))
            }
        });
        let server = server.expect("limits");
        let address = server.addresses().next().expect("one").clone();
        let stop = server.handle();
        (address, Serving::Async(stop, self.runtime.spawn(server.serve())))
    }

    fn connect(&self, address: Address) -> End {
        let (kind, counter) = (self.kind, Arc::clone(self.counter));
        let (unix, tcp) = (
            sized!(bowline_unix::ConnectOptions, self.buffer),
            sized!(bowline_tcp::ConnectOptions, self.buffer),
        );
        let connector = move || {
            let socket: Box<dyn blocking::Socket> = match kind {
                Kind::Tcp => Box::new(tcp.connect(&address)?),
                _ => Box::new(unix.connect(&address)?),
            };
            Ok(Counted { socket, counter: Arc::clone(&counter), server: false })
        };
        let (grabbed, _) = mpsc::channel();
        let builder = blocking::Channel::with_connector(connector).limits(self.limits.clone());
        End::Blocking(builder.add_service(Echo { grabbed }).connect().expect("connects"))
    }

    fn connect_async(&self, address: &Address, hard: Hard) -> End {
        let builder = match self.kind {
            Kind::Tcp => {
                let connector = TcpConnector::with_options(
                    address,
                    sized!(bowline_tcp::ConnectOptions, self.buffer),
                );
                bowline::Channel::with_connector(connector.expect("a TCP address"))
            }
            _ => {
                let connector = UnixConnector::with_options(
                    address,
                    sized!(bowline_unix::ConnectOptions, self.buffer),
                );
                bowline::Channel::with_connector(connector.expect("a Unix address"))
            }
        };
        let connecting = builder.limits(self.limits.clone()).add_service(hard).connect();
        let channel = self.runtime.block_on(connecting).expect("connects");
        End::Async(channel, self.runtime.handle().clone())
    }
}
