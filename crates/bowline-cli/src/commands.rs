//! The commands, one module each.

use bowline::tcp::TcpConnector;
use bowline::transport::{AddressKind, Fault, TransportError};
use bowline::unix::UnixConnector;
use bowline::{Channel, ChannelBuilder, Limits, PeerLimits, tcp};

use crate::arguments::Server;
use crate::failure::Failure;

pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod conformance;
pub(crate) mod echo;
pub(crate) mod ping;
pub(crate) mod serve;

/// Connects, and waits for the server's HELLO.
async fn connect(server: &Server, limits: Limits) -> Result<(Channel, PeerLimits), Failure> {
    let Server { address, timeout, .. } = server;
    let connecting = async {
        let channel = builder(server)?.limits(limits).connect().await?;
        let ready = channel.ready().await;
        let limits = ready.map_err(|status| {
            Failure::status(format_args!("cannot talk to the server at {address}"), &status)
        })?;
        Ok((channel, limits))
    };
    tokio::time::timeout(*timeout, connecting).await.unwrap_or_else(|_| {
        Err(Failure::operation(format_args!(
            "cannot talk to the server at {address}: no answer within {timeout:?}; check that it is \
             a Bowline server and alive, or wait longer with --timeout"
        )))
    })
}

fn builder(server: &Server) -> Result<ChannelBuilder, TransportError> {
    let address = &server.address;
    match address.kind() {
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            Ok(Channel::with_connector(UnixConnector::new(address)?))
        }
        AddressKind::Tcp { .. } => {
            let options = tcp::ConnectOptions::new().allow_non_loopback(server.allow_non_loopback);
            Ok(Channel::with_connector(TcpConnector::with_options(address, options)?))
        }
        _ => Err(TransportError::connect(address, Fault::unsupported(address))),
    }
}
