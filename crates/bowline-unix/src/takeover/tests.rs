//! Tests of taking an address over.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tempfile::TempDir;

use super::*;

fn socket() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

fn temporary<'a>(place: &'a Place, socket: &OwnedFd) -> Temporary<'a> {
    let path = place.path_of(&place.name);
    let temporary = Temporary::bind(place, socket, &path, Mode::RUSR | Mode::WUSR).unwrap();
    listen(socket, 1).unwrap();
    temporary
}

/// What happens in the moment between the look at the path and the move to it.
#[test]
fn what_came_in_the_last_moment_stays() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.sock");
    let place = Place::open(&path).unwrap();
    let socket = socket();
    let temporary = temporary(&place, &socket);

    let stranger = StdListener::bind(&path).unwrap();
    let inode = std::fs::symlink_metadata(&path).unwrap().ino();
    let stays = || {
        assert_eq!(std::fs::symlink_metadata(&path).unwrap().ino(), inode);
        StdStream::connect(&path).expect("the stranger answers");
        let ours = place.stat(&place.temporary()).unwrap();
        assert_eq!(Identity::of(&ours), temporary.identity);
    };
    // The path was empty.
    assert_eq!(temporary.move_to_empty(&place.name), Ok(false));
    stays();
    // A dead socket was there, which is not what is there now.
    assert_eq!(temporary.move_over_dead(&place.name, temporary.identity), Ok(false));
    stays();
    assert!(matches!(temporary.publish(), Err(Fault::LiveOwner { .. })));
    stays();
    drop(temporary);
    assert!(place.stat(&place.temporary()).is_err(), "it is removed where it was not moved");
    drop(stranger);
}

#[test]
fn what_went_in_the_last_moment_is_no_error() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.sock");
    let place = Place::open(&path).unwrap();
    let socket = socket();
    let temporary = temporary(&place, &socket);
    assert_eq!(temporary.move_over_dead(&place.name, temporary.identity), Ok(false));
    temporary.publish().unwrap();
    StdStream::connect(&path).expect("the path leads to the new socket");
    drop(temporary);
    StdStream::connect(&path).expect("and still does");
}

#[test]
fn a_file_system_without_conditions_is_served_all_the_same() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.sock");
    let place = Place::open(&path).unwrap();
    let socket = socket();
    let temporary = temporary(&place, &socket);
    assert_eq!(temporary.move_anyway(&place.name), Ok(true));
    StdStream::connect(&path).expect("the path leads to the new socket");
}
