//! An example of a transport that Bowline knows nothing of: a pair of pipes for each connection,
//! inside one process, at addresses such as `pipes:greeter`.
//!
//! Copy it to begin a transport of your own. That takes:
//!
//! 1. *a scheme* that is not one of Bowline's: its addresses parse as [`AddressKind::Other`];
//! 2. *a [`Socket`]*, two directions of bytes, each polled by at most one task: [`PipeSocket`];
//! 3. *a [`Listener`] and a [`Connector`]* that yield them, here [`PipeListener`] and
//!    [`PipeConnector`], which meet in a table of names in this process;
//! 4. *a test* that runs [`bowline_transport::contract`] over it (`tests/third_party.rs`).
//!
//! Then `Server::builder().listen_on(PipeListener::bind(&address)?)` serves at it, and
//! `Channel::with_connector(PipeConnector::new(&address)?)` calls through it.

use std::collections::{HashMap, hash_map};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bowline_transport::{
    Address, AddressKind, Capabilities, Connector, Fault, Listener, PeerIdentity, Socket,
    TransportError,
};
use bytes::BytesMut;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// What stands before the colon of an address.
const SCHEME: &str = "pipes";

/// How many connections wait to be accepted; further connectors wait.
const BACKLOG: usize = 128;

/// One end of a connection: it reads from one pipe and writes into the other.
#[derive(Debug)]
pub struct PipeSocket {
    incoming: pipe::Receiver,
    /// `None` once writing has ended: a pipe has no half that could be shut down, so it is closed.
    outgoing: Mutex<Option<pipe::Sender>>,
    peer: PeerIdentity,
}

impl PipeSocket {
    /// Two ends of one connection. Call it inside a tokio runtime with I/O enabled.
    fn pair() -> io::Result<(Self, Self)> {
        let ((to_second, from_first), (to_first, from_second)) = (pipe::pipe()?, pipe::pipe()?);
        Ok((Self::new(from_second, to_second), Self::new(from_first, to_first)))
    }

    fn new(incoming: pipe::Receiver, outgoing: pipe::Sender) -> Self {
        // Only what the system vouches for: the peer is in this very process.
        let peer = PeerIdentity::new(SCHEME).with_pid(std::process::id());
        Self { incoming, outgoing: Mutex::new(Some(outgoing)), peer }
    }
}

/// All take `&self`: one task waits to receive while any thread that has something to send tries to.
impl Socket for PipeSocket {
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.incoming.poll_read_ready(cx))?;
            match self.try_recv(buf, descriptors) {
                // The runtime has been told so, and the next round registers the waker.
                Err(error) if is_to_be_tried_again(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_recv(&self, buf: &mut BytesMut, _descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        if buf.capacity() == buf.len() {
            // Reading nothing would look like the end of the stream.
            return Err(io::Error::new(ErrorKind::InvalidInput, "no room to receive into"));
        }
        self.incoming.try_read_buf(buf)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(done) = without_bytes(data, descriptors) {
            return Poll::Ready(done);
        }
        let outgoing = lock(&self.outgoing);
        let outgoing = outgoing.as_ref().ok_or(ErrorKind::BrokenPipe)?;
        loop {
            ready!(outgoing.poll_write_ready(cx))?;
            match outgoing.try_write_vectored(data) {
                Err(error) if is_to_be_tried_again(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_send(&self, data: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if let Some(done) = without_bytes(data, descriptors) {
            return done;
        }
        let outgoing = lock(&self.outgoing);
        let outgoing = outgoing.as_ref().ok_or(ErrorKind::BrokenPipe)?;
        // The pipe itself, not what the runtime has seen of it: where there is room, it goes. (Rust's
        // programs ignore SIGPIPE.) One system call takes 1,024 slices at most.
        Ok(rustix::io::writev(outgoing, &data[..data.len().min(1024)])?)
    }

    fn shutdown(&self) -> io::Result<()> {
        lock(&self.outgoing).take();
        Ok(())
    }

    fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn capabilities(&self) -> Capabilities {
        // What is in a pipe stays there when its writer goes, whatever happens to the other pipe.
        Capabilities::new().with_keeps_written(true)
    }
}

/// The outcome of a send of no bytes, which a full pipe takes, too, or of descriptors, which none does.
fn without_bytes(
    data: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
) -> Option<io::Result<usize>> {
    if !descriptors.is_empty() {
        let error = io::Error::new(ErrorKind::Unsupported, "pipes carry no descriptors");
        return Some(Err(error));
    }
    data.iter().all(|slice| slice.is_empty()).then_some(Ok(0))
}

fn is_to_be_tried_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Who listens in this process: the place where connectors and listeners meet.
static NAMES: LazyLock<Mutex<HashMap<String, mpsc::Sender<PipeSocket>>>> =
    LazyLock::new(Mutex::default);

/// Accepts connections at a `pipes:` address. Dropping it frees the name, and closes the connections
/// that nobody has accepted.
#[derive(Debug)]
pub struct PipeListener {
    address: Address,
    /// `accept` takes `&self`; whoever waits holds the lock, and dropping the wait releases it.
    queue: tokio::sync::Mutex<mpsc::Receiver<PipeSocket>>,
}

impl PipeListener {
    /// Listens at a `pipes:` address.
    ///
    /// # Errors
    /// [`Fault::NameTaken`], or [`Fault::Unsupported`] for an address of another transport.
    pub fn bind(address: &Address) -> Result<Self, TransportError> {
        let fail = |fault| TransportError::listen(address, fault);
        let (sender, receiver) = mpsc::channel(BACKLOG);
        match lock(&NAMES).entry(name(address).map_err(fail)?.to_owned()) {
            hash_map::Entry::Vacant(entry) => entry.insert(sender),
            hash_map::Entry::Occupied(_) => return Err(fail(Fault::NameTaken)),
        };
        Ok(Self { address: address.clone(), queue: tokio::sync::Mutex::new(receiver) })
    }
}

#[async_trait]
impl Listener for PipeListener {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        match self.queue.lock().await.recv().await {
            Some(socket) => Ok(Box::new(socket)),
            // Cannot be: the table holds a sender.
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for PipeListener {
    fn drop(&mut self) {
        if let Ok(name) = name(&self.address) {
            lock(&NAMES).remove(name);
        }
    }
}

/// Makes connections to a `pipes:` address.
#[derive(Debug, Clone)]
pub struct PipeConnector {
    address: Address,
}

impl PipeConnector {
    /// Makes connections to a `pipes:` address. The listener may come later.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for an address of another transport.
    pub fn new(address: &Address) -> Result<Self, TransportError> {
        match name(address) {
            Ok(_) => Ok(Self { address: address.clone() }),
            Err(fault) => Err(TransportError::connect(address, fault)),
        }
    }
}

#[async_trait]
impl Connector for PipeConnector {
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        let fail = |fault| TransportError::connect(&self.address, fault);
        // This fault tells a channel that it may try again.
        let nobody = || fail(Fault::NobodyListening { stale: false });
        let queue = lock(&NAMES).get(name(&self.address).map_err(fail)?).cloned();
        let queue = queue.ok_or_else(nobody)?;
        // The place in the queue comes first: a wait that is given up leaves nothing behind.
        let place = queue.reserve().await.map_err(|_closed| nobody())?;
        let (ours, theirs) =
            PipeSocket::pair().map_err(|error| fail(Fault::Io { action: "pipe", error }))?;
        place.send(theirs);
        Ok(Box::new(ours))
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

/// The name in an address of this transport.
fn name(address: &Address) -> Result<&str, Fault> {
    match address.kind() {
        AddressKind::Other { scheme: SCHEME, rest } => Ok(rest),
        _ => Err(Fault::unsupported(address)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
