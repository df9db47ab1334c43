//! Limits of the commands that differ from the runtime's defaults.

use std::time::Duration;

use bowline::Limits;

/// Raises, or lowers, the longest message that a side accepts. Several of them may be on their way.
pub(crate) fn with_message_max(mut limits: Limits, bytes: u64) -> Limits {
    let at_once = limits.large_max / limits.message_max;
    limits.message_max = bytes;
    limits.large_max = limits.large_max.max(bytes.saturating_mul(at_once));
    limits
}

/// Sets how long a peer may take, for everything.
pub(crate) const fn set_timeouts(limits: &mut Limits, timeout: Duration) {
    limits.handshake_timeout = timeout;
    limits.frame_timeout = timeout;
    limits.stall_timeout = timeout;
}
