//! Messages that wait for one write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncWrite as _;

use super::input::LENGTH;
use super::sockets::Writer;

/// Longest message that is copied behind its length. Longer ones are sent from where they are.
pub(super) const COPIED_MAX: usize = 8 << 10;
/// Pieces of one write, at the most.
const PIECES: usize = 16;

/// Messages that wait for one write.
#[derive(Default)]
pub(super) struct Output {
    /// What goes first: long messages, and what was before them.
    pieces: VecDeque<Bytes>,
    last: BytesMut,
}

/// The length of a message, as it is sent.
pub(super) fn length(payload: &[u8]) -> [u8; LENGTH] {
    u32::try_from(payload.len()).expect("no message is so long").to_le_bytes()
}

impl Output {
    pub(super) fn push(&mut self, payload: Bytes) {
        self.last.extend_from_slice(&length(&payload));
        if payload.len() <= COPIED_MAX {
            self.last.extend_from_slice(&payload);
        } else {
            self.pieces.extend([self.last.split().freeze(), payload]);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.last.is_empty()
    }

    /// Writes all that waits.
    pub(super) fn poll_flush(
        &mut self,
        writer: &mut Writer,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = if self.pieces.is_empty() {
                ready!(Pin::new(&mut *writer).poll_write(cx, &self.last))?
            } else {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let pieces = self.pieces.iter().map(|piece| &piece[..]).chain([&self.last[..]]);
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                }
                ready!(Pin::new(&mut *writer).poll_write_vectored(cx, &slices))?
            };
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                return piece.advance(written);
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
        self.last.advance(written);
    }
}
