//! The half of the crate that runs on tokio: the transport contract over the other half.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bowline_transport::{
    Address, Capabilities, Connector, Fault, Listener, PeerIdentity, Socket, TransportError,
};
use bytes::BytesMut;
use rustix::net::{SendFlags, SocketFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::bind::{BindOptions, BoundListener, is_of_one_connection};
use crate::connect::{ConnectOptions, explain, not_oneself};
use crate::{options, resolve, stream};

/// Accepts connections at a TCP port, on tokio.
#[derive(Debug)]
pub struct TcpListener {
    listener: tokio::net::TcpListener,
    address: Address,
}

impl TcpListener {
    /// Listens at a `tcp:` address with the default [`BindOptions`]. Cancellation-safe.
    ///
    /// # Errors
    /// What kept it from listening, with what to do about it.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub async fn bind(address: &Address) -> Result<Self, TransportError> {
        Self::bind_with(address, &BindOptions::new()).await
    }

    /// As [`bind`](Self::bind), with options.
    ///
    /// # Errors
    /// What kept it from listening, with what to do about it.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub async fn bind_with(
        address: &Address,
        options: &BindOptions,
    ) -> Result<Self, TransportError> {
        let bound = match lookup(address, options.allow_non_loopback).await {
            Ok(found) => options.bind_any(&found),
            Err(fault) => Err(fault),
        };
        Self::from_bound(bound.map_err(|fault| TransportError::listen(address, fault))?)
    }

    /// Takes a listener that is bound already. Call it inside a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// If there is no runtime, or the system is short of resources.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub fn from_bound(bound: BoundListener) -> Result<Self, TransportError> {
        let BoundListener { listener, address } = bound;
        let watch = || {
            // tokio panics where there is no runtime; an error can be shown.
            Handle::try_current().map_err(io::Error::other)?;
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        };
        match watch() {
            Ok(listener) => Ok(Self { listener, address }),
            Err(error) => {
                let fault = Fault::Io { action: "handing the listener to the runtime", error };
                Err(TransportError::listen(&address, fault))
            }
        }
    }
}

#[async_trait]
impl Listener for TcpListener {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return Ok(Box::new(TcpSocket::new(stream, peer)?)),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

/// Makes connections to a TCP port, on tokio.
#[derive(Debug, Clone)]
pub struct TcpConnector {
    address: Address,
    options: ConnectOptions,
}

impl TcpConnector {
    /// Makes connections to a `tcp:` address with the default [`ConnectOptions`]. The server may come
    /// later; a host name is looked up at each connect.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for an address of another transport.
    pub fn new(address: &Address) -> Result<Self, TransportError> {
        Self::with_options(address, ConnectOptions::new())
    }

    /// As [`new`](Self::new), with options.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(
        address: &Address,
        options: ConnectOptions,
    ) -> Result<Self, TransportError> {
        match resolve::parts(address) {
            Ok(_) => Ok(Self { address: address.clone(), options }),
            Err(fault) => Err(TransportError::connect(address, fault)),
        }
    }

    async fn try_connect(&self) -> Result<TcpSocket, Fault> {
        let mut last = options::io("connect", rustix::io::Errno::ADDRNOTAVAIL);
        for addr in lookup(&self.address, self.options.allow_non_loopback).await? {
            let fd = self.options.socket(addr, SocketFlags::NONBLOCK)?;
            let socket = tokio::net::TcpSocket::from_std_stream(fd.into());
            let connected = socket.connect(addr).await;
            match connected.and_then(|stream| TcpSocket::new(stream, addr)) {
                Ok(socket) => {
                    return not_oneself(socket.stream.local_addr(), addr).map(|()| socket);
                }
                Err(error) => last = explain(error),
            }
        }
        Err(last)
    }
}

#[async_trait]
impl Connector for TcpConnector {
    /// Connects to the first address of the host name that answers. Call it inside a tokio runtime
    /// with I/O enabled.
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        match self.try_connect().await {
            Ok(socket) => Ok(Box::new(socket)),
            Err(fault) => Err(TransportError::connect(&self.address, fault)),
        }
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

/// Looks up an address without blocking the runtime.
async fn lookup(address: &Address, allow_non_loopback: bool) -> Result<Vec<SocketAddr>, Fault> {
    let (host, port) = resolve::parts(address)?;
    let found = tokio::net::lookup_host((host, port)).await.map(Iterator::collect);
    resolve::checked(host, found, allow_non_loopback)
}

/// A connected TCP socket on tokio, with `TCP_NODELAY`.
///
/// `try_recv` sees what the runtime has been told of: just after the peer has sent, it may still fail
/// with `WouldBlock` until the task has yielded to the runtime.
#[derive(Debug)]
pub struct TcpSocket {
    stream: TcpStream,
    peer: PeerIdentity,
}

impl TcpSocket {
    fn new(stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, peer: stream::identity(peer) })
    }

    fn send_now(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        stream::send(self.stream.as_fd(), data, SendFlags::DONTWAIT)
    }
}

impl Socket for TcpSocket {
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.try_recv(buf, descriptors) {
                Err(error) if retry(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_recv(&self, buf: &mut BytesMut, _descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        if buf.capacity() == buf.len() {
            // tokio would make room; the caller decides how much it reads.
            return Err(io::Error::new(ErrorKind::InvalidInput, "no room to receive into"));
        }
        self.stream.try_read_buf(buf)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        refuse(descriptors)?;
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, || self.send_now(data)) {
                Err(error) if retry(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_send(&self, data: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        refuse(descriptors)?;
        self.send_now(data)
    }

    fn shutdown(&self) -> io::Result<()> {
        stream::shutdown(self.stream.as_fd())
    }

    fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }
}

/// Not ready after all, or a signal.
fn retry(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn refuse(descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.is_empty() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::Unsupported, "TCP carries no descriptors"))
}
