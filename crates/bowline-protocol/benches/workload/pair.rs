//! Two connections with a pipe between them, driven as the tokio driver drives them.

use std::io::IoSlice;
use std::time::Instant;

use bowline_protocol::{CallId, Config, Connection, Event, Open, Outbound, Recv, Side};
use bytes::{Bytes, BytesMut};

use super::{BATCH, OPERATIONS};

const METHOD: &str = "bowline.bench.v1.Bench/Echo";
/// Room for one read.
const READ: usize = 128 * 1024;

/// A client and a server that sends back what it gets.
pub(crate) struct Pair {
    client: Connection,
    server: Connection,
    to_server: Pipe,
    to_client: Pipe,
    /// It stands still, so that no timer rings.
    now: Instant,
    /// The call on which the server streams.
    stream: CallId,
}

/// Both buffers between two connections; what takes the place of the socket is one copy.
#[derive(Default)]
struct Pipe {
    out: Outbound,
    input: BytesMut,
}

impl Pipe {
    /// All that one side has to say, in reads of bounded size. The receiver's application runs
    /// between them, as it does between a driver's reads.
    fn carry(
        &mut self,
        from: &mut Connection,
        to: &mut Connection,
        now: Instant,
        mut application: impl FnMut(&mut Connection),
    ) {
        loop {
            from.poll_transmit(&mut self.out, now);
            if self.out.is_empty() {
                return;
            }
            self.read(to.input_hint());
            to.settle();
            // An accepting side takes the preface alone at first.
            while !self.input.is_empty() {
                let before = self.input.len();
                to.handle_input(&mut self.input, now);
                if self.input.len() == before {
                    break;
                }
            }
            application(to);
        }
    }

    fn read(&mut self, hint: usize) {
        self.input.reserve(READ.max(hint));
        let mut room = self.input.capacity() - self.input.len();
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = self.out.slices(&mut slices);
        let mut read = 0;
        for slice in &slices[..filled] {
            let bytes = &slice[..slice.len().min(room)];
            self.input.extend_from_slice(bytes);
            read += bytes.len();
            room -= bytes.len();
        }
        self.out.advance(read);
    }
}

impl Pair {
    /// After the handshake, with a stream open, and after unary calls with this payload.
    #[expect(clippy::disallowed_methods, reason = "an hour is needed, any will do")]
    pub(crate) fn warm(payload: &Bytes) -> Self {
        let now = Instant::now();
        let connection = |side| Connection::new(Config::new(side), now).expect("the defaults hold");
        let (mut client, server) = (connection(Side::Connecting), connection(Side::Accepting));
        let stream = client.open(Open::new(METHOD), now).expect("there is a slot");
        let mut call = client.call(stream).expect("was just opened");
        call.finish();
        assert_eq!(call.recv(), Recv::Pending);
        let (to_server, to_client) = (Pipe::default(), Pipe::default());
        let mut pair = Self { client, server, to_server, to_client, now, stream };
        pair.exchange();
        unary(&mut pair, payload);
        unary_at_once(&mut pair, &Bytes::from_static(&[0; 64]));
        self::stream(&mut pair, &Bytes::from_static(&[0; 1024]));
        pair
    }

    fn open(&mut self, payload: &Bytes) {
        let call = self.client.open(Open::new(METHOD), self.now).expect("there is a slot");
        let mut call = self.client.call(call).expect("was just opened");
        call.send(payload.clone(), true).expect("there is room");
        // The caller waits for the reply, which is what lets a large one come.
        assert_eq!(call.recv(), Recv::Pending);
    }

    /// Carries bytes until neither side has anything to say; returns how many bytes of messages the
    /// client got.
    fn exchange(&mut self) -> usize {
        let mut received = 0;
        while self.client.wants_transmit() || self.server.wants_transmit() {
            self.to_server.carry(&mut self.client, &mut self.server, self.now, serve);
            self.to_client.carry(&mut self.server, &mut self.client, self.now, |client| {
                received += take_replies(client);
            });
        }
        received
    }
}

/// The server's application: each message of a call goes back as its reply.
fn serve(server: &mut Connection) {
    while let Some(event) = server.poll_event() {
        let id = match event {
            Event::Request(request) => request.call,
            Event::Readable(id) => id,
            _ => continue,
        };
        let mut call = server.call(id).expect("the handler has not ended");
        if let Recv::Message(message) = call.recv() {
            call.send(message.payload, true).expect("there is room");
        }
    }
}

/// The client's application: takes all that is there.
fn take_replies(client: &mut Connection) -> usize {
    let mut received = 0;
    while let Some(event) = client.poll_event() {
        let Event::Readable(id) = event else { continue };
        while let Some(mut call) = client.call(id) {
            match call.recv() {
                Recv::Message(message) => received += message.payload.len(),
                Recv::Ended(status) => assert!(status.is_ok(), "{status:?}"),
                _ => break,
            }
        }
    }
    received
}

/// Calls one after the other.
pub(crate) fn unary(pair: &mut Pair, payload: &Bytes) {
    for _ in 0..OPERATIONS {
        pair.open(payload);
        assert_eq!(pair.exchange(), payload.len());
    }
}

/// Calls all at once, so that each read has many.
pub(crate) fn unary_at_once(pair: &mut Pair, payload: &Bytes) {
    for _ in 0..OPERATIONS {
        pair.open(payload);
    }
    assert_eq!(pair.exchange(), OPERATIONS * payload.len());
}

/// Batches of messages from the server on one call.
pub(crate) fn stream(pair: &mut Pair, message: &Bytes) {
    for _ in 0..OPERATIONS {
        let mut call = pair.server.call(pair.stream).expect("the stream has not ended");
        for _ in 0..BATCH {
            call.send(message.clone(), false).expect("there is room");
        }
        assert_eq!(pair.exchange(), BATCH * message.len());
    }
}
