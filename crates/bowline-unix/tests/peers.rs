//! Who is at the other end, what a peer may do to us, and what the system may refuse.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and talks"
)]
#![cfg(feature = "tokio")]

mod support;

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_transport::{Address, Connector, Fault, Listener, Socket};
use bowline_unix::{
    BindOptions, ConnectOptions, RawSocket, UnixConnector, UnixListener, UnixSocket, peer_identity,
};
use bytes::BytesMut;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Actor, NOBODY, chmod, is_root, open_directory, role, say, wait_for_the_end};

const LIMIT: Duration = Duration::from_secs(60);

fn address(directory: &Path) -> Address {
    Address::unix(directory.join("a.sock")).unwrap()
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("somebody is woken")
}

async fn recv(socket: &dyn Socket, buf: &mut BytesMut) -> std::io::Result<usize> {
    buf.reserve(4_096);
    within(poll_fn(|cx| socket.poll_recv(cx, buf, &mut Vec::new()))).await
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn in_a_child() {
    let Some((role, argument)) = role() else { return };
    match role.as_str() {
        "connect" => {
            let address = Address::from_os_str(argument.as_os_str()).unwrap();
            let socket = ConnectOptions::new().connect(&address).unwrap();
            say("connected");
            // What comes back is the end, or that we were not wanted.
            let mut buf = BytesMut::with_capacity(8);
            say(matches!(socket.recv(&mut buf), Ok(1)));
            wait_for_the_end();
        }
        "serve" => {
            let options = BindOptions::new().mode(0o666);
            let listener = options.bind(&Address::unix(&argument).unwrap()).unwrap();
            say("listening");
            let socket = listener.accept().unwrap();
            let mut buf = BytesMut::with_capacity(8);
            say(socket.recv(&mut buf).unwrap());
        }
        "survive SIGPIPE" => survive_sigpipe(),
        "run out of descriptors" => block_on(run_out_of_descriptors(&argument)),
        other => panic!("{other} is not a role"),
    }
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let listener = UnixListener::bind(&address).unwrap();
    let client = UnixConnector::new(&address).unwrap().connect().await.unwrap();
    let server = listener.accept().await.unwrap();
    for socket in [&client, &server] {
        let peer = socket.peer();
        assert_eq!(peer.kind(), "unix");
        assert_eq!(peer.uid(), Some(rustix::process::geteuid().as_raw()));
        assert_eq!(peer.gid(), Some(rustix::process::getegid().as_raw()));
        assert_eq!(peer.pid(), Some(std::process::id()));
        assert_eq!(peer.socket_addr(), None);
    }
}

#[tokio::test]
async fn another_user_is_told_apart() {
    let directory = open_directory();
    let address = address(directory.path());
    let listener = UnixListener::bind_with(&address, &BindOptions::new().mode(0o666)).unwrap();
    let mut actor = Actor::start_as_nobody("connect", Path::new(&address.to_os_string()));
    let server = within(listener.accept()).await.unwrap();
    let expected = if is_root() { NOBODY } else { rustix::process::geteuid().as_raw() };
    assert_eq!((server.peer().uid(), server.peer().pid()), (Some(expected), Some(actor.pid())));
    assert_eq!(actor.hear(), "connected");
    // It is who it was, when its process has long ended.
    server.try_send(&[IoSlice::new(b"x")], &[]).unwrap();
    assert_eq!(actor.hear(), "true");
    let pid = actor.pid();
    actor.finish();
    assert_eq!((server.peer().uid(), server.peer().pid()), (Some(expected), Some(pid)));
}

#[tokio::test]
async fn abstract_names_are_for_the_same_user_unless_told_otherwise() {
    if !is_root() {
        // It takes two users.
        return;
    }
    for any in [false, true] {
        let name = format!("bowline-peers-{}-{any}", std::process::id());
        let address = Address::unix_abstract(name).unwrap();
        let options = BindOptions::new().any_uid(any);
        let listener = UnixListener::bind_with(&address, &options).unwrap();
        let mut actor = Actor::start_as_nobody("connect", Path::new(&address.to_os_string()));
        let accepted = within(listener.accept()).await;
        if let Ok(server) = &accepted {
            server.try_send(&[IoSlice::new(b"x")], &[]).unwrap();
        }
        assert_eq!(accepted.is_ok(), any);
        assert_eq!((actor.hear().as_str(), actor.hear()), ("connected", any.to_string()));
        actor.finish();
        if let Err(error) = accepted {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("uid=65534"), "{error}");
            // Its own user is still welcome.
            let _client = UnixConnector::new(&address).unwrap().connect().await.unwrap();
            within(listener.accept()).await.unwrap();
        }
    }
}

#[test]
fn an_impostor_gets_no_byte() {
    let directory = open_directory();
    chmod(directory.path(), 0o1777);
    let path = directory.path().join("a.sock");
    let mut impostor = Actor::start_as_nobody("serve", &path);
    assert_eq!(impostor.hear(), "listening");
    let address = Address::unix(&path).unwrap();
    let theirs = if is_root() { NOBODY } else { rustix::process::geteuid().as_raw() };
    let wanted = theirs + 1;
    let error =
        ConnectOptions::new().require_peer_uid(wanted).connect(&address).expect_err("an impostor");
    let Fault::WrongPeer { expected, found } = error.fault() else { panic!("{error}") };
    assert_eq!((*expected, *found), (wanted, Some(theirs)));
    assert!(!error.is_retryable());
    assert_eq!(impostor.hear(), "0", "the impostor reads the end at once");
    impostor.finish();
}

#[test]
fn the_right_server_is_let_through() {
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let _listener = BindOptions::new().bind(&address).unwrap();
    let us = rustix::process::geteuid().as_raw();
    ConnectOptions::new().require_peer_uid(us).connect(&address).unwrap();
    ConnectOptions::new().require_peer_uid(us).try_connect(&address).unwrap();
}

#[test]
fn nobody_is_not_taken_for_somebody() {
    let lone = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    assert_eq!(peer_identity(&lone).unwrap_err().kind(), ErrorKind::NotConnected);
    let (pipe, _) = rustix::pipe::pipe().unwrap();
    assert!(peer_identity(&pipe).is_err());
    assert!(RawSocket::from_fd(pipe).is_err());
}

#[test]
fn a_socket_that_does_not_wait_is_made_to() {
    let (a, b) = StdStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let socket = RawSocket::from_fd(a.into()).unwrap();
    let reader = std::thread::spawn(move || {
        let mut buf = BytesMut::with_capacity(8);
        socket.recv(&mut buf).unwrap();
        buf
    });
    rustix::io::write(&b, b"ahoy").unwrap();
    assert_eq!(reader.join().unwrap(), "ahoy");
}

/// Sends one byte with a copy of a descriptor.
fn send_descriptor(to: impl AsFd, data: &[u8], descriptor: &OwnedFd) {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(to, &[IoSlice::new(data)], &mut control, SendFlags::empty()).unwrap();
}

#[tokio::test]
async fn descriptors_sent_unasked_are_closed() {
    let (ours, theirs) = StdStream::pair().unwrap();
    let socket = UnixSocket::from_raw(RawSocket::from_fd(ours.into()).unwrap()).unwrap();
    let (mut end, pipe) = std::io::pipe().unwrap();
    let pipe = OwnedFd::from(pipe);
    for _ in 0..10 {
        send_descriptor(&theirs, b"x", &pipe);
    }
    drop(pipe);
    let mut buf = BytesMut::new();
    while buf.len() < 10 {
        recv(&socket, &mut buf).await.unwrap();
    }
    // If anybody still had the pipe, this would wait.
    assert_eq!(end.read(&mut [0; 8]).unwrap(), 0);
}

#[tokio::test]
async fn a_read_that_a_descriptor_cuts_short_is_not_taken_for_the_last() {
    let (ours, theirs) = StdStream::pair().unwrap();
    let socket = UnixSocket::from_raw(RawSocket::from_fd(ours.into()).unwrap()).unwrap();
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    // All of it is there before the runtime hears of any.
    rustix::io::write(&theirs, b"one").unwrap();
    send_descriptor(&theirs, b"two", &null);
    rustix::io::write(&theirs, b"three").unwrap();
    drop(theirs);
    let mut buf = BytesMut::new();
    let mut reads = 0;
    while recv(&socket, &mut buf).await.unwrap() > 0 {
        reads += 1;
    }
    assert_eq!(buf, "onetwothree");
    assert!(reads > 1, "the kernel no longer cuts reads short: the test shows nothing");
}

#[tokio::test]
async fn a_read_that_a_descriptor_cuts_short_leaves_nothing_behind() {
    let (ours, theirs) = StdStream::pair().unwrap();
    let socket = UnixSocket::from_raw(RawSocket::from_fd(ours.into()).unwrap()).unwrap();
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    rustix::io::write(&theirs, b"one").unwrap();
    send_descriptor(&theirs, b"two", &null);
    rustix::io::write(&theirs, b"three").unwrap();
    let mut buf = BytesMut::new();
    while buf.len() < "onetwothree".len() {
        // The peer says no more, so nothing but the first news of it can bring all of it.
        within(recv(&socket, &mut buf)).await.unwrap();
    }
    assert_eq!(buf, "onetwothree");
}

#[tokio::test]
async fn a_peer_that_is_killed_reads_as_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let listener = UnixListener::bind(&address).unwrap();
    let mut actor = Actor::start("connect", Path::new(&address.to_os_string()));
    let server = within(listener.accept()).await.unwrap();
    actor.hear();
    actor.kill();
    assert_eq!(recv(&*server, &mut BytesMut::new()).await.unwrap(), 0);
    let error = server.try_send(&[IoSlice::new(b"x")], &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn writing_to_a_closed_peer_raises_no_signal() {
    Actor::start("survive SIGPIPE", Path::new("")).finish();
}

fn survive_sigpipe() {
    // SAFETY: Nothing else in this process handles the signal, and the default action is no handler.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    assert_eq!(before, libc::SIG_IGN, "Rust programs begin with the signal ignored");
    let data = [IoSlice::new(b"x"), IoSlice::new(b"y")];
    for data in [&data[..], &data[..1]] {
        let (a, b) = RawSocket::pair().unwrap();
        drop(b);
        assert_eq!(a.send(data).unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(a.try_send(data).unwrap_err().kind(), ErrorKind::BrokenPipe);
        block_on(async {
            let (a, b) = UnixSocket::pair().unwrap();
            drop(b);
            let error = poll_fn(|cx| a.poll_send(cx, data, &[])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
    }
}

#[tokio::test]
async fn two_hundred_clients_pass_through_a_queue_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let listener = UnixListener::bind_with(&address, &BindOptions::new().backlog(1)).unwrap();
    let connector =
        UnixConnector::with_options(&address, ConnectOptions::new().backlog_wait(LIMIT)).unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let connector = connector.clone();
        clients.spawn(async move { connector.connect().await.unwrap() });
    }
    within(async {
        for _ in 0..200 {
            listener.accept().await.unwrap();
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_accept_is_told_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let _listener = BindOptions::new().backlog(1).bind(&address).unwrap();
    let options = ConnectOptions::new().backlog_wait(Duration::from_millis(20));
    let connector = UnixConnector::with_options(&address, options.clone()).unwrap();
    let mut queued = Vec::new();
    let error = loop {
        match within(connector.connect()).await {
            Ok(socket) => queued.push(socket),
            Err(error) => break error,
        }
        assert!(queued.len() < 10);
    };
    assert!(matches!(error.fault(), Fault::BacklogFull), "{error}");
    assert!(error.is_retryable());
    // And without a runtime.
    let waited = tokio::task::spawn_blocking(move || options.connect(&address)).await.unwrap();
    assert!(matches!(waited.unwrap_err().fault(), Fault::BacklogFull));
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let error = UnixListener::bind(&address).unwrap_err();
    assert!(matches!(error.fault(), Fault::Io { .. }), "{error}");
    assert!(!directory.path().join("a.sock").exists());
    let (a, _b) = RawSocket::pair().unwrap();
    assert!(UnixSocket::from_raw(a).is_err());
}

#[test]
fn buffers_are_as_asked_for_at_both_ends() {
    use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
    let directory = tempfile::tempdir().unwrap();
    let address = address(directory.path());
    let options = BindOptions::new().send_buffer(10_000).recv_buffer(20_000);
    let listener = options.bind(&address).unwrap();
    let options = ConnectOptions::new().send_buffer(30_000).recv_buffer(40_000);
    let client = options.connect(&address).unwrap();
    let server = listener.accept().unwrap();
    let sizes = |socket: &RawSocket| {
        (socket_send_buffer_size(socket).unwrap(), socket_recv_buffer_size(socket).unwrap())
    };
    // Linux doubles what it is asked for.
    assert_eq!((sizes(&server), sizes(&client)), ((20_000, 40_000), (60_000, 80_000)));
}

#[test]
fn scarce_descriptors_end_nothing() {
    let directory = tempfile::tempdir().unwrap();
    Actor::start("run out of descriptors", directory.path()).finish();
}

/// In a process of its own, for the limit is the process's.
async fn run_out_of_descriptors(directory: &Path) {
    let address = address(directory);
    let listener = UnixListener::bind(&address).unwrap();
    let connector = UnixConnector::new(&address).unwrap();
    let client = connector.connect().await.unwrap();
    let server = listener.accept().await.unwrap();
    let waiting = connector.connect().await.unwrap();

    let before = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    // Numbers below the limit may be free, and are taken up.
    setrlimit(Resource::Nofile, Rlimit { current: Some(open), maximum: before.maximum }).unwrap();
    let mut fillers = Vec::new();
    while let Ok(filler) = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 0) {
        fillers.push(filler);
    }

    // The listener says so, and can be used again.
    let error = within(listener.accept()).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    let error = connector.connect().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");

    // A full socket that cannot have itself watched for room goes on all the same.
    let mut sent = 0;
    let data = [7; 10_000];
    while let Poll::Ready(count) =
        client.poll_send(&mut Context::from_waker(Waker::noop()), &[IoSlice::new(&data)], &[])
    {
        sent += count.unwrap();
    }
    let more = poll_fn(|cx| client.poll_send(cx, &[IoSlice::new(&data)], &[]));
    let drain = async {
        let mut buf = BytesMut::new();
        while buf.len() < sent {
            recv(&*server, &mut buf).await.unwrap();
        }
    };
    let (more, ()) = within(async { tokio::join!(more, drain) }).await;
    assert!(more.unwrap() > 0);

    drop(fillers);
    setrlimit(Resource::Nofile, before).unwrap();
    let accepted = within(listener.accept()).await.unwrap();
    waiting.try_send(&[IoSlice::new(b"x")], &[]).unwrap();
    assert_eq!(recv(&*accepted, &mut BytesMut::new()).await.unwrap(), 1);
}

#[test]
fn a_short_iovec_is_no_surprise() {
    let (a, b) = StdStream::pair().unwrap();
    let socket = RawSocket::from_fd(a.into()).unwrap();
    let slices = vec![IoSlice::new(b"x"); 5_000];
    assert_eq!(socket.try_send(&slices).unwrap(), 1_024);
    let mut buf = [0; 2_048];
    let received = (&b).read_vectored(&mut [IoSliceMut::new(&mut buf)]).unwrap();
    assert_eq!(received, 1_024);
}
