//! Methods: their names and kinds.

/// How many messages a method takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// One message each way.
    Unary,
    /// One message to the server, any number back.
    ServerStreaming,
    /// Any number of messages to the server, one back.
    ClientStreaming,
    /// Any number of messages each way.
    BidiStreaming,
}

/// A method of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    path: &'static str,
    kind: MethodKind,
}

impl Method {
    /// The method with this full name, `package.Service/Method`.
    #[must_use]
    pub const fn new(path: &'static str, kind: MethodKind) -> Self {
        Self { path, kind }
    }

    /// The full name, `package.Service/Method`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// How many messages it takes and gives.
    #[must_use]
    pub const fn kind(&self) -> MethodKind {
        self.kind
    }
}
