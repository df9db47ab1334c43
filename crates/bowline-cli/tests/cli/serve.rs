//! `bowline serve`: readiness, signals, and what is left behind; and the clients that look at it.

use std::future::{Future, poll_fn};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use bowline::{Channel, Code, Response, Status};
use bowline_bench::demo::v1::echo_client::EchoClient;
use bowline_bench::demo::v1::{EchoReply, EchoRequest};
use rustix::process::Signal;

use super::support::{Served, directory, run};

fn on_runtime<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test)
}

async fn connect(directory: &Path) -> Channel {
    let address = format!("unix:{}", directory.join("echo.sock").display());
    Channel::connect(&address).await.unwrap()
}

type Call = Pin<Box<dyn Future<Output = Result<Response<EchoReply>, Status>>>>;

/// A call that is answered so much later, and has arrived at the server.
async fn open_call(channel: &Channel, delay_us: u64) -> Call {
    let client = EchoClient::new(channel.clone());
    let request = EchoRequest { payload: b"late".to_vec(), delay_us, fail_code: 0 };
    let mut call: Call = Box::pin(async move { client.unary(request).await });
    // Its first poll sends the request,
    poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    // and what was sent after it has been answered.
    EchoClient::new(channel.clone()).unary(EchoRequest::default()).await.unwrap();
    call
}

#[test]
fn a_signal_drains_and_removes_the_file() {
    let directory = directory();
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
        on_runtime(async {
            let channel = connect(directory.path()).await;
            let call = open_call(&channel, 200_000).await;
            served.signal(signal);
            assert_eq!(served.note(), "stopping; a second signal ends at once");
            assert_eq!(call.await.unwrap().message().payload, b"late");
        });
        assert_eq!(served.wait(), (Some(0), String::new()));
        assert!(!directory.path().join("echo.sock").exists());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let directory = directory();
    let mut served = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
    on_runtime(async {
        let channel = connect(directory.path()).await;
        let call = open_call(&channel, 60_000_000).await;
        served.signal(Signal::TERM);
        assert_eq!(served.note(), "stopping; a second signal ends at once");
        served.signal(Signal::TERM);
        assert_eq!(call.await.unwrap_err().code(), Code::Unavailable);
    });
    assert_eq!(served.wait().0, Some(128 + 15));
}

#[test]
fn the_drain_timeout_ends_calls() {
    let directory = directory();
    let args = ["--listen", "unix:echo.sock", "--drain-timeout", "10ms"];
    let served = Served::start(directory.path(), &args);
    on_runtime(async {
        let channel = connect(directory.path()).await;
        let call = open_call(&channel, 60_000_000).await;
        served.signal(Signal::TERM);
        assert_eq!(call.await.unwrap_err().code(), Code::Unavailable);
    });
    assert_eq!(served.wait().0, Some(0));
}

#[test]
fn the_mode_is_that_of_the_file() {
    let directory = directory();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(directory.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    let _plain = Served::start(directory.path(), &["--listen", "unix:plain.sock"]);
    assert_eq!(mode("plain.sock"), 0o600);
    let _group =
        Served::start(directory.path(), &["--listen", "unix:group.sock", "--mode", "0660"]);
    assert_eq!(mode("group.sock"), 0o660);
}

#[test]
fn clients_reach_it_at_each_address() {
    let directory = directory();
    let name = format!("unix-abstract:bowline-test-{}", std::process::id());
    let args = ["--listen", "unix:echo.sock", "--listen", "tcp:127.0.0.1:0", "--listen", &name];
    let served = Served::start(directory.path(), &args);
    assert_eq!(served.addresses.len(), 3);
    for address in &served.addresses {
        let ping = run(directory.path(), &["ping", address, "--count", "2", "--interval", "0ms"]);
        assert_eq!(ping.code, Some(0), "{ping}");
        let lines: Vec<_> = ping.stdout.lines().collect();
        assert!(lines.contains(&format!("{address}: a Bowline server").as_str()), "{ping}");
        assert!(lines.iter().any(|line| line.starts_with("PING 2: ")), "{ping}");
        assert!(lines.iter().any(|line| line.contains("messages to 4 MiB")), "{ping}");
        let summary = format!("{address}: 2 sent, 2 answered, min/avg/max ");
        assert!(lines.iter().any(|line| line.starts_with(&summary)), "{ping}");
        if address.starts_with("unix") {
            let pid = format!("pid={}", served.pid());
            assert!(lines.iter().any(|line| line.contains(&pid)), "{ping}");
        }
        let echo = run(directory.path(), &["echo", address, "ahoy there"]);
        assert_eq!((echo.code, echo.stdout.as_str()), (Some(0), "ahoy there\n"), "{echo}");
    }
}
