//! Bowline's wire protocol, version 1, as a sans-IO state machine.
//!
//! [`Connection`] is one side of a connection. It takes bytes that were read and gives bytes to be
//! written; it opens no sockets, spawns no tasks, reads no clock and wakes nobody. What the protocol
//! is stands in `docs/protocol.md`; the tags such as `[FRM-001]` in the code point there.
//!
//! ```
//! use std::time::Instant;
//! use bowline_protocol::{Config, Connection, Event, Open, Outbound, Recv, Side};
//! use bytes::{Bytes, BytesMut};
//!
//! let now = Instant::now();
//! let mut client = Connection::new(Config::new(Side::Connecting), now)?;
//! let mut server = Connection::new(Config::new(Side::Accepting), now)?;
//!
//! // The caller opens a call and sends its only message.
//! let call = client.open(Open::new("pkg.Greeter/Hello"), now)?;
//! client.call(call).expect("just opened").send(Bytes::from("Ada"), true)?;
//! carry(&mut client, &mut server, now);
//!
//! // The responder takes it and answers.
//! let Some(Event::Hello) = server.poll_event() else { panic!("the peer's HELLO comes first") };
//! let Some(Event::Request(request)) = server.poll_event() else { panic!("then its call") };
//! let mut incoming = server.call(request.call).expect("is open");
//! let Recv::Message(name) = incoming.recv() else { panic!("its message is there") };
//! incoming.send(Bytes::from([b"Hello ", &name.payload[..]].concat()), true)?;
//! carry(&mut server, &mut client, now);
//!
//! let Recv::Message(reply) = client.call(call).expect("has a reply").recv() else { panic!() };
//! assert_eq!(reply.payload, "Hello Ada");
//!
//! /// What a driver does with sockets: everything that one side sends reaches the other.
//! fn carry(from: &mut Connection, to: &mut Connection, now: Instant) {
//!     let (mut out, mut input) = (Outbound::new(), BytesMut::new());
//!     from.poll_transmit(&mut out, now);
//!     let mut slices = [std::io::IoSlice::new(&[]); 8];
//!     let filled = out.slices(&mut slices);
//!     slices[..filled].iter().for_each(|slice| input.extend_from_slice(slice));
//!     // An accepting side answers the preface before it is fed the rest.
//!     while !input.is_empty() {
//!         to.handle_input(&mut input, now);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod call;
mod call_map;
mod connection;
mod credit;
mod error;
mod event;
mod frame;
mod large;
mod limits;
mod metadata;
mod methods;
mod outbound;
mod spare;
mod status;

/// The control messages, generated from `proto/bowline/v1/wire.proto`.
pub mod wire {
    #![allow(
        missing_docs,
        clippy::all,
        unused_qualifications,
        unreachable_pub,
        reason = "generated code"
    )]
    include!("generated/bowline.v1.rs");
}

pub use call::{CallId, Message};
pub use call_map::CallMap;
pub use connection::{CallMut, Config, Connection, Open, PREFACE, VERSION};
pub use credit::{DESCRIPTOR_COST, MESSAGE_COST, message_cost};
pub use error::{
    ConnectionError, ErrorCode, LimitError, MetadataError, OpenError, PeerIncompatible,
    PeerMisbehaved, SendError, TimedOut,
};
pub use event::{Event, IncomingCall, Recv, StopReason};
pub use frame::{
    DESCRIPTORS_MAX, FLAG_ACK, FLAG_END, FLAG_MORE, FrameHeader, FrameType, HEADER_LEN, NUMBER_END,
};
pub use limits::{
    CALLS_LEAST, CLOSE_TIMEOUT, FRAME_LEAST, Limits, MESSAGE_LEAST, METADATA_LEAST,
    METHOD_NAME_MAX, METHOD_NUMBER_MAX, PeerLimits, WINDOW_LEAST,
};
pub use metadata::{KEY_MAX, Metadata};
pub use outbound::Outbound;
pub use spare::SpareBuffers;
pub use status::{Code, Origin, Status};

/// The two sides of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Made the connection; its calls have odd ids.
    Connecting,
    /// Took the connection; its calls have even ids.
    Accepting,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Connecting => Self::Accepting,
            Self::Accepting => Self::Connecting,
        }
    }

    pub(crate) const fn of_call(call: u64) -> Self {
        if call % 2 == 1 { Self::Connecting } else { Self::Accepting }
    }
}

#[cfg(test)]
mod tests;
