//! Other RPC systems for `bowline-bench` to compare with.
//!
//! Each is set up as its own documentation advises where speed matters; what that is stands at the
//! top of its module. Where documentation is silent, defaults stay, but for limits that a load would
//! run into. Choices between settings were made by processor time for each call, of both sides.
#![forbid(unsafe_code)]

mod capnp;
mod connectrpc;
mod generated;
mod sockets;
mod tarpc;
mod tonic;
mod ttrpc;
mod vox;

use bowline_bench::worker::Entry;

/// All of them.
pub const SYSTEMS: [Entry; 6] = [
    Entry::of::<tonic::Tonic>(),
    Entry::of::<ttrpc::Ttrpc>(),
    Entry::of::<tarpc::Tarpc>(),
    Entry::of::<capnp::Capnp>(),
    Entry::of::<vox::Vox>(),
    Entry::of::<connectrpc::Connectrpc>(),
];

#[cfg(test)]
mod tests;
