//! Listening at a path: what is refused, what is taken over, what is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and talks"
)]

mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use bowline_transport::{Address, Fault, FileKind, Permission, TransportError};
use bowline_unix::{BindOptions, BoundListener, ConnectOptions, NAME_MAX};
use support::{Actor, NOBODY, chmod, open_directory, role, say, wait_for_the_end};

fn unix(path: impl AsRef<Path>) -> Address {
    Address::unix(path).unwrap()
}

fn bind(path: impl AsRef<Path>) -> Result<BoundListener, TransportError> {
    BindOptions::new().bind(&unix(path))
}

/// Binds where it must fail.
#[track_caller]
fn refused(path: impl AsRef<Path>) -> TransportError {
    bind(path).expect_err("the path cannot be had")
}

#[track_caller]
fn unreachable(path: impl AsRef<Path>) -> TransportError {
    ConnectOptions::new().connect(&unix(path)).expect_err("nobody is there")
}

/// Connects and makes sure that it is this listener that answers.
#[track_caller]
fn answers(listener: &BoundListener, path: impl AsRef<Path>) {
    listener.set_nonblocking(true).unwrap();
    while listener.accept().is_ok() {}
    let _client = ConnectOptions::new().try_connect(&unix(path)).unwrap();
    listener.accept().expect("the path leads to this listener");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A socket file without a server.
fn stale(path: &Path) {
    stop(StdListener::bind(path).unwrap());
}

/// Ends a listener for good. Closing it is not enough: a process that another test is just starting
/// may have a copy.
fn stop(listener: StdListener) {
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
}

#[test]
fn in_a_child() {
    let Some((role, path)) = role() else { return };
    match role.as_str() {
        "serve" => {
            let listener = bind(&path).unwrap();
            say("listening");
            wait_for_the_end();
            drop(listener);
        }
        "watch the mode" => watch_the_mode(&path),
        "find what denies" => find_what_denies(&path),
        "meet a foreign lock" => meet_a_foreign_lock(&path),
        "relative" => relative(&path),
        "use abstract names" => use_abstract_names(),
        other => panic!("{other} is not a role"),
    }
}

#[test]
fn only_the_lock_file_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let listener = bind(&path).unwrap();
    assert_eq!(names(directory.path()), ["a.sock", "a.sock.lock"]);
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let lock = fs::metadata(directory.path().join("a.sock.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    answers(&listener, &path);
    drop(listener);
    assert_eq!(names(directory.path()), ["a.sock.lock"]);
    assert!(matches!(unreachable(&path).fault(), Fault::NobodyListening { stale: false }));
    answers(&bind(&path).unwrap(), &path);
}

#[test]
fn a_second_server_is_told_who_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let mut first = Actor::start("serve", &path);
    assert_eq!(first.hear(), "listening");
    let inode = fs::symlink_metadata(&path).unwrap().ino();
    let error = refused(&path);
    let us = rustix::process::geteuid().as_raw();
    let Fault::LiveOwner { pid, uid } = error.fault() else { panic!("{error}") };
    assert_eq!((*pid, *uid), (Some(first.pid()), Some(us)));
    assert!(!error.is_retryable());
    assert!(error.to_string().contains(&format!("(pid {}, uid {us})", first.pid())));
    assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
    first.finish();
    assert!(!path.exists());
    bind(&path).unwrap();
}

#[test]
fn after_kill_9_the_next_start_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    for _ in 0..5 {
        let mut first = Actor::start("serve", &path);
        first.hear();
        first.kill();
        assert!(matches!(unreachable(&path).fault(), Fault::NobodyListening { stale: true }));
    }
    let listener = bind(&path).unwrap();
    answers(&listener, &path);
    assert_eq!(names(directory.path()), ["a.sock", "a.sock.lock"]);
}

#[test]
fn what_a_killed_start_left_is_cleared_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    stale(&path);
    stale(&directory.path().join("a.sock.new"));
    fs::write(directory.path().join("a.sock.lock"), "pid 1\nuid 0\n").unwrap();
    let listener = bind(&path).unwrap();
    answers(&listener, &path);
    assert_eq!(names(directory.path()), ["a.sock", "a.sock.lock"]);
}

#[test]
fn a_living_stranger_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let stranger = StdListener::bind(&path).unwrap();
    let error = refused(&path);
    let Fault::LiveOwner { pid, uid } = error.fault() else { panic!("{error}") };
    let us = (std::process::id(), rustix::process::geteuid().as_raw());
    assert_eq!((*pid, *uid), (Some(us.0), Some(us.1)));
    StdStream::connect(&path).unwrap();
    stop(stranger);
    bind(&path).unwrap();
}

#[test]
fn a_stranger_with_a_full_queue_or_of_another_type_is_alive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let stranger = StdListener::bind(&path).unwrap();
    rustix::net::listen(&stranger, 0).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = ConnectOptions::new().try_connect(&unix(&path)) {
        clients.push(client);
    }
    assert!(matches!(refused(&path).fault(), Fault::LiveOwner { .. }));

    let path = directory.path().join("datagrams");
    let _stranger = UnixDatagram::bind(&path).unwrap();
    assert!(matches!(refused(&path).fault(), Fault::LiveOwner { .. }));
}

#[test]
fn what_is_not_a_socket_is_never_touched() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("regular"), "precious").unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink("regular", at("link")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    stale(&at("stale"));
    symlink("stale", at("link to a socket")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), fifo, mode, 0).unwrap();
    for (name, expected) in [
        ("regular", FileKind::Regular),
        ("directory", FileKind::Directory),
        ("link", FileKind::Symlink),
        ("dangling", FileKind::Symlink),
        ("link to a socket", FileKind::Symlink),
        ("pipe", FileKind::Fifo),
    ] {
        let before = fs::symlink_metadata(at(name)).unwrap();
        let error = refused(at(name));
        let Fault::NotASocket { path, found } = error.fault() else { panic!("{error}") };
        assert_eq!((path, *found), (&at(name), expected));
        assert!(!error.is_retryable());
        let after = fs::symlink_metadata(at(name)).unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
    }
    assert_eq!(fs::read_to_string(at("regular")).unwrap(), "precious");
    // Nor where the temporary name is taken.
    fs::write(at("a.sock.new"), "precious").unwrap();
    let error = refused(at("a.sock"));
    assert!(
        matches!(error.fault(), Fault::NotASocket { path, .. } if *path == at("a.sock.new")),
        "{error}"
    );
    assert_eq!(fs::read_to_string(at("a.sock.new")).unwrap(), "precious");
}

#[test]
fn a_lock_file_that_is_a_trap_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("precious"), "precious").unwrap();
    symlink("precious", at("a.lock")).unwrap();
    fs::hard_link(at("precious"), at("b.lock")).unwrap();
    fs::create_dir(at("c.lock")).unwrap();
    stale(&at("d.lock"));
    for (name, why) in [
        ("a", "is a symbolic link"),
        ("b", "has other names (hard links)"),
        ("c", "is a directory"),
        ("d", "is not a regular file"),
    ] {
        let error = refused(at(name));
        let Fault::ForeignLock { path, why: found } = error.fault() else { panic!("{error}") };
        assert_eq!((path, found.as_str()), (&at(&format!("{name}.lock")), why));
        assert!(!at(name).exists());
    }
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "precious");
}

#[test]
fn a_stranger_that_took_the_path_keeps_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");

    let listener = bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let stranger = StdListener::bind(&path).unwrap();
    drop(listener);
    StdStream::connect(&path).unwrap();
    drop(stranger);

    let listener = bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(listener);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();

    let listener = bind(&path).unwrap();
    fs::rename(&path, directory.path().join("moved")).unwrap();
    symlink("moved", &path).unwrap();
    drop(listener);
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[test]
fn without_its_lock_file_a_living_server_is_still_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let listener = bind(&path).unwrap();
    fs::remove_file(directory.path().join("a.sock.lock")).unwrap();
    assert!(matches!(refused(&path).fault(), Fault::LiveOwner { pid: Some(_), .. }));
    answers(&listener, &path);
}

#[test]
fn the_mode_is_in_force_from_the_first_moment() {
    let directory = tempfile::tempdir().unwrap();
    Actor::start("watch the mode", directory.path()).finish();
}

/// In a process of its own, for the umask is the process's.
fn watch_the_mode(directory: &Path) {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    for (umask, mode) in [(0, 0o600), (0, 0o660), (0o077, 0o666), (0o777, 0o600)] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let path = directory.join(format!("{umask:o}-{mode:o}"));
        let temporary = directory.join(format!("{umask:o}-{mode:o}.new"));
        let (done, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // Under the temporary name it may still have less, but never more.
                    if let Ok(found) = fs::symlink_metadata(&temporary) {
                        assert_eq!(found.permissions().mode() & 0o777 & !mode, 0);
                    }
                    if let Ok(found) = fs::symlink_metadata(&path) {
                        assert_eq!(found.permissions().mode() & 0o777, mode);
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            for _ in 0..100 {
                let listener = BindOptions::new().mode(mode).bind(&unix(&path)).unwrap();
                let before = seen.load(Ordering::Relaxed);
                // A look that began before the bind may count, the one after it does not.
                while seen.load(Ordering::Relaxed) < before + 2 && !watcher.is_finished() {
                    std::thread::yield_now();
                }
                drop(listener);
            }
            done.store(true, Ordering::Relaxed);
        });
        let lock = fs::metadata(path.with_file_name(format!("{umask:o}-{mode:o}.lock"))).unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn paths_of_any_length_that_fits() {
    let directory = tempfile::tempdir().unwrap();
    let room = NAME_MAX - directory.path().as_os_str().len() - 1;
    for length in [1, room - 5, room - 4, room - 3, room - 1, room] {
        let path = directory.path().join("n".repeat(length));
        let listener = bind(&path).unwrap_or_else(|error| panic!("{length} bytes: {error}"));
        answers(&listener, &path);
        // A takeover goes the same way.
        drop(listener);
        stale(&path);
        answers(&bind(&path).unwrap(), &path);
    }
    for error in [
        refused(directory.path().join("n".repeat(room + 1))),
        unreachable(directory.path().join("n".repeat(room + 1))),
    ] {
        assert!(matches!(error.fault(), Fault::PathTooLong { length: 108, limit: 107 }), "{error}");
    }
    let left: Vec<_> = names(directory.path());
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
}

#[test]
fn relative_paths() {
    let directory = tempfile::tempdir().unwrap();
    Actor::start("relative", directory.path()).finish();
}

/// In a process of its own, for the working directory is the process's.
fn relative(directory: &Path) {
    fs::create_dir(directory.join("elsewhere")).unwrap();
    std::env::set_current_dir(directory).unwrap();
    let long = "n".repeat(NAME_MAX);
    for name in ["a.sock", "./b.sock", long.as_str()] {
        let listener = bind(name).unwrap();
        answers(&listener, name);
        // It finds its file again, whatever the working directory is by then.
        std::env::set_current_dir("elsewhere").unwrap();
        drop(listener);
        std::env::set_current_dir("..").unwrap();
        assert!(!Path::new(name).exists());
    }
}

#[test]
fn directories_that_are_missing_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "").unwrap();
    for error in [refused(at("one/two/a.sock")), unreachable(at("one/two/a.sock"))] {
        let Fault::DirectoryMissing { directory } = error.fault() else { panic!("{error}") };
        assert_eq!(*directory, at("one"));
    }
    for error in [refused(at("file/a.sock")), unreachable(at("file/a.sock"))] {
        let Fault::NotADirectory { path, found } = error.fault() else { panic!("{error}") };
        assert_eq!((path, *found), (&at("file"), FileKind::Regular));
    }
    for path in [at("one/"), at("."), at(".."), PathBuf::from("/")] {
        assert!(matches!(refused(path).fault(), Fault::NoFileName));
    }
    assert_eq!(names(directory.path()), ["file"]);
}

#[test]
fn connecting_to_what_is_not_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    let error = unreachable(&path);
    assert!(matches!(error.fault(), Fault::NotASocket { found: FileKind::Regular, .. }), "{error}");
    // Links are followed: it is the socket behind them that says who may connect.
    let socket = directory.path().join("a.sock");
    let _listener = bind(&socket).unwrap();
    symlink("a.sock", directory.path().join("link")).unwrap();
    ConnectOptions::new().connect(&unix(directory.path().join("link"))).unwrap();
}

#[test]
fn what_denies_is_named() {
    let directory = open_directory();
    let at = |name: &str| directory.path().join(name);
    let _listener = bind(at("private.sock")).unwrap();
    fs::create_dir_all(at("closed/inner")).unwrap();
    chmod(&at("closed"), 0o600);
    if !support::is_root() {
        chmod(&at("private.sock"), 0o400);
        chmod(directory.path(), 0o555);
    }
    Actor::start_as_nobody("find what denies", directory.path()).finish();
    chmod(directory.path(), 0o755);
    chmod(&at("closed"), 0o700);
}

fn find_what_denies(directory: &Path) {
    let us = rustix::process::geteuid().as_raw();
    let expect = |error: TransportError, at: &Path, expected: Permission| {
        let Fault::PermissionDenied { path, needs, uid } = error.fault() else { panic!("{error}") };
        assert_eq!((path.as_path(), *needs, *uid), (at, expected, us));
        assert!(!error.is_retryable());
    };
    let inner = directory.join("closed/inner/a.sock");
    expect(refused(&inner), &directory.join("closed"), Permission::Search);
    expect(unreachable(&inner), &directory.join("closed"), Permission::Search);
    expect(refused(directory.join("a.sock")), directory, Permission::Create);
    let private = directory.join("private.sock");
    expect(unreachable(&private), &private, Permission::Connect);
    // Their user's lock file is in the way, and says whose it is.
    let error = refused(&private);
    if us == NOBODY {
        let Fault::ForeignLock { path, why } = error.fault() else { panic!("{error}") };
        assert_eq!(*path, directory.join("private.sock.lock"));
        assert_eq!(why, "belongs to uid 0");
    }
}

#[test]
fn another_users_lock_file_is_not_used() {
    if !support::is_root() {
        // It takes two users.
        return;
    }
    let directory = open_directory();
    chmod(directory.path(), 0o1777);
    let path = directory.path().join("a.sock");
    let listener = bind(&path).unwrap();
    Actor::start_as_nobody("meet a foreign lock", &path).finish();
    answers(&listener, &path);
    // Nor one that is open to everybody.
    drop(listener);
    chmod(&directory.path().join("a.sock.lock"), 0o666);
    rustix::fs::chown(
        directory.path().join("a.sock.lock"),
        Some(rustix::fs::Uid::from_raw(1_000)),
        None,
    )
    .unwrap();
    Actor::start_as_nobody("meet a foreign lock", &path).finish();
}

fn meet_a_foreign_lock(path: &Path) {
    let error = refused(path);
    assert!(matches!(error.fault(), Fault::ForeignLock { .. }), "{error}");
}

#[test]
fn abstract_names() {
    Actor::start("use abstract names", Path::new("")).finish();
}

/// In a process of its own, for a name is free again only when nobody has a copy of the socket, and
/// processes that other tests start have one for a moment.
fn use_abstract_names() {
    let name = format!("bowline-test-{}", std::process::id());
    let address = Address::unix_abstract(&name).unwrap();
    let listener = BindOptions::new().bind(&address).unwrap();
    assert!(!listener.has_file());
    let error = BindOptions::new().bind(&address).unwrap_err();
    let Fault::LiveOwner { pid, .. } = error.fault() else { panic!("{error}") };
    assert_eq!(*pid, Some(std::process::id()));
    ConnectOptions::new().connect(&address).unwrap();
    drop(listener);
    let error = ConnectOptions::new().connect(&address).unwrap_err();
    assert!(matches!(error.fault(), Fault::NobodyListening { stale: false }));
    BindOptions::new().bind(&address).unwrap();

    let long = Address::unix_abstract([b'n'; NAME_MAX]).unwrap();
    BindOptions::new().bind(&long).unwrap();
    let too_long = Address::unix_abstract([b'n'; NAME_MAX + 1]).unwrap();
    let error = BindOptions::new().bind(&too_long).unwrap_err();
    assert!(matches!(error.fault(), Fault::PathTooLong { length: 108, limit: 107 }));
    // Any bytes do, also NULs and what is not UTF-8.
    let bytes = Address::unix_abstract(b"\0\xff\0").unwrap();
    let _listener = BindOptions::new().bind(&bytes).unwrap();
    ConnectOptions::new().connect(&bytes).unwrap();
}

#[test]
fn other_schemes_are_refused() {
    let address: Address = "memory:a".parse().unwrap();
    let error = BindOptions::new().bind(&address).unwrap_err();
    assert!(matches!(error.fault(), Fault::Unsupported { scheme } if scheme == "memory"));
    assert!(ConnectOptions::new().connect(&address).is_err());
}
