//! What is said when something is wrong: what, where, and what to do, in one paragraph. The texts
//! are snapshots, so that a change shows for what it is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use insta::assert_snapshot;
use rustix::process::{Signal, geteuid};

use super::support::{Ran, Served, directory, program, run};

#[test]
fn path_too_long() {
    let directory = directory();
    let address = format!("unix:{}.sock", "long".repeat(30));
    let listen = run(directory.path(), &["serve", "--listen", &address]);
    let connect = run(directory.path(), &["ping", &address]);
    assert_snapshot!(format!("{listen}\n\n{connect}"));
}

#[test]
fn directory_missing() {
    let directory = directory();
    let listen = run(directory.path(), &["serve", "--listen", "unix:missing/deeper/echo.sock"]);
    let connect = run(directory.path(), &["ping", "unix:missing/deeper/echo.sock"]);
    assert_snapshot!(format!("{listen}\n\n{connect}"));
}

#[test]
fn no_permission() {
    let directory = directory();
    for (name, mode) in [("closed", 0o700), ("readable", 0o555)] {
        fs::create_dir(directory.path().join(name)).unwrap();
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(directory.path().join(name), mode).unwrap();
    }
    let _served = Served::start(directory.path(), &["--listen", "unix:mine.sock"]);
    if !geteuid().is_root() {
        // What an ordinary user may do to itself: the rest needs a second user.
        let mode = fs::Permissions::from_mode(0o000);
        fs::set_permissions(directory.path().join("mine.sock"), mode).unwrap();
        let closed = directory.path().join("closed");
        fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let search = run_as_ordinary(directory.path(), &["serve", "--listen", "unix:closed/in/a.sock"]);
    let create = run_as_ordinary(directory.path(), &["serve", "--listen", "unix:readable/a.sock"]);
    let connect = run_as_ordinary(directory.path(), &["ping", "unix:mine.sock"]);
    assert_snapshot!(format!("{search}\n\n{create}\n\n{connect}"));
}

/// Runs the program as a user without privileges.
fn run_as_ordinary(directory: &Path, args: &[&str]) -> Ran {
    if !geteuid().is_root() {
        let uid = geteuid().as_raw();
        return run(directory, args).naming(format_args!("for uid {uid}"), "for uid UID");
    }
    let copy = directory.join("bowline");
    if !copy.exists() {
        // By a program of its own: a descriptor of this process that writes could be inherited by
        // what another test starts at this moment, and then the copy could not be run.
        let source = env!("CARGO_BIN_EXE_bowline");
        let copied = Command::new("cp").args([source.as_ref(), copy.as_os_str()]).status();
        assert!(copied.unwrap().success());
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = program(&copy, directory, args);
    command.uid(65534).gid(65534);
    Ran::of(command, args).naming("for uid 65534", "for uid UID")
}

#[test]
fn nobody_listens() {
    let directory = directory();
    let unix = run(directory.path(), &["ping", "unix:nobody.sock"]);
    let name = run(directory.path(), &["ping", "unix-abstract:bowline-test-nobody"]);
    let tcp = run(directory.path(), &["ping", "tcp:127.0.0.1:1"]);
    assert_snapshot!(format!("{unix}\n\n{name}\n\n{tcp}"));
}

#[test]
fn stale_file() {
    let directory = directory();
    let served = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
    served.signal(Signal::KILL);
    assert_eq!(served.wait().0, None);
    assert!(directory.path().join("echo.sock").exists());
    assert_snapshot!(run(directory.path(), &["ping", "unix:echo.sock"]));
    // The next server takes it over.
    let _served = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
    assert_eq!(run(directory.path(), &["ping", "unix:echo.sock", "--count", "1"]).code, Some(0));
}

#[test]
fn live_owner() {
    let directory = directory();
    let served = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
    let second = run(directory.path(), &["serve", "--listen", "unix:echo.sock"])
        .naming(format_args!("pid {}", served.pid()), "pid PID")
        .naming(format_args!("uid {}", geteuid().as_raw()), "uid UID");
    assert_snapshot!(second);
    assert_eq!(run(directory.path(), &["ping", "unix:echo.sock", "--count", "1"]).code, Some(0));
}

#[test]
fn port_in_use() {
    let directory = directory();
    let served = Served::start(directory.path(), &["--listen", "tcp:127.0.0.1:0"]);
    let second = run(directory.path(), &["serve", "--listen", &served.addresses[0]]);
    assert_snapshot!(second.naming(&served.addresses[0], "tcp:127.0.0.1:PORT"));
}

#[test]
fn not_a_socket() {
    let directory = directory();
    let file = directory.path().join("notes.txt");
    fs::write(&file, "precious").unwrap();
    let listen = run(directory.path(), &["serve", "--listen", "unix:notes.txt"]);
    let connect = run(directory.path(), &["ping", "unix:notes.txt"]);
    assert_snapshot!(format!("{listen}\n\n{connect}"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

/// A listener that reads a preface, answers with these bytes, and waits for the end.
fn answer_with(directory: &Path, answer: &'static [u8]) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(directory.join("peer.sock")).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        stream.write_all(answer).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        read_to_end(&mut stream);
    })
}

/// The other side may end as it likes.
fn read_to_end(stream: &mut UnixStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn another_protocol() {
    let directory = directory();
    let peer = answer_with(directory.path(), b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_snapshot!(run(directory.path(), &["ping", "unix:peer.sock"]));
    peer.join().unwrap();
}

#[test]
fn another_major_version() {
    let directory = directory();
    let peer = answer_with(directory.path(), b"BOWLINE\x02");
    assert_snapshot!(run(directory.path(), &["ping", "unix:peer.sock"]));
    peer.join().unwrap();
}

#[test]
fn peer_closes_at_once() {
    let directory = directory();
    let peer = answer_with(directory.path(), b"");
    assert_snapshot!(run(directory.path(), &["ping", "unix:peer.sock"]));
    peer.join().unwrap();
}

#[test]
fn peer_does_not_answer() {
    let directory = directory();
    let _listener = UnixListener::bind(directory.path().join("peer.sock")).unwrap();
    assert_snapshot!(run(directory.path(), &["ping", "unix:peer.sock", "--timeout", "50ms"]));
}

#[test]
fn beyond_loopback() {
    let directory = directory();
    let listen = run(directory.path(), &["serve", "--listen", "tcp:0.0.0.0:0"]);
    let connect = run(directory.path(), &["ping", "tcp:192.0.2.1:7000"]);
    assert_snapshot!(format!("{listen}\n\n{connect}"));
}

#[test]
fn message_over_the_limit() {
    let directory = directory();
    let args = ["--listen", "unix:echo.sock", "--max-message", "64KiB"];
    let _served = Served::start(directory.path(), &args);
    assert_snapshot!(run(directory.path(), &["echo", "unix:echo.sock", "--size", "64KiB"]));
    let fits = run(directory.path(), &["echo", "unix:echo.sock", "--size", "65500"]);
    assert_eq!(fits.code, Some(0), "{fits}");
}

#[test]
fn limit_out_of_range() {
    let directory = directory();
    let args = ["serve", "--listen", "unix:echo.sock", "--max-message", "1KiB"];
    assert_snapshot!(run(directory.path(), &args));
}
