//! The service, as the comments in `echo.proto` promise it.

use bowline::{Channel, Origin, Server};

use super::v1::echo_client::EchoClient;
use super::*;

async fn client(name: &str) -> EchoClient {
    let address = format!("memory:demo-{name}");
    let server = Server::builder().add_service(service()).listen(&address).await.unwrap();
    tokio::spawn(server.serve());
    EchoClient::new(Channel::connect(&address).await.unwrap())
}

#[test]
fn chunks_are_as_the_proto_file_says() {
    let content = DownloadContent::new(1000);
    for sequence in [0, 1, 250, 251, 252, 1_000_003] {
        let chunk = content.chunk(sequence);
        assert_eq!(chunk.len(), 1000);
        for (i, byte) in (0_u64..).zip(chunk) {
            assert_eq!(u64::from(*byte), (sequence + i) % 251, "byte {i} of {sequence}");
        }
    }
    assert!(DownloadContent::new(0).chunk(7).is_empty());
}

#[tokio::test]
async fn unary_answers_late_or_with_a_status() {
    let client = client("unary").await;
    let start = std::time::Instant::now();
    let request = EchoRequest { payload: vec![7; 3], delay_us: 20_000, fail_code: 0 };
    assert_eq!(client.unary(request.clone()).await.unwrap().message().payload, [7; 3]);
    assert!(start.elapsed() >= Duration::from_millis(20));
    for (number, code) in [(5, Code::NotFound), (16, Code::Unauthenticated), (99, Code::Unknown)] {
        let request = EchoRequest { fail_code: number, delay_us: 0, ..request.clone() };
        let status = client.unary(request).await.unwrap_err();
        assert_eq!((status.code(), status.origin()), (code, Origin::Remote));
    }
}

#[tokio::test]
async fn download_sends_what_was_asked_for() {
    let client = client("download").await;
    let request = DownloadRequest { count: 3, size: 2, delay_us: 1 };
    let mut chunks = client.download(request).await.unwrap();
    for sequence in 0..3_u8 {
        let chunk = chunks.message().await.unwrap().unwrap();
        assert_eq!(chunk.sequence, u64::from(sequence));
        assert_eq!(chunk.payload, [sequence, sequence + 1]);
    }
    assert_eq!(chunks.message().await.unwrap(), None);

    let request = DownloadRequest { count: 1, size: u32::MAX, delay_us: 0 };
    let status = client.download(request).await.unwrap().message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn upload_adds_up() {
    let client = client("upload").await;
    let (mut sender, reply) = client.upload(()).await.unwrap();
    for payload in [vec![255; 1000], vec![], vec![1, 2]] {
        sender.send(Chunk { sequence: 0, payload }).await.unwrap();
    }
    sender.finish();
    let expected = UploadReply { messages: 3, bytes: 1002, checksum: 255_003 };
    assert_eq!(*reply.await.unwrap().message(), expected);
}

#[tokio::test]
async fn chat_sends_each_chunk_back_at_once() {
    let client = client("chat").await;
    let (mut sender, mut chunks) = client.chat(()).await.unwrap();
    for sequence in 0..3 {
        let chunk = Chunk { sequence, payload: vec![sequence as u8; 5] };
        sender.send(chunk.clone()).await.unwrap();
        assert_eq!(chunks.message().await.unwrap(), Some(chunk));
    }
    sender.finish();
    assert_eq!(chunks.message().await.unwrap(), None);
}
