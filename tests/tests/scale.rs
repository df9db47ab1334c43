//! Scale that holds: many calls at once, large messages within bounded memory, a stream that nobody
//! reads, and a thousand connections that leave nothing behind.

mod hard;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bowline::{Channel, Limits, Metadata, Request, Response, Sender, Server, Streaming};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use self::hard::child::{Child, end_with_parent, role, say};
use self::hard::service::{ASK, CHAT, ECHO, Hard, OnAsk, REPEAT};
use self::hard::wiring::{Buffers, Kind, Rig, address};
use self::hard::{Flavour, Raw, content, hash, reset_peak, soon, status_kib};

const KINDS: [Kind; 3] = [Kind::Unix, Kind::Tcp, Kind::Memory];

/// The tests run one after the other: they measure memory and count descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn echo(channel: &Channel, number: usize, length: usize) {
    let request = Request::new(Raw(content(number, length)));
    let answer: Result<Response<Raw>, _> = soon("an echo", channel.unary(&ECHO, request)).await;
    assert!(answer.expect("the call succeeds").message().0 == content(number, length));
}

const MANY: usize = 10_000;

/// All calls are alive at once: no handler answers before all have started.
async fn many_calls(kind: Kind) {
    let mut limits = Limits::accepting();
    limits.calls_max = MANY as u32;
    let barrier = Arc::new(Barrier::new(MANY));
    let on_ask: OnAsk = Arc::new(move |request| {
        let barrier = Arc::clone(&barrier);
        Box::pin(async move {
            barrier.wait().await;
            Ok(Response::new(request.into_inner()))
        })
    });
    let service = Hard { on_ask: Some(on_ask), ..Hard::default() };
    let rig = Rig::new(kind, Buffers::Default, &limits, service).await;
    let mut set = JoinSet::new();
    for number in 0..MANY {
        let channel = rig.channel.clone();
        set.spawn(async move {
            let request = Request::new(Raw(content(number, 64)));
            let answer: Result<Response<Raw>, _> = channel.unary(&ASK, request).await;
            assert!(answer.expect("the call succeeds").message().0 == content(number, 64));
        });
    }
    let work = async {
        while let Some(result) = set.join_next().await {
            result.expect("the calls succeed");
        }
    };
    soon("ten thousand calls", work).await;
    rig.close().await;
}

#[test]
fn ten_thousand_calls_alive_at_once() {
    let _alone = alone();
    for flavour in Flavour::ALL {
        for kind in KINDS {
            let start = Instant::now();
            flavour.block_on(many_calls(kind));
            eprintln!("{kind:?}, {flavour:?}: {MANY} calls alive at once, {:?}", start.elapsed());
        }
    }
}

const LARGE: usize = 64 * 1024 * 1024;

fn large_limits(mut limits: Limits) -> Limits {
    limits.message_max = 2 * LARGE as u64;
    limits.large_max = 2 * LARGE as u64;
    limits
}

/// Answers a large message with its hash, and a short one with the large message of that number.
fn large_service() -> Hard {
    let on_ask: OnAsk = Arc::new(|request| {
        Box::pin(async move {
            let message = request.into_inner().0;
            Ok(Response::new(Raw(match message.len() {
                8 => content(number_in(&message), LARGE),
                _ => hash(&message).to_le_bytes().to_vec().into(),
            })))
        })
    });
    Hard { on_ask: Some(on_ask), ..Hard::default() }
}

fn number_in(message: &[u8]) -> usize {
    u64::from_le_bytes(message.try_into().expect("eight bytes")) as usize
}

async fn upload(channel: &Channel) {
    let large = content(7, LARGE);
    let expected = hash(&large);
    let answer: Result<Response<Raw>, _> =
        soon("the upload", channel.unary(&ASK, Request::new(Raw(large)))).await;
    let answer = answer.expect("the upload succeeds");
    assert_eq!(number_in(&answer.message().0) as u64, expected, "the server got other bytes");
}

async fn download(channel: &Channel) {
    let request = Request::new(Raw(5_u64.to_le_bytes().to_vec().into()));
    let answer: Result<Response<Raw>, _> = soon("the download", channel.unary(&ASK, request)).await;
    let answer = answer.expect("the download succeeds");
    assert_eq!(answer.message().0.len(), LARGE);
    let found = hash(&answer.message().0);
    drop(answer);
    assert_eq!(found, hash(&content(5, LARGE)), "the client got other bytes");
}

#[test]
fn large_messages_over_memory() {
    let _alone = alone();
    for flavour in Flavour::ALL {
        flavour.block_on(async {
            let limits = large_limits(Limits::accepting());
            let rig = Rig::new(Kind::Memory, Buffers::Default, &limits, large_service()).await;
            upload(&rig.channel).await;
            download(&rig.channel).await;
            rig.close().await;
        });
    }
}

/// Each side in a fresh process of its own; what it needs beyond its start is at most three times
/// the message, the application's own copy included.
#[test]
fn large_messages_take_bounded_memory() {
    let _alone = alone();
    for kind in [Kind::Unix, Kind::Tcp] {
        for direction in ["upload", "download"] {
            let start = Instant::now();
            let (server, client) = Flavour::Current.block_on(async {
                let address = address(kind).to_string();
                let mut server = Child::spawn(&["serve", &address]);
                let at = server.line().await;
                let before: u64 = server.line().await.parse().expect("a number");
                let mut client = Child::spawn(&[direction, &at]);
                let client: u64 = client.line().await.parse().expect("a number");
                (status_kib(&server.pid(), "VmHWM") - before, client)
            });
            eprintln!(
                "{kind:?}, {direction} of 64 MiB: server {} MiB, client {} MiB, {:?}",
                server / 1024,
                client / 1024,
                start.elapsed()
            );
            for (side, peak) in [("server", server), ("client", client)] {
                let most = 3 * LARGE as u64 / 1024;
                assert!(peak <= most, "{kind:?}, {direction}: the {side} took {peak} KiB");
            }
        }
    }
}

/// What the other process does.
#[test]
#[ignore = "is started by other tests, in a process of its own"]
fn child() {
    let Some(role) = role() else { return };
    end_with_parent();
    // The noise is made before memory is looked at.
    assert_eq!(content(0, 1).len(), 1);
    Flavour::Current.block_on(async {
        match [role[0].as_str(), &role[1]] {
            ["serve", at] => {
                let builder = Server::builder().limits(large_limits(Limits::accepting()));
                let server = builder.add_service(large_service()).listen(at).await;
                let server = server.expect("listens");
                reset_peak();
                say(&server.addresses().next().expect("one").to_string());
                say(&status_kib("self", "VmHWM").to_string());
                server.serve().await;
            }
            [direction, at] => {
                let builder = Channel::builder(at).expect("an address");
                let builder = builder.limits(large_limits(Limits::connecting()));
                let channel = builder.connect().await.expect("connects");
                channel.ready().await.expect("a server");
                reset_peak();
                let before = status_kib("self", "VmHWM");
                match direction {
                    "upload" => upload(&channel).await,
                    _ => download(&channel).await,
                }
                say(&(status_kib("self", "VmHWM") - before).to_string());
            }
        }
    });
}

/// One stream of a hundred is never read: the others do not notice.
async fn one_never_read(kind: Kind) {
    const STREAMS: usize = 100;
    const MESSAGES: usize = 50;
    const LENGTH: usize = 4 * 1024;
    let rig = Rig::new(kind, Buffers::Default, &Limits::accepting(), Hard::default()).await;
    // A server that sends as fast as it may, to a client that does not read; and the other way, a
    // client that sends to an echo whose echoes it does not read.
    let mut metadata = Metadata::new();
    metadata.insert("count", "1000000").expect("valid");
    let request = Request::new(Raw(content(0, LENGTH))).with_metadata(metadata);
    let never_read: Streaming<Raw> =
        rig.channel.server_streaming(&REPEAT, request).await.expect("opens");
    let chat = rig.channel.bidi_streaming(&CHAT, Request::new(())).await.expect("opens");
    let (mut sender, never_read_either): (Sender<Raw>, Streaming<Raw>) = chat;
    let stuck =
        tokio::spawn(async move { while sender.send(Raw(content(0, LENGTH))).await.is_ok() {} });
    let done = Arc::new(AtomicUsize::new(0));
    let mut set = JoinSet::new();
    for number in 1..STREAMS {
        let (channel, done) = (rig.channel.clone(), Arc::clone(&done));
        set.spawn(async move {
            let chat = channel.bidi_streaming(&CHAT, Request::new(())).await.expect("opens");
            let (mut sender, mut stream): (Sender<Raw>, Streaming<Raw>) = chat;
            for message in 0..MESSAGES {
                let sent = content(number * MESSAGES + message, LENGTH);
                sender.send(Raw(sent.clone())).await.expect("is taken");
                let back = stream.message().await.expect("goes on").expect("an echo");
                assert!(back.0 == sent, "stream {number} brought something else");
            }
            sender.finish();
            assert!(stream.message().await.expect("ends well").is_none());
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    let work = async {
        while let Some(result) = set.join_next().await {
            result.expect("the streams succeed");
        }
    };
    soon("ninety-nine streams", work).await;
    assert_eq!(done.load(Ordering::Relaxed), STREAMS - 1);
    drop((never_read, never_read_either));
    soon("the stuck sender", stuck).await.expect("no panic");
    rig.close().await;
}

#[test]
fn one_stream_of_a_hundred_never_read() {
    let _alone = alone();
    for flavour in Flavour::ALL {
        for kind in KINDS {
            flavour.block_on(one_never_read(kind));
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits until descriptors and tasks are back to what they were: what ends in the background (the
/// last reads of a connection) may still be on its way, but not for long.
async fn settled(what: &str, before: (usize, usize)) {
    let start = Instant::now();
    loop {
        let now = (descriptors(), tasks());
        if now == before {
            return;
        }
        let late = start.elapsed() > Duration::from_secs(5);
        assert!(!late, "{what}: descriptors and tasks were {before:?}, are {now:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Connections that are closed, dropped, and dropped with a call open: none leaves anything.
async fn churn(kind: Kind) {
    const ROUNDS: usize = 1000;
    let server = Server::builder().add_service(Hard::default());
    let server = server.listen(&address(kind).to_string()).await.expect("listens");
    let at = server.addresses().next().expect("one").to_string();
    let stop = server.handle();
    let serving = tokio::spawn(server.serve());
    // What is made once is not a leak.
    let first = Channel::connect(&at).await.expect("connects");
    echo(&first, 0, 100).await;
    first.close().await;
    // The server's.
    let alone = async {
        while tasks() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon("the end of the first connection", alone).await;
    let before = (descriptors(), 1);
    let start = Instant::now();
    for round in 0..ROUNDS {
        let channel = soon("connecting", Channel::connect(&at)).await.expect("connects");
        echo(&channel, round, 100).await;
        match round % 3 {
            0 => soon("closing", channel.close()).await,
            1 => drop(channel),
            _ => {
                let chat = channel.bidi_streaming(&CHAT, Request::new(())).await.expect("opens");
                let (mut sender, stream): (Sender<Raw>, Streaming<Raw>) = chat;
                sender.send(Raw(content(round, 100))).await.expect("is taken");
                drop((sender, stream, channel));
            }
        }
    }
    settled("a thousand connections", before).await;
    eprintln!("{kind:?}: {ROUNDS} connections, {:?}", start.elapsed());
    stop.shutdown();
    soon("shutting down", serving).await.expect("no panic");
}

#[test]
fn a_thousand_connections_leave_nothing() {
    let _alone = alone();
    for flavour in Flavour::ALL {
        for kind in KINDS {
            flavour.block_on(churn(kind));
        }
    }
}
