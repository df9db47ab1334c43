//! Putting a load on connections, and counting what comes back.

use std::time::{Duration, Instant};

use bowline::{Channel, Request};
use tokio::task::JoinSet;

use super::plan::{Kind, Load};
use super::streams;
use crate::demo::v1::EchoRequest;
use crate::demo::v1::echo_client::EchoClient;
use crate::tally::Tally;

/// How long a call may take before it counts as failed: a hang must end, too.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed call: a lost connection would fail millions in a second.
const FAILURE_PAUSE: Duration = Duration::from_millis(1);

/// Runs a load for so long on these connections. Gives what came of it, and how long it took to the
/// end of the last call.
pub(super) async fn run(load: Load, channels: &[Channel], lasting: Duration) -> (Tally, Duration) {
    let mut workers = JoinSet::new();
    let start = Instant::now();
    let until = start + lasting;
    let mut number = 0;
    for channel in channels {
        for _ in 0..load.concurrency {
            number += 1;
            workers.spawn(work(load, EchoClient::new(channel.clone()), number, until));
        }
    }
    let mut tally = Tally::new();
    let mut elapsed = lasting;
    while let Some(joined) = workers.join_next().await {
        elapsed = start.elapsed();
        match joined {
            Ok(of_worker) => tally.add(&of_worker),
            Err(error) => tally.fail(error),
        }
    }
    (tally, elapsed)
}

/// Makes calls, one after the other.
async fn work(load: Load, client: EchoClient, number: u64, until: Instant) -> Tally {
    let mut tally = Tally::new();
    let content = Content::new(load.payload_bytes, number);
    if load.kind == Kind::Unary {
        unary(client, content, until, &mut tally).await;
        return tally;
    }
    let stream = streams::Stream::new(client, content);
    while Instant::now() < until {
        let errors = tally.errors;
        let call = async {
            match load.kind {
                Kind::Unary => {}
                Kind::ServerStream => stream.download(&mut tally).await,
                Kind::ClientStream => stream.upload(&mut tally).await,
                Kind::BidiStream => stream.chat(&mut tally).await,
            }
        };
        if tokio::time::timeout(CALL_TIMEOUT, call).await.is_err() {
            tally.fail(format_args!("a stream did not end within {CALL_TIMEOUT:?}"));
        }
        if tally.errors > errors {
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
    tally
}

/// A request is made of the last reply's memory: no allocation and no copy of the benchmark's own
/// beside the call.
async fn unary(client: EchoClient, mut content: Content, until: Instant, tally: &mut Tally) {
    let mut payload = content.bytes.clone();
    loop {
        content.stamp(&mut payload);
        let message = EchoRequest { payload, ..Default::default() };
        let request = Request::new(message).with_timeout(CALL_TIMEOUT);
        let start = Instant::now();
        if start >= until {
            return;
        }
        let result = client.unary(request).await;
        let took = start.elapsed();
        match result {
            Ok(reply) => {
                payload = reply.into_inner().payload;
                if payload == content.bytes {
                    tally.record(took);
                    continue;
                }
                tally.fail("a reply was not what was sent");
            }
            Err(status) => {
                tally.fail(status);
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
        payload = content.bytes.clone();
    }
}

/// Bytes that no other worker sends, and with a stamp no other call.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    calls: u64,
}

impl Content {
    fn new(length: u32, worker: u64) -> Self {
        let mut state = worker;
        let bytes = (0..length)
            .map(|_| {
                // Knuth's MMIX generator: noise that is the same in every run.
                state = state.wrapping_mul(6_364_136_223_846_793_005);
                state = state.wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        Self { bytes, calls: 0 }
    }

    /// Numbers the content, and a copy of it.
    fn stamp(&mut self, copy: &mut [u8]) {
        self.calls += 1;
        let number = self.calls.to_le_bytes();
        let length = number.len().min(self.bytes.len());
        self.bytes[..length].copy_from_slice(&number[..length]);
        copy[..length].copy_from_slice(&number[..length]);
    }
}

#[cfg(test)]
mod tests;
