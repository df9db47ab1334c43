//! Finds out which part of a path is to blame, once a system call has failed on it. Changes nothing.

use std::path::{Path, PathBuf};

use bowline_transport::{Fault, FileKind, Permission};
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat, statat};
use rustix::io::Errno;

/// The directory that a socket file lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(crate) fn kind(mode: rustix::fs::RawMode) -> FileKind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
        FileType::Socket => FileKind::Socket,
        _ => FileKind::Unknown,
    }
}

/// The first part of the way to `path` that does not exist or is not a directory.
pub(crate) fn missing_directory(path: &Path) -> Option<Fault> {
    directories(path).into_iter().find_map(|directory| match stat(&directory) {
        Err(Errno::NOENT) => Some(Fault::DirectoryMissing { directory }),
        Ok(found) if kind(found.st_mode) != FileKind::Directory => {
            Some(Fault::NotADirectory { path: directory, found: kind(found.st_mode) })
        }
        _ => None,
    })
}

/// The first part of the way to `path`, or `path` itself, that denies what is needed.
pub(crate) fn denied(path: &Path, needs: Permission) -> Fault {
    let deny = |path: PathBuf, needs| Fault::PermissionDenied {
        path,
        needs,
        uid: rustix::process::geteuid().as_raw(),
    };
    if let Some(closed) = directories(path).into_iter().find(|at| lacks(at, Access::EXEC_OK)) {
        return deny(closed, Permission::Search);
    }
    let exists = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let (at, access, needs) = match needs {
        Permission::Connect => (path, Access::WRITE_OK, needs),
        Permission::Lock if exists => (path, Access::READ_OK | Access::WRITE_OK, needs),
        _ => (parent(path), Access::WRITE_OK, Permission::Create),
    };
    deny(at.to_owned(), if lacks(at, access) { needs } else { Permission::Other })
}

fn lacks(path: &Path, access: Access) -> bool {
    // The effective user is who the system asks about everywhere else.
    accessat(CWD, path, access, AtFlags::EACCESS) == Err(Errno::ACCESS)
}

/// The directories on the way to `path`, from the outermost.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = parent(path)
        .ancestors()
        .filter(|directory| !directory.as_os_str().is_empty())
        .map(Path::to_owned)
        .collect();
    directories.reverse();
    directories
}
