//! One direction of a connection in memory: a bounded queue of bytes between one writer and one
//! reader, either of which may close.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::BytesMut;

#[derive(Debug)]
pub(super) struct Pipe {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Never more than `capacity`.
    bytes: VecDeque<u8>,
    capacity: usize,
    writer_closed: bool,
    reader_closed: bool,
    /// Set while a reader waits for bytes or for the end.
    reader: Option<Waker>,
    /// Set while a writer waits for room or for the reader's end.
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            bytes: VecDeque::new(),
            capacity: capacity.max(1),
            writer_closed: false,
            reader_closed: false,
            reader: None,
            writer: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// Moves bytes into the spare capacity of `buf`; registers the waker where there are none.
    pub(super) fn recv(
        &self,
        buf: &mut BytesMut,
        cx: Option<&mut Context<'_>>,
    ) -> io::Result<usize> {
        let room = buf.capacity() - buf.len();
        if room == 0 {
            // Reading nothing would look like the end of the stream.
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to receive into"));
        }
        let mut state = self.lock();
        if state.bytes.is_empty() {
            if state.writer_closed {
                return Ok(0);
            }
            let replaced = register(&mut state.reader, cx);
            drop(state);
            drop(replaced);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = room.min(state.bytes.len());
        let (front, back) = state.bytes.as_slices();
        let from_front = taken.min(front.len());
        buf.extend_from_slice(&front[..from_front]);
        buf.extend_from_slice(&back[..taken - from_front]);
        state.bytes.drain(..taken);
        let waker = state.writer.take();
        drop(state);
        wake(waker);
        Ok(taken)
    }

    /// Moves a prefix of `data` in; registers the waker where there is no room.
    pub(super) fn send(
        &self,
        data: &[IoSlice<'_>],
        cx: Option<&mut Context<'_>>,
    ) -> io::Result<usize> {
        let mut state = self.lock();
        if state.writer_closed || state.reader_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut room = state.capacity - state.bytes.len();
        if data.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        if room == 0 {
            let replaced = register(&mut state.writer, cx);
            drop(state);
            drop(replaced);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = state.bytes.len();
        for slice in data {
            let moved = room.min(slice.len());
            state.bytes.extend(&slice[..moved]);
            room -= moved;
            if room == 0 {
                break;
            }
        }
        let moved = state.bytes.len() - before;
        let waker = state.reader.take();
        drop(state);
        wake(waker);
        Ok(moved)
    }

    /// What was written stays readable.
    pub(super) fn close_writer(&self) {
        let mut state = self.lock();
        state.writer_closed = true;
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }

    /// What was written is dropped; nobody will read it.
    pub(super) fn close_reader(&self) {
        let mut state = self.lock();
        state.reader_closed = true;
        state.bytes = VecDeque::new();
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every point where a panic is possible.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the waker into the slot. The one that it replaces is not to be dropped under the lock: with
/// it may go a task that owns this very pipe.
#[must_use]
fn register(slot: &mut Option<Waker>, cx: Option<&mut Context<'_>>) -> Option<Waker> {
    let waker = cx?.waker();
    if slot.as_ref().is_some_and(|slot| slot.will_wake(waker)) {
        return None;
    }
    slot.replace(waker.clone())
}

/// Never under the lock: a waker may poll at once.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
