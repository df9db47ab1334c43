//! The requirements of docs/protocol.md that a connection as a whole implements, by topic.

mod calls;
mod cancel;
mod closing;
mod credit;
mod deadlines;
mod descriptors;
mod frames;
mod goaway;
mod handshake;
mod messages;
mod methods_metadata;
mod output;
mod pair;
mod raw;
mod rig;
mod transcripts;
