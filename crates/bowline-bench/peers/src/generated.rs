//! What the systems' own generators make of the schemas, see `build.rs`.
#![allow(warnings, clippy::all, reason = "the generators are not ours")]

::capnp::generated_code!(pub mod bench_capnp);

/// By connectrpc, with messages of buffa.
pub(crate) mod connectrpc {
    include!(concat!(env!("OUT_DIR"), "/connectrpc/mod.rs"));
}

/// By tonic, with messages of prost.
pub(crate) mod tonic {
    include!(concat!(env!("OUT_DIR"), "/tonic/bowline.bench.v1.rs"));
}

/// By ttrpc, with messages of rust-protobuf.
pub(crate) mod ttrpc {
    pub(crate) mod bench {
        include!(concat!(env!("OUT_DIR"), "/ttrpc/bench.rs"));
    }

    pub(crate) mod bench_ttrpc {
        include!(concat!(env!("OUT_DIR"), "/ttrpc/bench_ttrpc.rs"));
    }
}
