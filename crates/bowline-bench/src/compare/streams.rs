//! Loads of streams: one call that carries thousands of messages, checked one by one.

use std::time::Instant;

use bowline::{Sender, Status, Streaming};
use tokio::sync::mpsc;

use super::load::Content;
use crate::demo::v1::echo_client::EchoClient;
use crate::demo::v1::{Chunk, DownloadRequest, UploadReply};
use crate::demo::{self, DownloadContent};
use crate::tally::Tally;

/// Bytes that a stream carries, about, and the bounds of the number of its messages.
const STREAM_BYTES: u64 = 16 * 1024 * 1024;
const MESSAGES_LEAST: u64 = 16;
const MESSAGES_MOST: u64 = 4096;
/// Messages of a bidi stream that are on their way at once.
const CHAT_DEPTH: usize = 16;

/// What streams of one worker are made of.
pub(super) struct Stream {
    client: EchoClient,
    content: Content,
    download: DownloadContent,
    checksum: u64,
    messages: u64,
}

impl Stream {
    pub(super) fn new(client: EchoClient, content: Content) -> Self {
        let length = content.bytes.len() as u64;
        Self {
            client,
            download: DownloadContent::new(u32::try_from(length).unwrap_or(u32::MAX)),
            checksum: demo::checksum(&content.bytes),
            messages: (STREAM_BYTES / length.max(1)).clamp(MESSAGES_LEAST, MESSAGES_MOST),
            content,
        }
    }

    pub(super) async fn download(&self, tally: &mut Tally) {
        let size = u32::try_from(self.content.bytes.len()).unwrap_or(u32::MAX);
        let request = DownloadRequest { count: self.messages, size, delay_us: 0 };
        let mut last = Instant::now();
        let mut chunks = match self.client.download(request).await {
            Ok(chunks) => chunks,
            Err(status) => return tally.fail(status),
        };
        let mut sequence = 0;
        loop {
            let message = chunks.message().await;
            let now = Instant::now();
            match message {
                Ok(Some(chunk)) => {
                    let expected = self.download.chunk(sequence);
                    if chunk.sequence == sequence && chunk.payload == expected {
                        tally.record(now - last);
                    } else {
                        tally.fail(format_args!("chunk {sequence} was not what was asked for"));
                    }
                    sequence += 1;
                    last = now;
                }
                Ok(None) if sequence == self.messages => return,
                Ok(None) => return tally.fail("the stream ended too early"),
                Err(status) => return tally.fail(status),
            }
        }
    }

    pub(super) async fn upload(&self, tally: &mut Tally) {
        let (mut sender, reply) = match self.client.upload(()).await {
            Ok(call) => call,
            Err(status) => return tally.fail(status),
        };
        for sequence in 0..self.messages {
            let chunk = self.chunk(sequence);
            let start = Instant::now();
            if sender.send(chunk).await.is_err() {
                // The reply says why.
                break;
            }
            tally.record(start.elapsed());
        }
        sender.finish();
        let expected = UploadReply {
            messages: self.messages,
            bytes: self.messages * self.content.bytes.len() as u64,
            checksum: self.messages.wrapping_mul(self.checksum),
        };
        match reply.await {
            Ok(reply) if *reply.message() == expected => {}
            Ok(_) => tally.fail("the server received something else than was sent"),
            Err(status) => tally.fail(status),
        }
    }

    pub(super) async fn chat(&self, tally: &mut Tally) {
        let (sender, chunks) = match self.client.chat(()).await {
            Ok(call) => call,
            Err(status) => return tally.fail(status),
        };
        // Holds when each message on its way was sent.
        let (starts, started) = mpsc::channel(CHAT_DEPTH);
        let (_, received) =
            tokio::join!(self.say(sender, starts), self.listen(chunks, started, tally));
        if let Err(status) = received {
            tally.fail(status);
        }
    }

    async fn say(&self, mut sender: Sender<Chunk>, starts: mpsc::Sender<Instant>) {
        for sequence in 0..self.messages {
            let chunk = self.chunk(sequence);
            let Ok(room) = starts.reserve().await else { return };
            room.send(Instant::now());
            if sender.send(chunk).await.is_err() {
                // The receiving half is told why.
                return;
            }
        }
        sender.finish();
    }

    async fn listen(
        &self,
        mut chunks: Streaming<Chunk>,
        mut started: mpsc::Receiver<Instant>,
        tally: &mut Tally,
    ) -> Result<(), Status> {
        let mut sequence = 0;
        while let Some(chunk) = chunks.message().await? {
            let now = Instant::now();
            let start = started.recv().await.unwrap_or(now);
            if chunk.sequence == sequence && chunk.payload == self.content.bytes {
                tally.record(now - start);
            } else {
                tally.fail(format_args!("chunk {sequence} came back as something else"));
            }
            sequence += 1;
        }
        if sequence < self.messages {
            tally.fail("the stream ended too early");
        }
        Ok(())
    }

    fn chunk(&self, sequence: u64) -> Chunk {
        Chunk { sequence, payload: self.content.bytes.clone() }
    }
}
