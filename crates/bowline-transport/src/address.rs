//! Addresses: where a listener listens and a connector connects, as text and as typed parts.
//!
//! An [`Address`] is checked when it is made, so that no transport has to look for NULs, missing
//! ports or empty names again. It knows nothing of sockets and looks nothing up.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a transport listens or connects.
///
/// | text | what it names |
/// |---|---|
/// | `unix:relative/path` | a socket file, relative to the working directory |
/// | `unix:///absolute/path`, `unix:/absolute/path` | a socket file |
/// | `unix-abstract:name` | a name in Linux's abstract namespace: no file, no permissions |
/// | `tcp:127.0.0.1:7000`, `tcp:[::1]:7000`, `tcp:localhost:7000` | a TCP port |
/// | `memory:name` | a name inside this process |
/// | `scheme:rest` | whatever a transport from elsewhere makes of it |
///
/// What follows the scheme is taken as it stands: nothing is percent-decoded, `~` and `$VARIABLE` are
/// not expanded. Paths and abstract names may hold any bytes, except that a path holds no NUL.
///
/// `Display` gives the canonical text, which parses to an equal address. Only a path or abstract name
/// that is not UTF-8 is shown with replacement characters; [`to_os_string`](Self::to_os_string) and
/// [`from_os_str`](Self::from_os_str) carry those, too.
///
/// ```
/// use bowline_transport::{Address, AddressKind};
///
/// let address: Address = "unix:/run/app/api.sock".parse()?;
/// assert_eq!(address.to_string(), "unix:///run/app/api.sock");
/// assert!(matches!(address.kind(), AddressKind::Unix(path) if path.ends_with("api.sock")));
/// assert_eq!(address, Address::unix("/run/app/api.sock")?);
/// # Ok::<(), bowline_transport::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(Repr);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    /// Not empty, without NUL.
    Unix(PathBuf),
    /// Not empty.
    UnixAbstract(Box<[u8]>),
    /// The host is an IP address in its canonical form, without brackets, or a host name.
    Tcp { host: Box<str>, port: u16 },
    /// Not empty.
    Memory(Box<str>),
    /// The scheme is well-formed and none of the above.
    Other { scheme: Box<str>, rest: Box<str> },
}

/// The parts of an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressKind<'a> {
    /// A socket file. Never empty, never with a NUL.
    Unix(&'a Path),
    /// A name in Linux's abstract namespace, without the leading NUL. Never empty.
    UnixAbstract(&'a [u8]),
    /// A TCP port.
    Tcp {
        /// An IP address without brackets, or a host name.
        host: &'a str,
        /// The port; 0 asks the system for a free one.
        port: u16,
    },
    /// A name inside this process. Never empty.
    Memory(&'a str),
    /// An address of a transport that is not Bowline's.
    Other {
        /// What stands before the first colon.
        scheme: &'a str,
        /// What stands after it.
        rest: &'a str,
    },
}

const UNIX: &str = "unix";
const UNIX_ABSTRACT: &str = "unix-abstract";
const TCP: &str = "tcp";
const MEMORY: &str = "memory";

impl Address {
    /// The address of a socket file.
    ///
    /// # Errors
    /// If the path is empty or holds a NUL.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, AddressError> {
        let path = path.as_ref();
        let problem = if path.as_os_str().is_empty() {
            AddressProblem::EmptyPath
        } else if path.as_os_str().as_bytes().contains(&0) {
            AddressProblem::NulInPath
        } else {
            return Ok(Self(Repr::Unix(path.to_owned())));
        };
        Err(AddressError::new(unix_text(path), problem))
    }

    /// The address of a name in Linux's abstract namespace, given without its leading NUL.
    ///
    /// # Errors
    /// If the name is empty: the system would choose one, and nobody could connect.
    pub fn unix_abstract(name: impl AsRef<[u8]>) -> Result<Self, AddressError> {
        match name.as_ref() {
            [] => Err(AddressError::new(format!("{UNIX_ABSTRACT}:"), AddressProblem::EmptyName)),
            name => Ok(Self(Repr::UnixAbstract(name.into()))),
        }
    }

    /// The address of a TCP port. The host is a name or an IP address; an IPv6 address may stand in
    /// brackets.
    ///
    /// # Errors
    /// If the host is neither an IP address nor a possible host name.
    pub fn tcp(host: &str, port: u16) -> Result<Self, AddressError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
            None => host.parse::<IpAddr>().ok(),
        }
        .map(|ip| ip.to_string())
        .or_else(|| is_host_name(host).then(|| host.to_ascii_lowercase()))
        .ok_or_else(|| {
            let problem = AddressProblem::InvalidHost { host: host.to_owned() };
            AddressError::new(format!("{TCP}:{host}:{port}"), problem)
        })?;
        Ok(Self(Repr::Tcp { host: host.into(), port }))
    }

    /// The address of a name inside this process.
    ///
    /// # Errors
    /// If the name is empty.
    pub fn memory(name: &str) -> Result<Self, AddressError> {
        if name.is_empty() {
            return Err(AddressError::new(format!("{MEMORY}:"), AddressProblem::EmptyName));
        }
        Ok(Self(Repr::Memory(name.into())))
    }

    /// The address of a transport that is not Bowline's.
    ///
    /// # Errors
    /// If the scheme is one of Bowline's, or is not a lower-case letter followed by lower-case
    /// letters, digits, `+`, `-` and `.`.
    pub fn other(scheme: &str, rest: &str) -> Result<Self, AddressError> {
        let problem = if [UNIX, UNIX_ABSTRACT, TCP, MEMORY].contains(&scheme) {
            AddressProblem::ReservedScheme { scheme: scheme.to_owned() }
        } else if !is_scheme(scheme) {
            AddressProblem::InvalidScheme { scheme: scheme.to_owned() }
        } else {
            return Ok(Self(Repr::Other { scheme: scheme.into(), rest: rest.into() }));
        };
        Err(AddressError::new(format!("{scheme}:{rest}"), problem))
    }

    /// Parses an address whose path or name need not be UTF-8, such as a command-line argument.
    ///
    /// # Errors
    /// As parsing from a string.
    pub fn from_os_str(text: &OsStr) -> Result<Self, AddressError> {
        if let Some(text) = text.to_str() {
            return text.parse();
        }
        let bytes = text.as_bytes();
        let unix = bytes.strip_prefix(b"unix:").map(|rest| {
            let rest =
                rest.strip_prefix(b"//").filter(|rest| rest.starts_with(b"/")).unwrap_or(rest);
            Self::unix(OsStr::from_bytes(rest))
        });
        let unix_abstract = bytes.strip_prefix(b"unix-abstract:").map(Self::unix_abstract);
        unix.or(unix_abstract).unwrap_or_else(|| {
            Err(AddressError::new(text.to_string_lossy().into(), AddressProblem::NotUtf8))
        })
    }

    /// The canonical text, without loss.
    #[must_use]
    pub fn to_os_string(&self) -> OsString {
        match &self.0 {
            Repr::Unix(path) => {
                let mut text = OsString::from(unix_prefix(path));
                text.push(path);
                text
            }
            Repr::UnixAbstract(name) => {
                OsString::from_vec([UNIX_ABSTRACT.as_bytes(), b":", name].concat())
            }
            Repr::Tcp { .. } | Repr::Memory(_) | Repr::Other { .. } => self.to_string().into(),
        }
    }

    /// The parts.
    #[must_use]
    pub fn kind(&self) -> AddressKind<'_> {
        match &self.0 {
            Repr::Unix(path) => AddressKind::Unix(path),
            Repr::UnixAbstract(name) => AddressKind::UnixAbstract(name),
            Repr::Tcp { host, port } => AddressKind::Tcp { host, port: *port },
            Repr::Memory(name) => AddressKind::Memory(name),
            Repr::Other { scheme, rest } => AddressKind::Other { scheme, rest },
        }
    }

    /// What stands before the first colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match &self.0 {
            Repr::Unix(_) => UNIX,
            Repr::UnixAbstract(_) => UNIX_ABSTRACT,
            Repr::Tcp { .. } => TCP,
            Repr::Memory(_) => MEMORY,
            Repr::Other { scheme, .. } => scheme,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Unix(path) => f.write_str(&unix_text(path)),
            Repr::UnixAbstract(name) => {
                write!(f, "{UNIX_ABSTRACT}:{}", String::from_utf8_lossy(name))
            }
            Repr::Tcp { host, port } if host.contains(':') => write!(f, "{TCP}:[{host}]:{port}"),
            Repr::Tcp { host, port } => write!(f, "{TCP}:{host}:{port}"),
            Repr::Memory(name) => write!(f, "{MEMORY}:{name}"),
            Repr::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Unlike the text, this keeps apart what is not UTF-8.
        write!(f, "Address({:?})", self.to_os_string())
    }
}

impl From<SocketAddr> for Address {
    /// The scope of an IPv6 address is left out.
    fn from(addr: SocketAddr) -> Self {
        Self(Repr::Tcp { host: addr.ip().to_string().into(), port: addr.port() })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |problem| Err(AddressError::new(text.to_owned(), problem));
        let Some((scheme, rest)) = text.split_once(':') else {
            return fail(AddressProblem::NoScheme);
        };
        let parsed = match scheme {
            UNIX => match rest.strip_prefix("//") {
                Some(rest) if rest.starts_with('/') => Self::unix(rest),
                Some(_) => return fail(AddressProblem::UnixHost),
                None => Self::unix(rest),
            },
            UNIX_ABSTRACT => Self::unix_abstract(rest),
            TCP => match parse_tcp(rest) {
                Ok((host, port)) => Self::tcp(host, port),
                Err(problem) => return fail(problem),
            },
            MEMORY => Self::memory(rest),
            // A path or an IP address with its scheme forgotten.
            _ if scheme.contains('/') || text.parse::<SocketAddr>().is_ok() => {
                return fail(AddressProblem::NoScheme);
            }
            _ => Self::other(scheme, rest),
        };
        // The text as the user wrote it says more than the text put together again.
        parsed.map_err(|error| AddressError::new(text.to_owned(), error.problem))
    }
}

impl TryFrom<&str> for Address {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an address: {problem}; an address is one of unix:relative/path, \
     unix:///absolute/path, unix-abstract:name, tcp:127.0.0.1:7000, tcp:[::1]:7000, memory:name"
)]
pub struct AddressError {
    text: String,
    problem: AddressProblem,
}

impl AddressError {
    fn new(text: String, problem: AddressProblem) -> Self {
        Self { text, problem }
    }

    /// The text that is not an address.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &AddressProblem {
        &self.problem
    }
}

/// What is wrong with the text of an [`AddressError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressProblem {
    /// There is no scheme.
    #[error("it does not begin with a scheme and a colon")]
    NoScheme,
    /// The scheme has letters that a scheme cannot have.
    #[error("{scheme:?} is not a scheme (lower-case letters, digits, +, - and .)")]
    InvalidScheme {
        /// The scheme.
        scheme: String,
    },
    /// A transport from elsewhere cannot have one of Bowline's schemes.
    #[error("the scheme {scheme:?} is Bowline's own")]
    ReservedScheme {
        /// The scheme.
        scheme: String,
    },
    /// `unix:` and nothing.
    #[error("the path is empty")]
    EmptyPath,
    /// The path holds a NUL.
    #[error("the path holds a NUL byte, which no path can")]
    NulInPath,
    /// `unix://` is followed by something other than an absolute path.
    #[error("after unix:// comes an absolute path, so there are three slashes")]
    UnixHost,
    /// A name is empty.
    #[error("the name is empty")]
    EmptyName,
    /// `tcp:` is followed by slashes.
    #[error("tcp: is not followed by slashes")]
    TcpSlashes,
    /// A TCP address has no port.
    #[error("the port is missing")]
    NoPort,
    /// The port is not a number up to 65,535.
    #[error("{port:?} is not a port (0 to 65535)")]
    InvalidPort {
        /// What stands in its place.
        port: String,
    },
    /// The host is neither an IP address nor a possible name.
    #[error("{host:?} is neither an IP address (IPv6 in brackets, without a zone) nor a host name")]
    InvalidHost {
        /// The host.
        host: String,
    },
    /// Only paths and abstract names may be other than UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}

fn unix_prefix(path: &Path) -> &'static str {
    if path.is_absolute() { "unix://" } else { "unix:" }
}

fn unix_text(path: &Path) -> String {
    let text: Cow<'_, str> = path.to_string_lossy();
    format!("{}{text}", unix_prefix(path))
}

fn parse_tcp(rest: &str) -> Result<(&str, u16), AddressProblem> {
    if rest.starts_with("//") {
        return Err(AddressProblem::TcpSlashes);
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => return Err(AddressProblem::NoPort),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(AddressProblem::InvalidHost { host: host.to_owned() });
    }
    // `u16::from_str` would take a plus sign.
    let port = Some(port)
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|port| port.parse().ok())
        .ok_or_else(|| AddressProblem::InvalidPort { port: port.to_owned() })?;
    Ok((host, port))
}

fn is_scheme(scheme: &str) -> bool {
    let rest = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
    };
    scheme.starts_with(|first: char| first.is_ascii_lowercase()) && scheme.bytes().all(rest)
}

/// Labels of letters, digits, hyphens and underscores, and not something that only looks like an IP
/// address, which resolvers read in surprising ways (`127.1`, `0x7f000001`).
fn is_host_name(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = labels.rsplit('.').next().unwrap_or(labels);
    labels.len() <= 253
        && labels.split('.').all(label)
        && !last.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests;
