//! From an address to the transport that speaks it.

use std::sync::Arc;

#[cfg(feature = "tcp")]
use bowline_tcp::{TcpConnector, TcpListener};
use bowline_transport::memory::{MemoryConnector, MemoryListener};
use bowline_transport::{Address, AddressKind, Connector, Fault, Listener, TransportError};
#[cfg(feature = "unix")]
use bowline_unix::{UnixConnector, UnixListener};

/// A listener at this address, with its transport's defaults.
pub(crate) async fn listen(address: &Address) -> Result<Box<dyn Listener>, TransportError> {
    Ok(match address.kind() {
        #[cfg(feature = "unix")]
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            Box::new(UnixListener::bind(address)?)
        }
        #[cfg(feature = "tcp")]
        AddressKind::Tcp { .. } => Box::new(TcpListener::bind(address).await?),
        AddressKind::Memory(_) => Box::new(MemoryListener::bind(address)?),
        _ => return Err(TransportError::listen(address, Fault::unsupported(address))),
    })
}

/// A connector to this address, with its transport's defaults.
pub(crate) fn connector(address: &Address) -> Result<Arc<dyn Connector>, TransportError> {
    Ok(match address.kind() {
        #[cfg(feature = "unix")]
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            Arc::new(UnixConnector::new(address)?)
        }
        #[cfg(feature = "tcp")]
        AddressKind::Tcp { .. } => Arc::new(TcpConnector::new(address)?),
        AddressKind::Memory(_) => Arc::new(MemoryConnector::new(address)?),
        _ => return Err(TransportError::connect(address, Fault::unsupported(address))),
    })
}
