//! Putting a listening socket at a path: at once, only under the lock, and only where nobody lives.
//!
//! 1. The lock beside the path is taken: no other server of ours is at work there.
//! 2. What has the path is looked at. A living socket, or anything that is not a socket, ends it.
//! 3. The socket is bound to a temporary name in the same directory, gets its mode, and listens.
//! 4. It is moved to its path in one step that fails, or is undone, if something else came meanwhile.
//!
//! So there is no moment at which the path leads to a socket of the wrong mode, or to one that does
//! not listen, and none at which a living server's socket is removed.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;

use bowline_transport::{Fault, FileKind, Permission};
use rustix::fs::{
    AtFlags, Mode, RenameFlags, chmod, chmodat, fchmod, fstat, renameat, renameat_with,
};
use rustix::io::Errno;
use rustix::net::{bind, listen};

use crate::lock::Lock;
use crate::name::io;
use crate::path;
use crate::place::{Identity, Occupant, Place, proc_path};

/// How often something else may come or go at the path before we give up.
const ATTEMPTS: usize = 16;

/// A path that is ours until this is dropped, which removes the socket file, if it is still ours,
/// and lets go of the lock. Dropped before the socket is closed, for only an open socket keeps the
/// file's number its own.
#[derive(Debug)]
pub(crate) struct Claim {
    place: Place,
    identity: Identity,
    lock: Lock,
}

impl Claim {
    /// Binds the socket to the path and listens.
    pub(crate) fn take(
        socket: &OwnedFd,
        path: &Path,
        mode: Mode,
        backlog: i32,
    ) -> Result<Self, Fault> {
        let place = Place::open(path)?;
        let lock = Lock::take(&place)?;
        // Before anything is made: most failures end here.
        place.occupant(&place.name)?;
        let temporary = Temporary::bind(&place, socket, path, mode)?;
        listen(socket, backlog).map_err(|errno| io("listen", errno))?;
        temporary.publish()?;
        let identity = temporary.identity;
        // The socket no longer has this name, so that nothing is removed.
        drop(temporary);
        Ok(Self { place, identity, lock })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.lock.is_ours() {
            // An error leaves a dead socket, which the next server takes over.
            let _ = self.place.remove(&self.place.name, self.identity);
        }
    }
}

/// The socket under its temporary name, which is removed when this is dropped.
struct Temporary<'a> {
    place: &'a Place,
    name: OsString,
    identity: Identity,
}

impl<'a> Temporary<'a> {
    fn bind(place: &'a Place, socket: &OwnedFd, path: &Path, mode: Mode) -> Result<Self, Fault> {
        let name = place.temporary();
        if let Occupant::Dead(identity, _held) = place.occupant(&name)? {
            // Left by a server that was killed: under the lock, nobody else makes one.
            place.remove(&name, identity).map_err(|errno| io("remove a dead socket", errno))?;
        }
        // The file gets the socket's mode without the umask's bits, in the moment when it comes to
        // be. So it may have less than was asked for, but never more.
        fchmod(socket, mode).map_err(|errno| io("set the socket's mode", errno))?;
        bind(socket, &place.sockaddr_of(&name)?).map_err(|errno| match errno {
            Errno::ACCESS | Errno::PERM => path::denied(path, Permission::Create),
            Errno::NOENT => path::missing_directory(path).unwrap_or_else(|| io("bind", errno)),
            errno => io("bind", errno),
        })?;
        let look = |errno| io("look at the new socket file", errno);
        let pinned = place.pin(&name).map_err(look)?;
        let found = fstat(&pinned).map_err(look)?;
        if path::kind(found.st_mode) != FileKind::Socket {
            let path = place.path_of(&name);
            return Err(Fault::NotASocket { path, found: path::kind(found.st_mode) });
        }
        let temporary = Self { place, name, identity: Identity::of(&found) };
        if Mode::from_raw_mode(found.st_mode) != mode {
            // Through what is held, so that a link put in its place is not followed; by name where
            // /proc is not mounted or closed.
            chmod(proc_path(&pinned), mode)
                .or_else(|_| chmodat(&place.directory, &temporary.name, mode, AtFlags::empty()))
                .map_err(|errno| io("set the file's mode", errno))?;
        }
        Ok(temporary)
    }

    /// Moves the socket to its path.
    fn publish(&self) -> Result<(), Fault> {
        let name: &OsStr = &self.place.name;
        for _ in 0..ATTEMPTS {
            let moved = match self.place.occupant(name)? {
                Occupant::Nobody => self.move_to_empty(name),
                Occupant::Dead(dead, _held) => self.move_over_dead(name, dead),
            };
            match moved {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Errno::ACCESS | Errno::PERM) => {
                    return Err(path::denied(&self.place.path_of(name), Permission::Create));
                }
                Err(errno) => return Err(io("move the socket to its path", errno)),
            }
        }
        Err(Fault::LiveOwner { pid: None, uid: None })
    }

    /// `false` if something is there by now.
    fn move_to_empty(&self, name: &OsStr) -> rustix::io::Result<bool> {
        let directory = &self.place.directory;
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(directory, &self.name, directory, name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::INVAL | Errno::NOSYS) => match self.place.stat(name) {
                Err(Errno::NOENT) => self.move_anyway(name),
                _ => Ok(false),
            },
            Err(errno) => Err(errno),
        }
    }

    /// `false` if the dead socket has gone or something else has taken its place by now.
    fn move_over_dead(&self, name: &OsStr, dead: Identity) -> rustix::io::Result<bool> {
        let directory = &self.place.directory;
        let exchange =
            || renameat_with(directory, &self.name, directory, name, RenameFlags::EXCHANGE);
        match exchange() {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::INVAL | Errno::NOSYS) => {
                return match self.place.stat(name) {
                    Ok(found) if Identity::of(&found) == dead => self.move_anyway(name),
                    _ => Ok(false),
                };
            }
            Err(errno) => return Err(errno),
        }
        // Now the temporary name has what had the path.
        if self.place.stat(&self.name).is_ok_and(|found| Identity::of(&found) == dead) {
            // If this fails, the next server will do it.
            let _ = self.place.remove(&self.name, dead);
            return Ok(true);
        }
        exchange()?;
        Ok(false)
    }

    /// For file systems that know no conditions. What came in this very moment is lost.
    fn move_anyway(&self, name: &OsStr) -> rustix::io::Result<bool> {
        let directory = &self.place.directory;
        renameat(directory, &self.name, directory, name).map(|()| true)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        let _ = self.place.remove(&self.name, self.identity);
    }
}

#[cfg(test)]
mod tests;
