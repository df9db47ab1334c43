//! Limits of the commands that differ from the runtime's defaults.

use bowline::Limits;

/// Raises, or lowers, the longest message that a side accepts. Several of them may be on their way.
pub(crate) fn with_message_max(mut limits: Limits, bytes: u64) -> Limits {
    let at_once = limits.large_max / limits.message_max;
    limits.message_max = bytes;
    limits.large_max = limits.large_max.max(bytes.saturating_mul(at_once));
    limits
}
