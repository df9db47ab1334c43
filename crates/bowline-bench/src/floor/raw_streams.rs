//! Streams of the raw sockets of tokio's: length-prefixed messages in writes of 64 KiB or more, and
//! a receiver that finds them in a large buffer. A chat is what unary calls are, sent and received
//! at the same time.

use std::io::{self, IoSlice};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWriteExt as _;

use super::input::{Input, LENGTH};
use super::output::{COPIED_MAX, length};
use super::sockets::Writer;
use crate::system::Transferred;

/// Lengths from here on are of no message: they begin requests for streams.
pub(super) const REQUESTS: u32 = UPLOAD;
const UPLOAD: u32 = u32::MAX - 1;
const DOWNLOAD: u32 = u32::MAX;
/// A word of these, a length, and a count.
const REQUEST: usize = 16;

/// Bytes of one write.
const WRITE: usize = 64 << 10;

fn request(word: u32, size: u32, count: u64) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[..4].copy_from_slice(&word.to_le_bytes());
    request[4..8].copy_from_slice(&size.to_le_bytes());
    request[8..].copy_from_slice(&count.to_le_bytes());
    request
}

/// Answers what begins with one of the lengths that no message has.
pub(super) async fn serve(input: &mut Input, writer: &mut Writer) -> io::Result<()> {
    let request: [u8; REQUEST] = input.take().await?;
    let mut rest = &request[..];
    let (word, size, count) = (rest.get_u32_le(), rest.get_u32_le(), rest.get_u64_le());
    if word == DOWNLOAD {
        return send(writer, count, &vec![0x5a; size as usize]).await;
    }
    let received = receive(input, count).await?;
    writer.write_all(&received.messages.to_le_bytes()).await?;
    writer.write_all(&received.bytes.to_le_bytes()).await
}

pub(super) async fn download(
    (input, writer): &mut (Input, Writer),
    count: u64,
    size: u32,
) -> io::Result<Transferred> {
    writer.write_all(&request(DOWNLOAD, size, count)).await?;
    receive(input, count).await
}

pub(super) async fn upload(
    (input, writer): &mut (Input, Writer),
    count: u64,
    payload: Bytes,
) -> io::Result<Transferred> {
    writer.write_all(&request(UPLOAD, 0, count)).await?;
    send(writer, count, &payload).await?;
    let messages = u64::from_le_bytes(input.take().await?);
    let bytes = u64::from_le_bytes(input.take().await?);
    Ok(Transferred { messages, bytes })
}

pub(super) async fn chat(
    (input, writer): &mut (Input, Writer),
    count: u64,
    payload: Bytes,
) -> io::Result<Transferred> {
    let (_, received) = tokio::try_join!(send(writer, count, &payload), receive(input, count))?;
    Ok(received)
}

/// Sends so many messages.
async fn send(writer: &mut Writer, count: u64, payload: &[u8]) -> io::Result<()> {
    let length = length(payload);
    if payload.len() > COPIED_MAX {
        for _ in 0..count {
            write_both(writer, &length, payload).await?;
        }
        return Ok(());
    }
    let mut block = Vec::with_capacity(WRITE + LENGTH + COPIED_MAX);
    for left in (0..count).rev() {
        block.extend_from_slice(&length);
        block.extend_from_slice(payload);
        if block.len() >= WRITE || left == 0 {
            writer.write_all(&block).await?;
            block.clear();
        }
    }
    Ok(())
}

/// Writes a long message.
async fn write_both(writer: &mut Writer, length: &[u8], payload: &[u8]) -> io::Result<()> {
    let slices = [IoSlice::new(length), IoSlice::new(payload)];
    let written = writer.write_vectored(&slices).await?;
    // A socket that takes anything takes the four bytes.
    writer.write_all(&payload[written - length.len()..]).await
}

/// Receives so many messages.
async fn receive(input: &mut Input, count: u64) -> io::Result<Transferred> {
    let mut received = Transferred::default();
    loop {
        while received.messages < count {
            let Some(length) = input.message() else { break };
            received.add(length);
        }
        if received.messages == count {
            return Ok(received);
        }
        input.fill().await?;
    }
}
