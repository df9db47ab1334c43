//! Sockets of both transports behind one type, blocking and of tokio.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{SocketFlags, accept_with, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::compare::Transport;
use crate::system::Address;

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A listener that blocks, and its address.
pub(super) fn listen(address: &Address) -> io::Result<(OwnedFd, Address)> {
    match address {
        Address::Unix(path) => Ok((UnixListener::bind(path)?.into(), address.clone())),
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address)?;
            let address = Address::Tcp(listener.local_addr()?);
            Ok((listener.into(), address))
        }
    }
}

/// A connection that blocks; nothing waits in order to be sent with more.
pub(super) fn accept(listener: impl AsFd, transport: Transport) -> io::Result<OwnedFd> {
    let socket = accept_with(listener, SocketFlags::CLOEXEC)?;
    if transport == Transport::Tcp {
        sockopt::set_tcp_nodelay(&socket, true)?;
    }
    Ok(socket)
}

/// The same from the other side.
pub(super) fn connect(address: &Address) -> io::Result<OwnedFd> {
    match address {
        Address::Unix(path) => Ok(UnixStream::connect(path)?.into()),
        Address::Tcp(address) => {
            let socket = TcpStream::connect(address)?;
            socket.set_nodelay(true)?;
            Ok(socket.into())
        }
    }
}

/// A listener of tokio's.
pub(super) enum Listener {
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener),
}

impl Listener {
    pub(super) async fn bind(address: &Address) -> io::Result<(Self, Address)> {
        match address {
            Address::Unix(path) => {
                Ok((Self::Unix(tokio::net::UnixListener::bind(path)?), address.clone()))
            }
            Address::Tcp(address) => {
                let listener = tokio::net::TcpListener::bind(address).await?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok((Self::Tcp(listener), address))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match self {
            Self::Unix(listener) => Ok(unix(listener.accept().await?.0)),
            Self::Tcp(listener) => tcp(listener.accept().await?.0),
        }
    }
}

/// A connection of tokio's.
pub(super) async fn connect_tokio(address: &Address) -> io::Result<(Reader, Writer)> {
    match address {
        Address::Unix(path) => Ok(unix(tokio::net::UnixStream::connect(path).await?)),
        Address::Tcp(address) => tcp(tokio::net::TcpStream::connect(address).await?),
    }
}

fn unix(socket: tokio::net::UnixStream) -> (Reader, Writer) {
    let (reader, writer) = socket.into_split();
    (Box::new(reader), Box::new(writer))
}

fn tcp(socket: tokio::net::TcpStream) -> io::Result<(Reader, Writer)> {
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    Ok((Box::new(reader), Box::new(writer)))
}
