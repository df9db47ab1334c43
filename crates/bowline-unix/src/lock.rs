//! The lock file beside a socket file. Who holds the lock on it may put a socket at the path; the
//! kernel lets go of it when the holder's process ends, however it ends.
//!
//! The file stays when the lock goes: were it removed, a server could lock the file that was removed
//! while another locks a new one.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use bowline_transport::{Fault, FileKind, Permission};
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, ftruncate, openat, statat,
};
use rustix::io::Errno;

use crate::name::io;
use crate::path;
use crate::place::{Identity, Place};

/// How often the file may be exchanged under us before we give up.
const ATTEMPTS: usize = 16;

/// The lock at one path, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: OwnedFd,
    /// A child that was forked has this, too, but the lock is not its own.
    process: u32,
}

impl Lock {
    /// # Errors
    /// [`Fault::LiveOwner`] if another process holds the lock, [`Fault::ForeignLock`] if the lock
    /// file is not one to trust, and the faults of opening a file.
    pub(crate) fn take(place: &Place) -> Result<Self, Fault> {
        let name = place.beside(".lock");
        let path = place.path_of(&name);
        for _ in 0..ATTEMPTS {
            let Some(file) = open(place, &name, &path)? else { continue };
            let found = fstat(&file).map_err(|errno| io("look at the lock file", errno))?;
            check(&found, &path)?;
            match rustix::io::retry_on_intr(|| {
                flock(&file, FlockOperation::NonBlockingLockExclusive)
            }) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(owner(&file, &found)),
                Err(errno) => return Err(io("lock the lock file", errno)),
            }
            // Somebody may have removed it between opening and locking; then the lock is worth
            // nothing, for the next one locks a new file.
            let now = statat(&place.directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            if now.is_ok_and(|now| Identity::of(&now) == Identity::of(&found)) {
                let lock = Self { file, process: std::process::id() };
                lock.sign();
                return Ok(lock);
            }
        }
        Err(Fault::ForeignLock { path, why: "is removed again and again".to_owned() })
    }

    /// Writes who holds it, for the error text of those who come later. A disk that is full must not
    /// keep a server from starting.
    fn sign(&self) {
        let uid = rustix::process::geteuid().as_raw();
        let text = format!("pid {}\nuid {uid}\n", self.process);
        let _ = ftruncate(&self.file, 0);
        let _ = rustix::io::pwrite(&self.file, text.as_bytes(), 0);
    }

    /// Whether this process took it, and not one from which it was forked.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for Lock {
    /// Closing the file alone would leave the lock with every process that is just being started,
    /// until that executes its program.
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = ftruncate(&self.file, 0);
            let _ = flock(&self.file, FlockOperation::Unlock);
        }
    }
}

/// `None` if the file came or went meanwhile. Opening and creating are two steps, since an open that
/// might create is refused for the files of others in sticky directories (`fs.protected_regular`).
fn open(place: &Place, name: &OsStr, path: &Path) -> Result<Option<OwnedFd>, Fault> {
    let flags =
        OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match openat(&place.directory, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            let create = flags | OFlags::CREATE | OFlags::EXCL;
            match openat(&place.directory, name, create, Mode::RUSR | Mode::WUSR) {
                // The umask may have taken away even our own permissions.
                Ok(file) => fchmod(&file, Mode::RUSR | Mode::WUSR).map(|()| file),
                Err(Errno::EXIST) => return Ok(None),
                Err(errno) => Err(errno),
            }
        }
        opened => opened,
    };
    let foreign = |why: String| Fault::ForeignLock { path: path.to_owned(), why };
    opened.map(Some).map_err(|errno| match errno {
        Errno::LOOP => foreign("is a symbolic link".to_owned()),
        Errno::ISDIR => foreign("is a directory".to_owned()),
        Errno::NXIO => foreign("is not a regular file".to_owned()),
        Errno::NOENT => {
            path::missing_directory(path).unwrap_or_else(|| io("create the lock file", errno))
        }
        Errno::ACCESS | Errno::PERM => {
            match statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) if found.st_uid != rustix::process::geteuid().as_raw() => {
                    foreign(format!("belongs to uid {}", found.st_uid))
                }
                _ => path::denied(path, Permission::Lock),
            }
        }
        errno => io("open the lock file", errno),
    })
}

/// In a directory that others can write to, a lock file may be a trap: a link to a file of ours that
/// we would then overwrite, or another user's file.
fn check(found: &Stat, path: &Path) -> Result<(), Fault> {
    let us = rustix::process::geteuid().as_raw();
    let why = if path::kind(found.st_mode) != FileKind::Regular {
        format!("is {}", path::kind(found.st_mode))
    } else if found.st_nlink > 1 {
        "has other names (hard links)".to_owned()
    } else if found.st_uid != us && found.st_uid != 0 && us != 0 {
        format!("belongs to uid {}", found.st_uid)
    } else {
        return Ok(());
    };
    Err(Fault::ForeignLock { path: path.to_owned(), why })
}

/// Who holds the lock, as far as the file tells.
fn owner(file: &OwnedFd, found: &Stat) -> Fault {
    let mut bytes = [0; 64];
    let length = rustix::io::pread(file.as_fd(), &mut bytes, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[..length]);
    let number = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).and_then(|id| id.trim().parse().ok())
    };
    // The owner has made the file, so that its user id is known before it has signed.
    Fault::LiveOwner { pid: number("pid "), uid: Some(number("uid ").unwrap_or(found.st_uid)) }
}
