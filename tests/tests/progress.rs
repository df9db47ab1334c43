//! No write-write deadlock: calls both ways at once over real sockets, down to the least buffers that
//! the kernel gives. A second without a byte moving fails.

mod hard;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bowline::transport::Connector;
use bowline::transport::memory::{MemoryConnector, MemoryListener};
use bowline::{Channel, Limits, Metadata, Request, Response, Sender, Server, Streaming};
use bowline_protocol::FrameType;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use self::hard::bytes::{Reader, begun_stream, hello_of_client, send};
use self::hard::counting::{Counter, watched};
use self::hard::service::{ECHO, Hard, OnStream, STREAM};
use self::hard::wiring::{Buffers, Kind, Rig, unique};
use self::hard::{Flavour, Raw, content, reset_peak, soon, status_kib};

/// The least, so that four times of it is not more than it must be.
const WINDOW: usize = 64 * 1024;
const CALLS: [usize; 4] = [1, 64, 279, 2048];
const PAYLOADS: [usize; 5] = [0, 1, WINDOW - 1, WINDOW, 4 * WINDOW];

fn limits() -> Limits {
    let mut limits = Limits::accepting();
    limits.window = WINDOW as u64;
    limits.calls_max = 2048;
    limits
}

/// So many calls with so long a payload, all at once.
fn spawn_calls(
    set: &mut JoinSet<()>,
    channel: &Channel,
    counter: &Arc<Counter>,
    calls: usize,
    payload: usize,
    from: usize,
) {
    for number in from..from + calls {
        let (channel, counter) = (channel.clone(), Arc::clone(counter));
        set.spawn(async move {
            let sent = content(number, payload);
            // To begin takes time, too: it copies the message.
            counter.complete();
            let request = Request::new(Raw(sent.clone()));
            let answer: Result<Response<Raw>, _> = channel.unary(&ECHO, request).await;
            let answer = answer.unwrap_or_else(|status| panic!("call {number}: {status}"));
            assert!(answer.message().0 == sent, "call {number} brought something else");
            counter.complete();
        });
    }
}

async fn cell(kind: Kind, buffers: Buffers, calls: usize, payload: usize) {
    let what = format!("{kind:?}, buffers {buffers:?}, {calls} calls each way of {payload} bytes");
    let start = Instant::now();
    let rig = Rig::new(kind, buffers, &limits(), Hard::default()).await;
    let work = async {
        let mut set = JoinSet::new();
        spawn_calls(&mut set, &rig.channel, &rig.counter, calls, payload, 0);
        spawn_calls(&mut set, &rig.back, &rig.counter, calls, payload, calls);
        while let Some(result) = set.join_next().await {
            result.expect("the calls succeed");
        }
    };
    watched(&what, &rig.counter, work).await;
    rig.close().await;
    let took = start.elapsed();
    if took.as_millis() > 200 {
        eprintln!("{what}: {took:?}, peak {} MiB", status_kib("self", "VmHWM") / 1024);
    }
}

/// The tests run one after the other: they measure memory, and the watchdog looks at the clock.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(what: &str, run: impl FnOnce()) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    reset_peak();
    let start = Instant::now();
    run();
    let peak = status_kib("self", "VmHWM") / 1024;
    eprintln!("{what}: {:?}, peak {peak} MiB", start.elapsed());
}

fn matrix(kind: Kind, buffers: Buffers, flavour: Flavour) {
    alone(&format!("{kind:?}, buffers {buffers:?}, {flavour:?}"), || {
        for payload in PAYLOADS {
            for calls in CALLS {
                flavour.block_on(cell(kind, buffers, calls, payload));
            }
        }
    });
}

/// Part of the matrix. Where a Unix socket takes 278 small writes, TCP loopback takes 124,738: this
/// proves nothing for Unix sockets, but must work all the same.
fn subset(kind: Kind) {
    alone(&format!("{kind:?}"), || {
        for flavour in Flavour::ALL {
            for (calls, payload) in [(2048, 1), (279, WINDOW), (64, 4 * WINDOW)] {
                flavour.block_on(cell(kind, Buffers::Default, calls, payload));
            }
            for (calls, payload) in [(279, 1), (64, WINDOW - 1), (4, 4 * WINDOW)] {
                flavour.block_on(cell(kind, Buffers::Least, calls, payload));
            }
        }
    });
}

#[test]
fn unix_least_current() {
    matrix(Kind::Unix, Buffers::Least, Flavour::Current);
}

#[test]
fn unix_least_multi() {
    matrix(Kind::Unix, Buffers::Least, Flavour::Multi);
}

#[test]
fn unix_default_current() {
    matrix(Kind::Unix, Buffers::Default, Flavour::Current);
}

#[test]
fn unix_default_multi() {
    matrix(Kind::Unix, Buffers::Default, Flavour::Multi);
}

#[test]
fn tcp() {
    subset(Kind::Tcp);
}

#[test]
fn memory() {
    subset(Kind::Memory);
}

/// Streams with messages both ways, beside one that nobody reads on either side.
const STREAMS: usize = 16;
const MESSAGES: usize = 32;
const MESSAGE: usize = 8 * 1024;

/// Sends messages on a stream until it is refused; how many went.
async fn send_until_refused(mut sender: Sender<Raw>, sent: Arc<AtomicUsize>) {
    while sender.send(Raw(content(sent.load(Ordering::Relaxed), MESSAGE))).await.is_ok() {
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

async fn receive_all(stream: &mut Streaming<Raw>, from: usize, counter: &Counter) {
    for number in from..from + MESSAGES {
        let message = stream.message().await.expect("the stream goes on");
        let message = message.unwrap_or_else(|| panic!("message {number} is missing"));
        assert!(message.0 == content(number, MESSAGE), "message {number} is another one");
        counter.complete();
    }
    let end = stream.message().await.expect("the stream ends well");
    assert!(end.is_none(), "there is one message too many");
}

async fn send_all(sender: &mut Sender<Raw>, from: usize) {
    for number in from..from + MESSAGES {
        sender.send(Raw(content(number, MESSAGE))).await.expect("the message is taken");
    }
}

async fn streams(kind: Kind, buffers: Buffers) {
    let what = format!("{kind:?}, buffers {buffers:?}, streams");
    let start = Instant::now();
    let counter = Arc::new(Counter::default());
    let stuck_at_server = Arc::new(AtomicUsize::new(0));
    let (counter_there, stuck) = (Arc::clone(&counter), Arc::clone(&stuck_at_server));
    let on_stream: OnStream = Arc::new(move |request, mut sender| {
        let (counter, stuck) = (Arc::clone(&counter_there), Arc::clone(&stuck));
        Box::pin(async move {
            if request.metadata().text("stuck").is_some() {
                let _never_read = request.into_inner();
                send_until_refused(sender, stuck).await;
                return Ok(());
            }
            let from = request.metadata().text("from").and_then(|from| from.parse().ok());
            let from: usize = from.expect("the client says it");
            let mut stream = request.into_inner();
            tokio::join!(
                receive_all(&mut stream, from, &counter),
                send_all(&mut sender, from + MESSAGES)
            );
            Ok(())
        })
    });
    let service = Hard { on_stream: Some(on_stream), ..Hard::default() };
    let rig = Rig::new(kind, buffers, &limits(), service).await;
    let stuck_at_client = Arc::new(AtomicUsize::new(0));
    let mut stuck_streams = Vec::new();
    let work = async {
        let mut set = JoinSet::new();
        // Calls of both sides, so that streams go both ways in both directions.
        for (side, channel) in [&rig.channel, &rig.back].into_iter().enumerate() {
            let mut metadata = Metadata::new();
            metadata.insert("stuck", "yes").expect("valid");
            let request = Request::new(()).with_metadata(metadata);
            let opened = channel.bidi_streaming(&STREAM, request).await.expect("opens");
            let (sender, never_read): (Sender<Raw>, Streaming<Raw>) = opened;
            let sending = send_until_refused(sender, Arc::clone(&stuck_at_client));
            stuck_streams.push((tokio::spawn(sending), never_read));
            for number in 0..STREAMS {
                let (channel, counter) = (channel.clone(), Arc::clone(&rig.counter));
                let from = (side * STREAMS + number) * 2 * MESSAGES;
                set.spawn(async move {
                    let mut metadata = Metadata::new();
                    metadata.insert("from", &from.to_string()).expect("valid");
                    let request = Request::new(()).with_metadata(metadata);
                    let opened = channel.bidi_streaming(&STREAM, request).await.expect("opens");
                    let (mut sender, mut stream): (Sender<Raw>, Streaming<Raw>) = opened;
                    let sending = async {
                        send_all(&mut sender, from).await;
                        sender.finish();
                    };
                    tokio::join!(sending, receive_all(&mut stream, from + MESSAGES, &counter));
                });
            }
        }
        while let Some(result) = set.join_next().await {
            result.expect("the streams succeed");
        }
    };
    watched(&what, &rig.counter, work).await;
    let received = counter.done.load(Ordering::Relaxed);
    assert_eq!(received, (2 * STREAMS * MESSAGES) as u64, "the servers have received all");
    // What nobody reads is held by the window at the receiver and the queue at the sender.
    let limits = limits();
    let most = (limits.window + limits.send_queue_max) / MESSAGE as u64 + 1;
    for sent in [stuck_at_client, stuck_at_server] {
        let sent = sent.load(Ordering::Relaxed) as u64;
        assert!(sent <= 2 * most, "{what}: {sent} messages went to two streams nobody reads");
    }
    for (sending, never_read) in stuck_streams {
        drop(never_read);
        soon("the end of the stuck stream's sender", sending).await.expect("no panic");
    }
    rig.close().await;
    eprintln!("{what}: {:?}", start.elapsed());
}

#[test]
fn streams_both_ways() {
    alone("streams", || {
        for flavour in Flavour::ALL {
            for kind in [Kind::Unix, Kind::Tcp, Kind::Memory] {
                flavour.block_on(streams(kind, Buffers::Least));
                flavour.block_on(streams(kind, Buffers::Default));
            }
        }
    });
}

/// A handler that has ended leaves a sender behind that waits for room: it is told.
#[test]
fn a_sender_that_outlives_its_handler_is_told() {
    for flavour in Flavour::ALL {
        flavour.block_on(async {
            let (over, mut overs) = mpsc::unbounded_channel();
            let on_stream: OnStream = Arc::new(move |_request, sender| {
                let over = over.clone();
                Box::pin(async move {
                    let sent = Arc::new(AtomicUsize::new(0));
                    let mut sending = Box::pin(send_until_refused(sender, sent));
                    // Until it waits: nobody reads, and nothing leaves while this runs.
                    let polled = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
                    assert!(polled.is_pending(), "the sender waits for room");
                    tokio::spawn(async move {
                        sending.await;
                        over.send(()).expect("the test waits");
                    });
                    // It waits by itself now.
                    tokio::task::yield_now().await;
                    Ok(())
                })
            });
            let service = Hard { on_stream: Some(on_stream), ..Hard::default() };
            let rig = Rig::new(Kind::Unix, Buffers::Least, &limits(), service).await;
            let request = Request::new(());
            let opened = rig.channel.bidi_streaming(&STREAM, request).await.expect("opens");
            let _never_read: (Sender<Raw>, Streaming<Raw>) = opened;
            soon("the end of the sender", overs.recv()).await.expect("it ends");
            drop(_never_read);
            rig.close().await;
        });
    }
}

/// Not even the two HELLOs fit: what one side cannot write must not keep it from reading, from the
/// first byte on.
#[test]
fn handshake_through_a_pipe_of_a_few_bytes() {
    for flavour in Flavour::ALL {
        for capacity in [1, 7, 8, 20, 64] {
            flavour.block_on(async {
                let address = bowline::Address::memory(&unique("tiny")).expect("an address");
                let listener = MemoryListener::bind_with_capacity(&address, capacity);
                let server = Server::builder().add_service(Hard::default());
                let server = server.listen_on(listener.expect("listens")).expect("limits");
                let serving = tokio::spawn(server.serve());
                let connector = MemoryConnector::new(&address).expect("a memory address");
                let channel = Channel::with_connector(connector).connect().await.expect("connects");
                let request = Request::new(Raw(content(1, 100)));
                let answer: Result<Response<Raw>, _> =
                    soon("a call", channel.unary(&ECHO, request)).await;
                let answer = answer.expect("the call succeeds");
                assert_eq!(answer.message().0, content(1, 100));
                serving.abort();
            });
        }
    }
}

/// Three large messages come in pieces. The first has nearly all of `large_max`, the second waits for
/// it, the third would fit but comes after the second. When the second's handler gives its wait up,
/// the third must get its credit, although nothing else happens on the connection.
#[test]
fn a_wait_that_is_given_up_makes_room_for_the_next() {
    const LARGE: u64 = 1024 * 1024;
    Flavour::Current.block_on(async {
        let address = bowline::Address::memory(&unique("large")).expect("an address");
        let listener = MemoryListener::bind(&address).expect("listens");
        let give_up = Arc::new(Notify::new());
        let (given_up, handlers) = (Arc::clone(&give_up), AtomicUsize::new(0));
        let (waits, mut waiting) = mpsc::unbounded_channel();
        let on_stream: OnStream = Arc::new(move |request, _sender| {
            let (given_up, waits) = (Arc::clone(&given_up), waits.clone());
            let second = handlers.fetch_add(1, Ordering::Relaxed) == 1;
            Box::pin(async move {
                let mut stream = request.into_inner();
                {
                    let mut message = Box::pin(stream.message());
                    poll_fn(|cx| Poll::Ready(message.as_mut().poll(cx).is_pending())).await;
                    waits.send(()).expect("the test waits");
                    tokio::select! {
                        _ = message => {}
                        () = given_up.notified(), if second => {}
                    }
                }
                std::future::pending().await
            })
        });
        let mut limits = limits();
        (limits.message_max, limits.large_max) = (LARGE, LARGE);
        let service = Hard { on_stream: Some(on_stream), ..Hard::default() };
        let server = Server::builder().limits(limits).add_service(service);
        let serving = tokio::spawn(server.listen_on(listener).expect("limits").serve());
        let connector = MemoryConnector::new(&address).expect("a memory address");
        let socket = connector.connect().await.expect("connects");
        let mut reader = Reader::new(&*socket);
        send(&*socket, &hello_of_client()).await;
        for (call, length) in [(1, LARGE), (3, LARGE), (5, 100 * 1024)] {
            send(&*socket, &begun_stream(call, length)).await;
            soon("a handler that waits", waiting.recv()).await.expect("it waits");
        }
        soon("the first", reader.frames(1, FrameType::Credit, Some(1))).await;
        give_up.notify_one();
        // Not only when some old timer makes the connection's task look.
        let third = reader.frames(1, FrameType::Credit, Some(5));
        let third = tokio::time::timeout(Duration::from_secs(3), third).await;
        third.expect("the third has its credit at once");
        serving.abort();
    });
}
