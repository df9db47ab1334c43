//! The messages of the service that a peer under test serves, `bowline.demo.v1.Echo`: see
//! `proto/bowline/demo/v1/demo.proto`.

use bytes::Bytes;

/// The service's name, with what stands before a method's.
pub(crate) const SERVICE: &str = "bowline.demo.v1.Echo/";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) payload: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) delay_us: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) fail_code: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EchoReply {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) payload: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DownloadRequest {
    #[prost(uint64, tag = "1")]
    pub(crate) count: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) size: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) delay_us: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Chunk {
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) payload: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UploadReply {
    #[prost(uint64, tag = "1")]
    pub(crate) messages: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) bytes: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) checksum: u64,
}
