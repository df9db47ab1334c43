//! What the hard end-to-end suites share: raw messages, a service, transports that count bytes, a
//! watchdog, and child processes.
#![allow(dead_code, reason = "each suite uses a part of it")]

pub(crate) mod bytes;
pub(crate) mod child;
pub(crate) mod counting;
pub(crate) mod service;
pub(crate) mod wiring;

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use bowline::codegen::prost::bytes::{Buf, BufMut, Bytes};
use bowline::codegen::prost::encoding::{DecodeContext, WireType};
use bowline::codegen::prost::{DecodeError, Message};

/// A message that is its bytes, so that lengths on the wire are exact and nothing is copied to look
/// at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Bytes);

impl Message for Raw {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _tag: u32,
        _wire_type: WireType,
        _buf: &mut impl Buf,
        _ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        unreachable!("merge takes all bytes")
    }

    fn merge(&mut self, mut buf: impl Buf) -> Result<(), DecodeError> {
        self.0 = buf.copy_to_bytes(buf.remaining());
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Longest content that [`content`] gives.
pub(crate) const CONTENT_MAX: usize = 64 * 1024 * 1024;
/// Contents with numbers up to this differ.
const NUMBERS: usize = 16 * 1024;

/// Bytes without a pattern that a shifted or repeated copy would match.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(NUMBERS + 1024 * 1024);
    while noise.len() < NUMBERS + 1024 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.into()
});

/// The content of the message with this number.
pub(crate) fn content(number: usize, length: usize) -> Bytes {
    let from = number % NUMBERS;
    if length <= 1024 * 1024 {
        return NOISE.slice(from..from + length);
    }
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        // Each MiB starts elsewhere, so that none can stand for another.
        let from = (number + bytes.len() / (1024 * 1024)) % NUMBERS;
        let rest = (length - bytes.len()).min(1024 * 1024);
        bytes.extend_from_slice(&NOISE[from..from + rest]);
    }
    bytes.into()
}

/// FNV-1a over words: enough to see that bytes are the same, and fast without optimization.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29);
    let hash = words
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, word| step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte))) ^ bytes.len() as u64
}

/// Upper bound for anything that is not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits something that must come.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// One of the two kinds of runtimes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flavour {
    /// Both ends in one thread.
    Current,
    /// Two workers.
    Multi,
}

impl Flavour {
    pub(crate) const ALL: [Self; 2] = [Self::Current, Self::Multi];

    pub(crate) fn block_on<F: Future>(self, future: F) -> F::Output {
        let mut builder = match self {
            Self::Current => tokio::runtime::Builder::new_current_thread(),
            Self::Multi => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(2);
                builder
            }
        };
        builder.enable_all().build().expect("a runtime").block_on(future)
    }
}

/// A value in KiB from `/proc/PID/status`.
pub(crate) fn status_kib(pid: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    let number = line.trim_start_matches(':').trim().trim_end_matches("kB").trim();
    number.parse().expect("a number")
}

/// Sets the peak of this process's resident memory to what it is now.
pub(crate) fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("resetting VmHWM");
}
