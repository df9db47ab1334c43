//! What the suites of the blocking face share: a place for each test, a service whose handlers the test
//! writes itself, and gates and gauges for threads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bowline::blocking::{
    Channel, ChannelBuilder, Sender, Server, ServerBuilder, ServerHandle, Streaming,
};
use bowline::{Address, Request, Response};
use tempfile::TempDir;

use crate::net::Transport;
use crate::script::Outcome;
use crate::test::Note;
use crate::test::test_blocking_client::TestClient;
use crate::test::test_blocking_server::{Test, TestServer};

/// No test takes so long, not even on a machine that is busy with something else.
const TEST_MAX: Duration = Duration::from_secs(60);
/// What has not come about by then never will.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Makes a test of each of these functions for each transport that has a blocking half.
#[macro_export]
macro_rules! over_each_socket {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[test]
            fn unix() {
                $crate::blocking::run($crate::net::Transport::Unix, super::$name);
            }

            #[test]
            fn tcp() {
                $crate::blocking::run($crate::net::Transport::Tcp, super::$name);
            }
        })*
    };
}

/// Runs a test in a thread of its own, and fails if it does not end.
pub fn run(transport: Transport, test: fn(&Place)) {
    within(TEST_MAX, "the test", move || {
        let place = Place::new(transport);
        test(&place);
        place.shut_down();
    });
}

/// Runs something in a thread of its own, and fails if it does not end in time.
///
/// # Panics
/// It does not, or panics itself.
pub fn within<R: Send + 'static>(
    limit: Duration,
    what: &str,
    run: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, wait) = channel();
    let thread = thread::Builder::new().name(what.to_owned()).spawn(move || {
        let result = run();
        let _ = done.send(());
        result
    });
    let thread = thread.expect("a thread can be started");
    if wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        panic!("{what} hangs: not done after {limit:?}");
    }
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A transport and an address of one test's own.
#[derive(Debug)]
pub struct Place {
    transport: Transport,
    address: Address,
    path: PathBuf,
    /// Shut down at the end of the test.
    servers: Mutex<Vec<(ServerHandle, JoinHandle<()>)>>,
    /// Holds the path.
    _directory: TempDir,
    /// Holds the port: bound, but not listening.
    _port: Option<rustix::fd::OwnedFd>,
}

impl Place {
    fn new(transport: Transport) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("s");
        let (address, port) = match transport {
            Transport::Unix => (Address::unix(&path), None),
            Transport::Tcp => {
                let (socket, number) = reserve_port();
                (Address::tcp("127.0.0.1", number), Some(socket))
            }
            Transport::Memory => panic!("the memory transport has no blocking half"),
        };
        Self {
            transport,
            address: address.expect("the address is one"),
            path,
            servers: Mutex::default(),
            _directory: directory,
            _port: port,
        }
    }

    /// The transport of this run.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The address, as text.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where the socket file is, over a Unix socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves this script with a server's defaults.
    pub fn serve(&self, script: Script) -> ServerHandle {
        self.serve_with(Server::builder(), script)
    }

    /// Serves this script with these options.
    ///
    /// # Panics
    /// The address is taken.
    pub fn serve_with(&self, builder: ServerBuilder, script: Script) -> ServerHandle {
        let server = builder.add_service(script.into_service());
        let server = server.listen(&self.address()).expect("the address is free");
        let handle = server.handle();
        let serving = thread::spawn(|| server.serve().expect("the server starts"));
        self.servers.lock().expect("not poisoned").push((handle.clone(), serving));
        handle
    }

    /// Shuts all servers down, and waits until they have ended.
    ///
    /// # Panics
    /// One of them has.
    pub fn shut_down(&self) {
        for (handle, serving) in self.servers.lock().expect("not poisoned").drain(..) {
            handle.shutdown();
            serving.join().expect("the server does not panic");
        }
    }

    /// Options of a channel to the address.
    ///
    /// # Panics
    /// Never.
    pub fn builder(&self) -> ChannelBuilder {
        Channel::builder(&self.address()).expect("the address is one")
    }

    /// A connected channel with a client's defaults.
    ///
    /// # Panics
    /// Nobody listens.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.builder().connect().expect("the server listens")
    }

    /// A connected client of the test service.
    #[must_use]
    pub fn client(&self) -> TestClient {
        TestClient::new(self.channel())
    }
}

/// A port that nobody else is given, and at which a server can listen nevertheless.
fn reserve_port() -> (rustix::fd::OwnedFd, u16) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let socket = socket.expect("a socket can be made");
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).expect("the option is known");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    bind(&socket, &any).expect("a port is free");
    let bound = getsockname(&socket).expect("it is bound");
    let port = std::net::SocketAddr::try_from(bound).expect("an internet address").port();
    (socket, port)
}

type Unary = dyn Fn(Request<Note>) -> Outcome<Response<Note>> + Send + Sync;
type Download = dyn Fn(Request<Note>, Sender<Note>) -> Outcome<()> + Send + Sync;
type Upload = dyn Fn(Request<Streaming<Note>>) -> Outcome<Response<Note>> + Send + Sync;
type Chat = dyn Fn(Request<Streaming<Note>>, Sender<Note>) -> Outcome<()> + Send + Sync;

/// Handlers of the test service, as [`crate::script::Script`], that block their threads.
pub struct Script {
    unary: Box<Unary>,
    download: Box<Download>,
    upload: Box<Upload>,
    chat: Box<Chat>,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// Handlers that echo.
    #[must_use]
    pub fn new() -> Self {
        Self {
            unary: Box::new(|request| Ok(Response::new(request.into_inner()))),
            download: Box::new(copies),
            upload: Box::new(sum),
            chat: Box::new(echo_all),
        }
    }

    /// Answers `Unary`.
    #[must_use]
    pub fn unary(
        mut self,
        handler: impl Fn(Request<Note>) -> Outcome<Response<Note>> + Send + Sync + 'static,
    ) -> Self {
        self.unary = Box::new(handler);
        self
    }

    /// Answers `Download`.
    #[must_use]
    pub fn download(
        mut self,
        handler: impl Fn(Request<Note>, Sender<Note>) -> Outcome<()> + Send + Sync + 'static,
    ) -> Self {
        self.download = Box::new(handler);
        self
    }

    /// Answers `Upload`.
    #[must_use]
    pub fn upload(
        mut self,
        handler: impl Fn(Request<Streaming<Note>>) -> Outcome<Response<Note>> + Send + Sync + 'static,
    ) -> Self {
        self.upload = Box::new(handler);
        self
    }

    /// Answers `Chat`.
    #[must_use]
    pub fn chat(
        mut self,
        handler: impl Fn(Request<Streaming<Note>>, Sender<Note>) -> Outcome<()> + Send + Sync + 'static,
    ) -> Self {
        self.chat = Box::new(handler);
        self
    }

    /// The service, for a server or a channel.
    #[must_use]
    pub fn into_service(self) -> TestServer<Self> {
        TestServer::new(self)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Test for Script {
    fn unary(&self, request: Request<Note>) -> Outcome<Response<Note>> {
        (self.unary)(request)
    }

    fn download(&self, request: Request<Note>, replies: Sender<Note>) -> Outcome<()> {
        (self.download)(request, replies)
    }

    fn upload(&self, request: Request<Streaming<Note>>) -> Outcome<Response<Note>> {
        (self.upload)(request)
    }

    fn chat(&self, request: Request<Streaming<Note>>, replies: Sender<Note>) -> Outcome<()> {
        (self.chat)(request, replies)
    }
}

fn copies(request: Request<Note>, mut replies: Sender<Note>) -> Outcome<()> {
    let note = request.into_inner();
    for number in 0..note.number {
        replies.send(Note { number, ..note.clone() })?;
    }
    Ok(())
}

fn sum(request: Request<Streaming<Note>>) -> Outcome<Response<Note>> {
    let (mut number, mut text, mut length) = (0, String::new(), 0_u64);
    for note in request.into_inner() {
        let note = note?;
        number += 1;
        text += &note.text;
        length += note.payload.len() as u64;
    }
    Ok(Response::new(Note { number, text, payload: length.to_le_bytes().to_vec() }))
}

fn echo_all(request: Request<Streaming<Note>>, mut replies: Sender<Note>) -> Outcome<()> {
    for note in request.into_inner() {
        replies.send(note?)?;
    }
    Ok(())
}

/// Waits until a condition that nobody announces holds.
///
/// # Panics
/// It does not come about.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WAIT_MAX, "not after {WAIT_MAX:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A number that threads change and wait for.
#[derive(Debug, Clone, Default)]
pub struct Gauge {
    inner: Arc<(Mutex<Counts>, Condvar)>,
}

/// How many are inside something, and have come in so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Inside now.
    pub live: u64,
    /// Came in so far.
    pub entered: u64,
    /// Most that were inside at once.
    pub peak: u64,
}

impl Gauge {
    /// With nobody inside.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Comes in; out again when what is returned is dropped.
    #[must_use]
    pub fn enter(&self) -> Inside {
        self.change(|counts| {
            counts.entered += 1;
            counts.live += 1;
            counts.peak = counts.peak.max(counts.live);
        });
        Inside(self.clone())
    }

    /// The counts of this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many have come in.
    pub fn entered(&self, count: u64) {
        self.wait(&format!("{count} have entered"), |counts| counts.entered >= count);
    }

    /// Waits until so many are inside.
    pub fn live(&self, count: u64) {
        self.wait(&format!("{count} are inside"), |counts| counts.live == count);
    }

    fn wait(&self, what: &str, condition: impl Fn(Counts) -> bool) {
        let counts = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.inner.1.wait_timeout_while(counts, WAIT_MAX, |c| !condition(*c));
        let (counts, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "not after {WAIT_MAX:?}: {what}; counts: {counts:?}");
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.inner.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.inner.1.notify_all();
    }
}

/// Somebody who is inside.
#[derive(Debug)]
pub struct Inside(Gauge);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.change(|counts| counts.live -= 1);
    }
}

/// A gate at which threads wait until the test opens it.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    inner: Arc<(Mutex<()>, Condvar, AtomicBool)>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it, for good.
    pub fn open(&self) {
        let _lock = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.2.store(true, Ordering::SeqCst);
        self.inner.1.notify_all();
    }

    /// Waits until it is open.
    ///
    /// # Panics
    /// Nobody opens it.
    pub fn pass(&self) {
        let lock = self.inner.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &self.inner.2;
        let waited =
            self.inner.1.wait_timeout_while(lock, WAIT_MAX, |()| !open.load(Ordering::SeqCst));
        let (_lock, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "nobody opened the gate");
    }
}
