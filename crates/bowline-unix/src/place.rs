//! The place of a socket file: its directory, held open, and its name in there. Looking at what is
//! there, and finding out whether anybody lives behind it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bowline_transport::{Fault, FileKind, Permission};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::credentials::peer_identity;
use crate::name::{NAME_MAX, io, path_sockaddr};
use crate::path;

/// Which file something is. The number of a file is not given to another one while anybody holds the
/// file, and a bound socket holds its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[allow(clippy::unnecessary_cast, reason = "the widths differ between architectures")]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
    }
}

/// What is at a place where a socket is to be.
#[derive(Debug)]
pub(crate) enum Occupant {
    /// Nothing.
    Nobody,
    /// A socket that refuses connections: its server is gone. It is held, so that its identity stays
    /// its own.
    Dead(Identity, OwnedFd),
}

/// A directory and the name of a socket file in it.
#[derive(Debug)]
pub(crate) struct Place {
    /// Opened for its path alone. Later steps go through it, so that they mean the same directory
    /// even if the working directory or a link on the way changes.
    pub(crate) directory: OwnedFd,
    pub(crate) name: OsString,
    path: PathBuf,
}

impl Place {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let name = match path.file_name() {
            // `file_name` overlooks a slash at the end, and a dot behind it.
            Some(name) if path.as_os_str().as_bytes().ends_with(name.as_bytes()) => name.to_owned(),
            _ => return Err(Fault::NoFileName),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path::parent(path), flags, Mode::empty()).map_err(|errno| {
            let explained = match errno {
                Errno::NOENT | Errno::NOTDIR => path::missing_directory(path),
                Errno::ACCESS | Errno::PERM => Some(path::denied(path, Permission::Create)),
                _ => None,
            };
            explained.unwrap_or_else(|| io("open the directory", errno))
        })?;
        Ok(Self { directory, name, path: path.to_owned() })
    }

    /// The name of a file that goes with the socket.
    pub(crate) fn beside(&self, suffix: &str) -> OsString {
        let mut name = self.name.clone();
        name.push(suffix);
        name
    }

    /// The path of a file in the directory, as the user would write it.
    pub(crate) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// The name under which the socket is made before it is moved to its place. There is one for each
    /// place, so that what a killed server left is found by the next.
    pub(crate) fn temporary(&self) -> OsString {
        let name = self.beside(".new");
        if name.len() <= 64 {
            return name;
        }
        // Too long to be sure to fit behind `/proc/self/fd/N/`.
        let hash = self.name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!(".{hash:016x}.new").into()
    }

    /// The socket address of a file in the directory. The limit on its length is to bind the user's
    /// path alone, so that a longer one goes through the directory that is held open. The user's own
    /// is preferred since it is what `ss` shows.
    pub(crate) fn sockaddr_of(&self, name: &OsStr) -> Result<SocketAddrUnix, Fault> {
        let path = self.path_of(name);
        if path.as_os_str().len() <= NAME_MAX {
            return path_sockaddr(&path);
        }
        path_sockaddr(&proc_path(&self.directory).join(name))
    }

    pub(crate) fn stat(&self, name: &OsStr) -> rustix::io::Result<Stat> {
        statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Holds a file without opening it, whatever it is.
    pub(crate) fn pin(&self, name: &OsStr) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.directory, name, flags, Mode::empty())
    }

    /// Looks at what has the name.
    ///
    /// # Errors
    /// [`Fault::LiveOwner`] if somebody answers there, [`Fault::NotASocket`] for anything but a
    /// socket, and what keeps us from telling.
    pub(crate) fn occupant(&self, name: &OsStr) -> Result<Occupant, Fault> {
        let path = self.path_of(name);
        let pinned = match self.pin(name) {
            Ok(pinned) => pinned,
            Err(Errno::NOENT) => return Ok(Occupant::Nobody),
            Err(Errno::ACCESS | Errno::PERM) => {
                return Err(path::denied(&path, Permission::Create));
            }
            Err(errno) => return Err(io("look at the socket file", errno)),
        };
        let found = fstat(&pinned).map_err(|errno| io("look at the socket file", errno))?;
        match path::kind(found.st_mode) {
            FileKind::Socket => {}
            found => return Err(Fault::NotASocket { path, found }),
        }
        probe(&pinned, &path)?;
        Ok(Occupant::Dead(Identity::of(&found), pinned))
    }

    /// Removes the file if it is still the one that it should be.
    pub(crate) fn remove(&self, name: &OsStr, identity: Identity) -> rustix::io::Result<()> {
        match self.stat(name) {
            Ok(found) if Identity::of(&found) == identity => {
                unlinkat(&self.directory, name, AtFlags::empty())
            }
            _ => Ok(()),
        }
    }
}

/// The path of what a descriptor holds. It leads to that very file, whatever has its name by now.
pub(crate) fn proc_path(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Connects to see whether anybody is there. Only a refusal means that nobody is.
fn probe(pinned: &OwnedFd, path: &Path) -> Result<(), Fault> {
    // The second way is for where /proc is not mounted, or closed to a process that has changed its
    // user.
    let ways = [path_sockaddr(&proc_path(pinned)), path_sockaddr(path)];
    let mut outcome = Err(Errno::NOENT);
    for sockaddr in ways.into_iter().flatten() {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|errno| io("socket", errno))?;
        outcome = rustix::io::retry_on_intr(|| connect(&socket, &sockaddr));
        match outcome {
            Ok(()) => {
                let peer = peer_identity(&socket).ok();
                return Err(Fault::LiveOwner {
                    pid: peer.as_ref().and_then(|peer| peer.pid()),
                    uid: peer.as_ref().and_then(|peer| peer.uid()),
                });
            }
            Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => {}
            Err(_) => break,
        }
    }
    match outcome {
        // It may have gone in the meantime.
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        // A full queue, or a socket of another type: somebody has it open.
        Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(Fault::LiveOwner { pid: None, uid: None }),
        Err(Errno::ACCESS | Errno::PERM) => Err(path::denied(path, Permission::Connect)),
        Err(errno) => Err(io("connect to the socket that is there", errno)),
        Ok(()) => Ok(()),
    }
}
