//! The worker that serves.

use super::Entry;
use super::arguments::Serve;
use super::control::Answer;
use super::run::{answer, failed};
use crate::system::{Endpoint, Ready};

/// Serves until it cannot go on: the end of stdin ends the process.
pub(super) async fn run(entry: &Entry, args: Serve) {
    let endpoint = Endpoint { address: args.address, busy_poll: args.worker.busy_poll };
    let ready = Ready::new(|address| answer(&Answer::Listening { address }));
    match (entry.serve)(endpoint, args.handler, ready).await {
        Err(error) => answer(&failed(&error)),
    }
}
