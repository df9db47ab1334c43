//! Buffered reads of messages: a length in four bytes and the content.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, ReadBuf};

use super::raw_streams::REQUESTS;
use super::sockets::Reader;

/// Bytes before the content of a message.
pub(super) const LENGTH: usize = 4;
/// More than the kernel keeps for a Unix socket, so that one read takes all there is.
const BUFFER: usize = 256 << 10;

/// The receiving half of a connection, and what has been read and not used.
pub(super) struct Input {
    reader: Reader,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, buffer: vec![0; BUFFER], start: 0, end: 0 }
    }

    /// Reads once, into a buffer that has room for the message that has begun. The end of the
    /// stream is an error.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let needed = self.length().map_or(0, |length| LENGTH + length);
        if needed > self.buffer.len() {
            self.buffer.resize(needed, 0);
        }
        let mut free = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(&mut self.reader).poll_read(cx, &mut free))?;
        match free.filled().len() {
            0 => Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
            n => {
                self.end += n;
                Poll::Ready(Ok(()))
            }
        }
    }

    pub(super) async fn fill(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// The first word of what comes next, if that much has been read.
    fn word(&self) -> Option<u32> {
        let word = self.buffer[self.start..self.end].first_chunk::<LENGTH>()?;
        Some(u32::from_le_bytes(*word))
    }

    /// Whether a request for a stream comes next.
    pub(super) fn is_at_request(&self) -> bool {
        self.word().is_some_and(|word| word >= REQUESTS)
    }

    /// The length of the content of the next message.
    fn length(&self) -> Option<usize> {
        self.word().filter(|word| *word < REQUESTS).map(|word| word as usize)
    }

    /// Takes the next message, if it is there as a whole, and gives the length of its content.
    pub(super) fn message(&mut self) -> Option<usize> {
        let length = self.length()?;
        if self.end - self.start < LENGTH + length {
            return None;
        }
        self.start += LENGTH + length;
        Some(length)
    }

    /// Takes all messages that are there as a whole, with their lengths.
    pub(super) fn messages(&mut self) -> &[u8] {
        let start = self.start;
        while self.message().is_some() {}
        &self.buffer[start..self.start]
    }

    /// Takes bytes that are no message, when they have been read.
    pub(super) async fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        loop {
            if let Some(bytes) = self.buffer[self.start..self.end].first_chunk::<N>() {
                self.start += N;
                return Ok(*bytes);
            }
            self.fill().await?;
        }
    }
}
