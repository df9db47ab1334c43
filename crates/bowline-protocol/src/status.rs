//! Status: how a call ended.

use std::fmt;

use prost::Message as _;
use prost_types::Any;

use crate::error::PeerMisbehaved;
use crate::frame::FrameType;
use crate::metadata::Metadata;
use crate::wire;
pub use crate::wire::Code;

impl Code {
    /// The code with this number; one that is not known reads as [`Code::Unknown`].
    // [STA-001]
    #[must_use]
    pub fn from_wire(number: u32) -> Self {
        i32::try_from(number).ok().and_then(|n| Self::try_from(n).ok()).unwrap_or(Self::Unknown)
    }

    /// The name that the specification uses, such as `DEADLINE_EXCEEDED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_str_name().trim_start_matches("CODE_")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a [`Status`] came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Origin {
    /// It never left this process.
    #[default]
    Local,
    /// The peer sent it.
    Remote,
}

/// How a call ended: a code and a message, with typed details and trailing metadata.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Status {
    code: Code,
    not_started: bool,
    origin: Origin,
    /// `None` if it would be empty: most statuses say OK and nothing more.
    more: Option<Box<More>>,
}

/// What a status may say beside its code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct More {
    message: String,
    details: Vec<Any>,
    metadata: Metadata,
}

impl More {
    fn boxed(self) -> Option<Box<Self>> {
        let empty = self.message.is_empty() && self.details.is_empty() && self.metadata.is_empty();
        (!empty).then(|| Box::new(self))
    }
}

impl Status {
    /// A status of this process's own.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            not_started: false,
            origin: Origin::Local,
            more: More { message: message.into(), ..More::default() }.boxed(),
        }
    }

    /// Success.
    #[must_use]
    pub const fn ok() -> Self {
        Self { code: Code::Ok, not_started: false, origin: Origin::Local, more: None }
    }

    /// Adds a typed detail.
    #[must_use]
    pub fn with_detail(mut self, detail: Any) -> Self {
        self.more.get_or_insert_default().details.push(detail);
        self
    }

    /// Sets the trailing metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        let mut more = self.more.map_or_else(More::default, |more| *more);
        more.metadata = metadata;
        self.more = more.boxed();
        self
    }

    /// Says that the handler never ran.
    #[must_use]
    pub fn with_not_started(mut self, not_started: bool) -> Self {
        self.not_started = not_started;
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        self.more.as_ref().map_or("", |more| &more.message)
    }

    /// Typed details.
    #[must_use]
    pub fn details(&self) -> &[Any] {
        self.more.as_ref().map_or(&[], |more| &more.details)
    }

    /// Trailing metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        const NONE: &Metadata = &Metadata::new();
        self.more.as_ref().map_or(NONE, |more| &more.metadata)
    }

    /// The handler never ran: the call can be repeated safely.
    #[must_use]
    pub const fn not_started(&self) -> bool {
        self.not_started
    }

    /// Whether the peer sent it, or it never left this process.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The call succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.code == Code::Ok
    }

    /// The same, as it came from the peer.
    pub(crate) const fn received(mut self) -> Self {
        self.origin = Origin::Remote;
        self
    }

    pub(crate) fn from_wire(status: wire::Status, limit: u32) -> Result<Self, PeerMisbehaved> {
        let metadata = Metadata::from_wire(status.metadata, FrameType::Status, limit)?;
        let more = More { message: status.message, details: status.details, metadata };
        Ok(Self {
            code: Code::from_wire(status.code),
            not_started: status.not_started,
            origin: Origin::Remote,
            more: more.boxed(),
        })
    }

    /// The body of STATUS, cut to what the peer takes: details go first, then metadata, then the
    /// message's end.
    // [STA-002]
    pub(crate) fn into_wire(self, limit: u32) -> wire::Status {
        let More { message, details, mut metadata } = self.more.map_or_else(More::default, |m| *m);
        let metadata_limit = u64::from(limit);
        while metadata.size() > metadata_limit && metadata.pop() {}
        let mut body = wire::Status {
            code: self.code as u32,
            message,
            details,
            metadata: metadata.into_wire(),
            not_started: self.not_started,
        };
        let limit = limit as usize;
        while body.encoded_len() > limit
            && (body.details.pop().is_some() || body.metadata.pop().is_some())
        {}
        if body.encoded_len() > limit {
            let excess = body.encoded_len() - limit;
            let mut end = body.message.len().saturating_sub(excess);
            while !body.message.is_char_boundary(end) {
                end -= 1;
            }
            body.message.truncate(end);
        }
        body
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.message().is_empty() {
            write!(f, ": {}", self.message())?;
        }
        if self.not_started {
            f.write_str(" (not started)")?;
        }
        if self.origin == Origin::Local && self.code != Code::Ok {
            f.write_str(" (local)")?;
        }
        Ok(())
    }
}

impl std::error::Error for Status {}

/// Makes a constructor for each code.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident,)*) => {
        impl Status {
            $($(#[$doc])* #[must_use] pub fn $name(message: impl Into<String>) -> Self {
                Self::new(Code::$code, message)
            })*
        }
    };
}

constructors! {
    /// CANCELLED: the caller gave the call up.
    cancelled => Cancelled,
    /// UNKNOWN: an error that says no more.
    unknown => Unknown,
    /// INVALID_ARGUMENT: the request is wrong, whatever the state of the service.
    invalid_argument => InvalidArgument,
    /// DEADLINE_EXCEEDED: the deadline passed first.
    deadline_exceeded => DeadlineExceeded,
    /// NOT_FOUND: what was asked for does not exist.
    not_found => NotFound,
    /// ALREADY_EXISTS: what should be made exists already.
    already_exists => AlreadyExists,
    /// PERMISSION_DENIED: the caller may not do this.
    permission_denied => PermissionDenied,
    /// RESOURCE_EXHAUSTED: a limit was met.
    resource_exhausted => ResourceExhausted,
    /// FAILED_PRECONDITION: the service is not in the state that the call needs.
    failed_precondition => FailedPrecondition,
    /// ABORTED: the call lost against a concurrent one.
    aborted => Aborted,
    /// OUT_OF_RANGE: beyond the valid range.
    out_of_range => OutOfRange,
    /// UNIMPLEMENTED: the service does not have this method.
    unimplemented => Unimplemented,
    /// INTERNAL: the service is broken.
    internal => Internal,
    /// UNAVAILABLE: the service cannot be reached for now.
    unavailable => Unavailable,
    /// DATA_LOSS: data was lost or damaged beyond repair.
    data_loss => DataLoss,
    /// UNAUTHENTICATED: the caller has not proved who it is.
    unauthenticated => Unauthenticated,
}

#[cfg(test)]
mod tests;
