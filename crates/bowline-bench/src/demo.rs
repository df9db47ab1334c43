//! The Echo service: the four kinds of method, to try Bowline with, to test and to measure.

use std::time::Duration;

use bowline::{Code, Request, Response, Sender, Status, Streaming};

use self::v1::echo_server::{Echo, EchoServer};
use self::v1::{Chunk, DownloadRequest, EchoReply, EchoRequest, UploadReply};

pub mod v1 {
    //! What is generated from `proto/bowline/demo/v1/echo.proto`.

    include!("generated/bowline.demo.v1.rs");
}

/// Byte i of chunk n of a download is (n + i) mod this.
const PERIOD: u64 = 251;
/// Longest chunk that a download makes: a few bytes of a request shall not cost gigabytes.
const CHUNK_MAX: u32 = 64 * 1024 * 1024;

/// Answers as the comments in `echo.proto` say.
#[derive(Debug, Clone, Copy, Default)]
pub struct EchoService;

/// The service, to be added to a server.
#[must_use]
pub fn service() -> EchoServer<EchoService> {
    EchoServer::new(EchoService)
}

impl Echo for EchoService {
    async fn unary(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        let EchoRequest { payload, delay_us, fail_code } = request.into_inner();
        pause(delay_us).await;
        match Code::from_wire(fail_code) {
            Code::Ok => Ok(Response::new(EchoReply { payload })),
            code => Err(Status::new(code, "the request asked for this status")),
        }
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
        mut replies: Sender<Chunk>,
    ) -> Result<(), Status> {
        let DownloadRequest { count, size, delay_us } = request.into_inner();
        if size > CHUNK_MAX {
            let text = format!("chunks of {size} bytes; the most is {CHUNK_MAX}");
            return Err(Status::invalid_argument(text));
        }
        let content = DownloadContent::new(size);
        for sequence in 0..count {
            pause(delay_us).await;
            let payload = content.chunk(sequence).to_vec();
            replies.send(Chunk { sequence, payload }).await?;
        }
        Ok(())
    }

    async fn upload(
        &self,
        request: Request<Streaming<Chunk>>,
    ) -> Result<Response<UploadReply>, Status> {
        let mut chunks = request.into_inner();
        let mut reply = UploadReply::default();
        while let Some(chunk) = chunks.message().await? {
            reply.messages += 1;
            reply.bytes += chunk.payload.len() as u64;
            reply.checksum = reply.checksum.wrapping_add(checksum(&chunk.payload));
        }
        Ok(Response::new(reply))
    }

    async fn chat(
        &self,
        request: Request<Streaming<Chunk>>,
        mut replies: Sender<Chunk>,
    ) -> Result<(), Status> {
        let mut chunks = request.into_inner();
        while let Some(chunk) = chunks.message().await? {
            replies.send(chunk).await?;
        }
        Ok(())
    }
}

async fn pause(delay_us: u64) {
    if delay_us > 0 {
        tokio::time::sleep(Duration::from_micros(delay_us)).await;
    }
}

/// What [`UploadReply::checksum`] adds up, of one payload.
pub(crate) fn checksum(payload: &[u8]) -> u64 {
    payload.iter().map(|byte| u64::from(*byte)).sum()
}

/// The content of the chunks of a download, made once for all of them.
pub(crate) struct DownloadContent {
    bytes: Vec<u8>,
    size: usize,
}

impl DownloadContent {
    pub(crate) fn new(size: u32) -> Self {
        let bytes = (0..u64::from(size) + PERIOD).map(|i| (i % PERIOD) as u8).collect();
        Self { bytes, size: size as usize }
    }

    /// The payload of the chunk with this number.
    pub(crate) fn chunk(&self, sequence: u64) -> &[u8] {
        let start = (sequence % PERIOD) as usize;
        &self.bytes[start..start + self.size]
    }
}

#[cfg(test)]
mod tests;
