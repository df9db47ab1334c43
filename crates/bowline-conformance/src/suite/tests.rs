//! Verdicts, with peers that do one thing right or wrong.

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use bowline::transport::memory::{MemoryConnector, MemoryListener};
use bowline::transport::{Listener, Socket};
use bytes::BytesMut;

use super::{Options, Row, Size, Target, run};
use crate::Peer as Tested;
use crate::case::{all, parse};
use crate::frames::Frame;
use crate::notation::{Names, words};
use crate::play::Verdict;

/// What a peer does after its preface and HELLO: the frames that it sends, and whether it ends its
/// writing then.
struct Peer(&'static [&'static str], bool);

impl Peer {
    async fn serve(self, listener: MemoryListener) {
        let socket = listener.accept().await.unwrap();
        let mut bytes = BytesMut::from(&b"BOWLINE\x01"[..]);
        for line in ["HELLO"].iter().chain(self.0) {
            Frame::parse(&words(line), &Names::default()).unwrap().write_to(&mut bytes);
        }
        while !bytes.is_empty() {
            let sent = poll_fn(|cx| socket.poll_send(cx, &[IoSlice::new(&bytes)], &[])).await;
            let _ = bytes.split_to(sent.unwrap());
        }
        if self.1 {
            socket.shutdown().unwrap();
        }
        read_to_end(socket.as_ref()).await;
    }
}

async fn read_to_end(socket: &dyn Socket) {
    let (mut bytes, mut descriptors) = (BytesMut::with_capacity(4096), Vec::new());
    while poll_fn(|cx| socket.poll_recv(cx, &mut bytes, &mut descriptors)).await.unwrap_or(0) > 0 {
        bytes.clear();
    }
}

/// What comes of this script with that peer.
async fn played(name: &str, script: &str, should: bool, peer: Peer) -> Row {
    // A case about timeouts has no bystander, so the peer need not be able to do more.
    let case = format!(
        "[[case]]\nid = \"PNG-001/test\"\nlevel = 1\nwhy = \"test\"\ntimeouts = true\n\
         should = {should}\nscript = '''\n{script}\n'''\n"
    );
    let address = format!("memory:{name}").parse().unwrap();
    let listener = MemoryListener::bind(&address).unwrap();
    let connector = Arc::new(MemoryConnector::new(&address).unwrap());
    let target = Target {
        transport: "memory".into(),
        connector: connector.clone(),
        impatient: Some(connector),
    };
    let options = Options {
        sizes: vec![Size::Whole],
        patience: Duration::from_millis(50),
        ..Options::default()
    };
    let serving = tokio::spawn(peer.serve(listener));
    let cases = parse("test", &case).unwrap();
    let mut report =
        run(cases, &Tested { servers: vec![target], client: None }, &options, |_, _| {}).await;
    serving.abort();
    report.cases.remove(0)
}

#[tokio::test]
async fn a_peer_that_does_what_it_must_passes() {
    let peer = Peer(&["PING 5 ACK"], true);
    let row = played("right", "> PING 5\n< pong 5\n< end-of-stream", false, peer).await;
    assert_eq!((row.verdict, &row.reason[..]), (Verdict::Pass, ""));
    let peer = Peer(&["GOAWAY last=0 CREDIT"], true);
    let row = played("error", "< error CREDIT", false, peer).await;
    assert_eq!((row.verdict, &row.reason[..]), (Verdict::Pass, ""));
}

#[tokio::test]
async fn each_fault_has_its_verdict() {
    for (name, script, peer, verdict, reason) in [
        ("silent", "> PING 5\n< pong 5", Peer(&[], false), Verdict::Hang, "silent"),
        ("ends", "> PING 5\n< pong 5", Peer(&[], true), Verdict::UncleanClose, "ended"),
        ("other", "< pong 5", Peer(&["PING 6 ACK"], false), Verdict::Fail, "the answer says 6"),
        ("unsaid", "< error CREDIT", Peer(&[], true), Verdict::UncleanClose, "without GOAWAY"),
        (
            "code",
            "< error CREDIT",
            Peer(&["GOAWAY last=0 METHOD"], true),
            Verdict::Fail,
            "error 12 (\"\"), not CREDIT",
        ),
        ("open", "< error CREDIT", Peer(&["GOAWAY last=0 CREDIT"], false), Verdict::Hang, "silent"),
        (
            "after",
            "< error CREDIT",
            Peer(&["GOAWAY last=0 CREDIT", "PING 1"], true),
            Verdict::Fail,
            "a frame came after GOAWAY",
        ),
        ("gives up", "< pong 5", Peer(&["GOAWAY METHOD"], true), Verdict::Fail, "ended the conn"),
    ] {
        let row = played(name, script, false, peer).await;
        assert_eq!(row.verdict, verdict, "{name}: {}", row.reason);
        assert!(row.reason.contains(reason), "{name}: {}", row.reason);
    }
}

#[tokio::test]
async fn a_peer_is_held_to_the_rules_whatever_the_case_is_about() {
    for (name, frame, requirement) in [
        ("flags", "PING 1 flags=0x02", "FRM-003"),
        ("type", "PING 1 type=0x30", "FRM-002"),
        ("call id", "STATUS 1 OK", "CAL-002"),
        ("ping", "PING 1 tail=0x00", "PNG-001"),
        ("hello", "HELLO", "HEL-001"),
        ("decode", "GOAWAY tail=0x0f", "FRM-007"),
        ("descriptors", "PING 1 fds=1", "DSC-001"),
        ("request", "REQUEST 1 Unary", "CAL-001"),
    ] {
        let peer = Peer(Box::leak(Box::new([frame])), false);
        let row = played(name, "< pong 5", false, peer).await;
        assert_eq!(row.verdict, Verdict::Fail, "{name}");
        assert!(row.reason.contains(requirement), "{name}: {}", row.reason);
    }
    let broken: [(&str, &'static [&'static str], &str); 7] = [
        ("no more", &["DATA 1 MORE announce=5 \"abc\"", "DATA 1 \"d\""], "MSG-003"),
        ("no length", &["DATA 1 MORE \"abc\""], "MSG-002"),
        ("twice", &["STATUS 1 OK", "STATUS 1 OK"], "CAL-005"),
        ("response", &["DATA 1 \"a\"", "RESPONSE 1"], "CAL-006"),
        ("inside", &["DATA 1 MORE announce=5 \"abc\"", "STATUS 1 OK"], "STA-001"),
        ("role", &["FINISH 1"], "FRM-006"),
        ("no credit", &["CREDIT 1 0"], "CRD-002"),
    ];
    for (name, frames, requirement) in broken {
        // The peer's frames may only be read once the call has been opened.
        let row = played(name, "> REQUEST 1 Chat\n< pong 5", false, Peer(frames, false)).await;
        assert_eq!(row.verdict, Verdict::Fail, "{name}");
        let found = row.reason.contains(requirement) || row.reason.contains("CAL-002");
        assert!(found, "{name}: {}", row.reason);
    }
}

#[tokio::test]
async fn what_should_be_is_not_what_must_be() {
    let row = played("should", "< pong 5", true, Peer(&["PING 6 ACK"], false)).await;
    assert_eq!(row.verdict, Verdict::PassNonstrict);
    assert!(row.verdict.is_good() && !row.reason.is_empty());
    // But hanging is.
    let row = played("hangs", "< pong 5", true, Peer(&[], false)).await;
    assert_eq!(row.verdict, Verdict::Hang);
}

#[test]
fn cases_have_ids_of_their_own() {
    let cases = all();
    let mut ids: Vec<&str> = cases.iter().map(|case| &case.id[..]).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
    for case in &cases {
        let requirement = case.requirement();
        let (letters, digits) = requirement.split_once('-').unwrap_or_default();
        assert!(letters.len() == 3 && digits.len() == 3, "{}", case.id);
        assert!(case.why.ends_with('.') && case.level <= 3, "{}", case.id);
    }
}
