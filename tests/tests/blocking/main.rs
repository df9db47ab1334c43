//! Servers and channels that block their threads, over each transport that has a blocking half, and
//! together with those that do not.

mod callbacks;
mod calls;
mod connections;
mod deadlines;
mod handlers;
mod interop;
mod lifecycle;
mod streams;
