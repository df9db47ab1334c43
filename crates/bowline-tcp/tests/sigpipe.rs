//! Writing to a closed peer where SIGPIPE ends the process. Alone in its program: a process that it
//! starts has copies of all sockets for a moment.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::io::IoSlice;
use std::process::Command;

use bowline_tcp::{TcpConnector, TcpListener};
use bowline_transport::{Connector, Listener};

#[test]
fn writing_to_a_closed_peer_raises_no_signal() {
    const ROLE: &str = "BOWLINE_TEST_SIGPIPE";
    if std::env::var_os(ROLE).is_none() {
        let name = "writing_to_a_closed_peer_raises_no_signal";
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).args([name, "--exact"]).env(ROLE, "1").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    // SAFETY: Nothing else in this process handles the signal, and the default action is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(&"tcp:127.0.0.1:0".parse().unwrap()).await.unwrap();
        let client = TcpConnector::new(listener.address()).unwrap().connect().await.unwrap();
        drop(listener.accept().await.unwrap());
        let data = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        let mut errors = 0;
        while errors < 5 {
            let sent = poll_fn(|cx| client.poll_send(cx, &data, &[])).await;
            errors += usize::from(sent.is_err());
            errors += usize::from(client.try_send(&data, &[]).is_err());
            tokio::task::yield_now().await;
        }
    });
}
