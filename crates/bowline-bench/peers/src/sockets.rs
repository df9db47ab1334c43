//! Sockets for systems that take any byte stream. Over TCP nothing waits in order to be sent with
//! more.

use std::io;

use bowline_bench::system::Address;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

/// A connection over either transport: a branch more in each read and write than one of them.
pub(crate) type Socket = Either<UnixStream, TcpStream>;

/// Accepts connections.
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens, and says where.
    pub(crate) async fn bind(address: &Address) -> io::Result<(Self, Address)> {
        match address {
            Address::Unix(path) => Ok((Self::Unix(UnixListener::bind(path)?), address.clone())),
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok((Self::Tcp(listener), address))
            }
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener) => Ok(Either::Left(listener.accept().await?.0)),
            Self::Tcp(listener) => tcp(listener.accept().await?.0),
        }
    }
}

pub(crate) async fn connect(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Unix(path) => Ok(Either::Left(UnixStream::connect(path).await?)),
        Address::Tcp(address) => tcp(TcpStream::connect(address).await?),
    }
}

fn tcp(socket: TcpStream) -> io::Result<Socket> {
    socket.set_nodelay(true)?;
    Ok(Either::Right(socket))
}
