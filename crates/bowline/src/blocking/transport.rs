//! What carries the bytes of a blocking connection: sockets that a thread can wait on.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;

#[cfg(any(feature = "unix", feature = "tcp"))]
use bowline_transport::AddressKind;
use bowline_transport::{Address, Fault, PeerIdentity, TransportError};
use bytes::BytesMut;

/// A connected stream socket in blocking mode. Its descriptor must take `SO_RCVTIMEO`, `shutdown` and
/// `poll`, as those of Unix sockets and TCP do.
///
/// All functions may be called from any thread. Dropping it closes the descriptor.
pub trait Socket: AsFd + Send + Sync + fmt::Debug + 'static {
    /// Waits for bytes and appends them to `buf`, as many as its spare capacity holds, which is not
    /// zero. `Ok(0)` is the end of the peer's writing.
    ///
    /// # Errors
    /// What the system reports; `WouldBlock` and `Interrupted` mean that nothing has come.
    fn recv(&self, buf: &mut BytesMut) -> io::Result<usize>;

    /// As [`recv`](Self::recv), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// As `recv`.
    fn try_recv(&self, buf: &mut BytesMut) -> io::Result<usize>;

    /// Sends a prefix of `data`, at least one byte, without waiting and without SIGPIPE.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else what the system reports.
    fn try_send(&self, data: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Who is at the other end, as far as the transport knows.
    fn peer(&self) -> &PeerIdentity;

    /// What a peer wrote before it closed stays readable, whatever this side wrote meanwhile (Unix
    /// sockets; not TCP).
    fn keeps_written(&self) -> bool;
}

/// Makes connections. Every function that returns a socket is one, so that options need no type of
/// their own:
///
/// ```no_run
/// # #[cfg(feature = "unix")] {
/// use bowline::blocking::Channel;
/// use bowline::unix::ConnectOptions;
///
/// let address: bowline::Address = "unix:///run/app/api.sock".parse()?;
/// let options = ConnectOptions::new().require_peer_uid(0);
/// let channel = Channel::with_connector(move || options.connect(&address)).connect()?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Connector: Send + Sync + 'static {
    /// Connects once.
    ///
    /// # Errors
    /// What kept it from connecting, with what to do about it.
    fn connect(&self) -> Result<Box<dyn Socket>, TransportError>;
}

impl<S: Socket, F> Connector for F
where
    F: Fn() -> Result<S, TransportError> + Send + Sync + 'static,
{
    fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        self().map(|socket| Box::new(socket) as Box<dyn Socket>)
    }
}

/// A listening socket. Dropping it closes the address and removes what it left in the file system.
pub trait Listener: AsFd + Send + Sync + fmt::Debug + 'static {
    /// Takes a connection. Does not wait if the descriptor is in non-blocking mode.
    ///
    /// # Errors
    /// Those of one accept; the listener stays usable.
    fn accept(&self) -> io::Result<Box<dyn Socket>>;

    /// The address in force: with the port that the system chose, for TCP port 0.
    fn address(&self) -> &Address;
}

/// The blocking half of a transport, for its own types.
macro_rules! transport {
    ($feature:literal, $transport:ident, $keeps_written:literal) => {
        #[cfg(feature = $feature)]
        impl Socket for $transport::RawSocket {
            fn recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
                self.recv(buf)
            }

            fn try_recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
                self.try_recv(buf)
            }

            fn try_send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
                self.try_send(data)
            }

            fn peer(&self) -> &PeerIdentity {
                self.peer()
            }

            fn keeps_written(&self) -> bool {
                $keeps_written
            }
        }

        #[cfg(feature = $feature)]
        impl Listener for $transport::BoundListener {
            fn accept(&self) -> io::Result<Box<dyn Socket>> {
                self.accept().map(|socket| Box::new(socket) as Box<dyn Socket>)
            }

            fn address(&self) -> &Address {
                self.address()
            }
        }
    };
}

transport!("unix", bowline_unix, true);
transport!("tcp", bowline_tcp, false);

/// A listener at this address, with its transport's defaults.
pub(super) fn listen(address: &Address) -> Result<Box<dyn Listener>, TransportError> {
    match address.kind() {
        #[cfg(feature = "unix")]
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            Ok(Box::new(bowline_unix::BindOptions::new().bind(address)?))
        }
        #[cfg(feature = "tcp")]
        AddressKind::Tcp { .. } => Ok(Box::new(bowline_tcp::BindOptions::new().bind(address)?)),
        _ => Err(TransportError::listen(address, Fault::unsupported(address))),
    }
}

/// What connects to this address, with its transport's defaults.
pub(super) fn connector(address: Address) -> Result<Arc<dyn Connector>, TransportError> {
    match address.kind() {
        #[cfg(feature = "unix")]
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            let options = bowline_unix::ConnectOptions::new();
            Ok(Arc::new(move || options.connect(&address)))
        }
        #[cfg(feature = "tcp")]
        AddressKind::Tcp { .. } => {
            let options = bowline_tcp::ConnectOptions::new();
            Ok(Arc::new(move || options.connect(&address)))
        }
        _ => Err(TransportError::connect(&address, Fault::unsupported(&address))),
    }
}
