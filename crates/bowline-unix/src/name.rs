//! What a Unix socket is bound to: a path or an abstract name, and the socket address it makes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bowline_transport::{Address, AddressKind, Fault};
use rustix::net::SocketAddrUnix;

/// The longest path, and the longest abstract name, in bytes: Linux's `sun_path` without its NUL.
pub const NAME_MAX: usize = 107;

/// The name in an address that this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    Path(&'a Path),
    Abstract(&'a [u8]),
}

impl<'a> Name<'a> {
    pub(crate) fn of(address: &'a Address) -> Result<Self, Fault> {
        match address.kind() {
            AddressKind::Unix(path) => {
                fits(path.as_os_str().as_bytes())?;
                Ok(Self::Path(path))
            }
            AddressKind::UnixAbstract(name) => {
                fits(name)?;
                Ok(Self::Abstract(name))
            }
            _ => Err(Fault::unsupported(address)),
        }
    }

    pub(crate) fn sockaddr(self) -> Result<SocketAddrUnix, Fault> {
        match self {
            Self::Path(path) => path_sockaddr(path),
            Self::Abstract(name) => {
                fits(name)?;
                SocketAddrUnix::new_abstract_name(name).map_err(|errno| io("address", errno))
            }
        }
    }
}

pub(crate) fn path_sockaddr(path: &Path) -> Result<SocketAddrUnix, Fault> {
    // Without this, a path of 108 bytes would go out without its NUL, which some readers overrun.
    fits(path.as_os_str().as_bytes())?;
    SocketAddrUnix::new(path).map_err(|errno| io("address", errno))
}

/// The fault of a system call that failed for a reason that has no variant.
pub(crate) fn io(action: &'static str, errno: rustix::io::Errno) -> Fault {
    Fault::Io { action, error: errno.into() }
}

fn fits(bytes: &[u8]) -> Result<(), Fault> {
    match bytes.len() {
        length if length > NAME_MAX => Err(Fault::PathTooLong { length, limit: NAME_MAX }),
        _ => Ok(()),
    }
}
