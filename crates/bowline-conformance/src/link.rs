//! The kit's end of a connection: bytes out in writes of a chosen size, frames in, and a trace of
//! both.

use std::future::poll_fn;
use std::io::IoSlice;
use std::task::Poll;
use std::time::Duration;

use bowline::transport::Socket;
use bowline_protocol::PREFACE;
use bytes::BytesMut;

use crate::frames::{self, Frame};
use crate::trace::{Direction, Trace};

/// From here on in one write, the chosen size does not count any more: what is to be seen with small
/// writes shows in the first few.
const SLICED_MAX: usize = 2 * 1024;

/// What a link gives next.
#[derive(Debug)]
pub(crate) enum Input {
    Frame(Frame),
    /// The peer has ended its writing, or is gone; so many bytes of a frame came before that.
    End {
        rest: usize,
    },
    /// Nothing came for as long as the kit waits.
    Silence,
}

#[derive(Debug)]
pub(crate) struct Link {
    socket: Box<dyn Socket>,
    /// Bytes of a write.
    slice: usize,
    /// How long to wait for a peer that does nothing.
    patience: Duration,
    input: BytesMut,
    ended: bool,
    /// Does not read while it writes.
    pub(crate) deaf: bool,
    pub(crate) trace: Trace,
}

impl Link {
    pub(crate) fn new(socket: Box<dyn Socket>, slice: usize, patience: Duration) -> Self {
        let input = BytesMut::with_capacity(64 * 1024);
        Self { socket, slice, patience, input, ended: false, deaf: false, trace: Trace::default() }
    }

    /// The peer has ended its writing.
    pub(crate) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Writes, and reads all the while. A peer that takes no more is no fault here: what it says
    /// about it is read later.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let sliced = bytes.len().min(SLICED_MAX);
        let (first, rest) = bytes.split_at(sliced);
        for part in first.chunks(self.slice).chain(rest.chunks(64 * 1024)) {
            if tokio::time::timeout(self.patience, self.send_part(part)).await != Ok(true) {
                self.trace.note("the peer takes no more bytes");
                return;
            }
        }
    }

    /// False if the peer takes no more.
    async fn send_part(&mut self, mut part: &[u8]) -> bool {
        while !part.is_empty() {
            let sent = poll_fn(|cx| {
                if let Poll::Ready(sent) = self.socket.poll_send(cx, &[IoSlice::new(part)], &[]) {
                    return Poll::Ready(sent);
                }
                while !self.deaf && !self.ended && self.poll_input(cx).is_ready() {}
                Poll::Pending
            });
            match sent.await {
                Ok(count) => part = &part[count..],
                Err(_) => return false,
            }
        }
        true
    }

    fn poll_input(&mut self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        self.input.reserve(64 * 1024);
        let mut descriptors = Vec::new();
        self.socket.poll_recv(cx, &mut self.input, &mut descriptors).map(|result| {
            self.ended |= !matches!(result, Ok(count) if count > 0);
        })
    }

    /// Ends the kit's writing.
    pub(crate) fn shut(&mut self) {
        self.trace.note("the kit ends its writing");
        // A peer that is gone already is seen when it is read from.
        let _ = self.socket.shutdown();
    }

    /// The preface of the peer; none if the stream ends, or nothing comes, before it is there.
    pub(crate) async fn preface(&mut self) -> Option<[u8; 8]> {
        while self.input.len() < PREFACE.len() {
            if !self.more().await {
                return None;
            }
        }
        let bytes = self.input.split_to(PREFACE.len());
        self.trace.bytes(Direction::In, "preface", &bytes);
        bytes[..].try_into().ok()
    }

    /// The next frame of the peer.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            if let Some(frame) = frames::take_frame(&mut self.input) {
                self.trace.frame(Direction::In, &frame);
                return Input::Frame(frame);
            }
            if self.ended {
                let rest = self.input.len();
                self.trace.note("the peer has ended its writing");
                return Input::End { rest };
            }
            if !self.more().await {
                return if self.ended { continue } else { Input::Silence };
            }
        }
    }

    /// Waits for more bytes; false if there are none.
    async fn more(&mut self) -> bool {
        let patience = self.patience;
        let more = poll_fn(|cx| if self.ended { Poll::Ready(()) } else { self.poll_input(cx) });
        tokio::time::timeout(patience, more).await.is_ok() && !self.ended
    }
}
