//! Messages that the kit sends inside of frames: to adapters, and to the Echo service that peers
//! under test serve and call.

#![allow(
    missing_docs,
    clippy::all,
    unused_qualifications,
    unreachable_pub,
    reason = "generated code"
)]

/// From `proto/bowline/conformance/v1/adapter.proto`.
pub mod adapter {
    include!("generated/bowline.conformance.v1.rs");
}

/// From `proto/bowline/demo/v1/echo.proto`.
pub(crate) mod echo {
    include!("generated/bowline.demo.v1.rs");

    /// The service's name, with what stands before a method's.
    pub(crate) const SERVICE: &str = "bowline.demo.v1.Echo/";
}
