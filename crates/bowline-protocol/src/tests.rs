//! What the tests of several modules need.

pub(crate) mod page;

/// The one place where tests of this crate ask for the time: where their virtual clocks start.
#[expect(clippy::disallowed_methods, reason = "any instant does, and there is no other way to one")]
pub(crate) fn start() -> std::time::Instant {
    std::time::Instant::now()
}
