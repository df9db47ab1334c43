//! Frames and control messages, each for itself.

use std::hint::black_box;

use bowline_protocol::wire::{Credit, GoAway, Hello, MetadataEntry, Request, Response, Status};
use bowline_protocol::{FLAG_END, FrameHeader, FrameType, HEADER_LEN};
use prost::Message;

use super::OPERATIONS;

/// Headers as a unary call has them.
pub(crate) fn encode_frames() {
    for call in 0..OPERATIONS as u64 {
        let header = FrameHeader::new(FrameType::Data, 64, call).with_flags(FLAG_END);
        black_box(black_box(header).encode());
    }
}

/// The header of a frame, as it was read.
pub(crate) fn decode_frames(bytes: &[u8; HEADER_LEN]) {
    for _ in 0..OPERATIONS {
        black_box(FrameHeader::decode(black_box(bytes)));
    }
}

/// One of each control message that has content, as ordinary calls have it.
pub(crate) struct Round {
    hello: Hello,
    named: Request,
    numbered: Request,
    response: Response,
    credit: Credit,
    status: Status,
    goaway: GoAway,
}

impl Round {
    pub(crate) fn typical() -> Self {
        let metadata = || vec![MetadataEntry { key: "trace-id".into(), value: "4bf92f35".into() }];
        Self {
            hello: Hello {
                calls_max: 1024,
                window: 128 * 1024,
                frame_max: 128 * 1024,
                metadata_max: 16 * 1024,
                message_max: 4 * 1024 * 1024,
                ..Hello::default()
            },
            named: Request {
                method: "bowline.demo.v1.Echo/Unary".into(),
                method_number: 1,
                deadline_us: Some(5_000_000),
                metadata: metadata(),
            },
            numbered: Request { method_number: 1, ..Request::default() },
            response: Response { metadata: metadata() },
            credit: Credit { bytes: 128 * 1024 },
            status: Status { code: 5, message: "no such thing".into(), ..Status::default() },
            goaway: GoAway { last: 1, ..GoAway::default() },
        }
    }

    /// Each message as it stands on the wire.
    pub(crate) fn encoded(&self) -> Encoded {
        Encoded {
            hello: self.hello.encode_to_vec(),
            requests: [self.named.encode_to_vec(), self.numbered.encode_to_vec()],
            response: self.response.encode_to_vec(),
            credit: self.credit.encode_to_vec(),
            status: self.status.encode_to_vec(),
            goaway: self.goaway.encode_to_vec(),
        }
    }

    fn encode(&self, to: &mut Vec<u8>) {
        fn put(message: &impl Message, to: &mut Vec<u8>) {
            message.encode(to).expect("a vector has room");
        }
        put(&self.hello, to);
        put(&self.named, to);
        put(&self.numbered, to);
        put(&self.response, to);
        put(&self.credit, to);
        put(&self.status, to);
        put(&self.goaway, to);
    }
}

/// A [`Round`], each message for itself.
pub(crate) struct Encoded {
    hello: Vec<u8>,
    requests: [Vec<u8>; 2],
    response: Vec<u8>,
    credit: Vec<u8>,
    status: Vec<u8>,
    goaway: Vec<u8>,
}

/// Rounds of control messages, into memory that is there.
pub(crate) fn encode_messages(round: &Round, to: &mut Vec<u8>) {
    for _ in 0..OPERATIONS {
        to.clear();
        black_box(round).encode(to);
    }
}

/// Rounds of control messages, each into a value of its own.
pub(crate) fn decode_messages(encoded: &Encoded) {
    fn take<M: Message + Default>(bytes: &[u8]) {
        black_box(M::decode(black_box(bytes)).expect("is what was encoded"));
    }
    for _ in 0..OPERATIONS {
        take::<Hello>(&encoded.hello);
        for request in &encoded.requests {
            take::<Request>(request);
        }
        take::<Response>(&encoded.response);
        take::<Credit>(&encoded.credit);
        take::<Status>(&encoded.status);
        take::<GoAway>(&encoded.goaway);
    }
}
