//! Nothing stays open: descriptors are counted, so this test has a process of its own.

use bowline::Server;
use bowline_protocol::Side;
use bowline_tests::net::{Net, Threads, Transport, run};
use bowline_tests::raw;
use bowline_tests::script::{Script, numbered};
use bowline_tests::wait::until;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this is Linux").count()
}

async fn come_and_go(net: Net) {
    let before = descriptors();
    for round in 0..3 {
        let server = net.serve_with(Server::builder().connections_max(20), Script::new()).await;
        let (mut channels, mut peers) = (Vec::new(), Vec::new());
        for number in 0..30 {
            // Some are refused, as too many are open.
            let client = net.client().await;
            let answered = client.unary(numbered(number)).await;
            assert!(answered.is_ok() || number >= 5, "{answered:?}");
            channels.push(client);
            let mut peer = net.raw().await;
            let opening = raw::opening(&raw::hello(Side::Connecting));
            match number % 4 {
                0 => peer.send(b"GET / HTTP/1.1\r\n\r\n").await,
                1 => peer.send([opening, raw::ping(1)[..9].to_vec()].concat()).await,
                2 => peer.send([opening, raw::data(1, 0, b"")].concat()).await,
                _ => peer.send([opening, raw::request(1, raw::CHAT)].concat()).await,
            }
            if number % 8 < 4 {
                peer.fill().await;
            }
            if number % 3 > 0 {
                peers.push(peer);
            }
        }
        if round == 1 {
            server.kill().await;
            drop((channels, peers));
        } else {
            drop((channels, peers));
            server.stop().await;
        }
        until("all descriptors are closed", || descriptors() == before).await;
    }
}

#[test]
fn nothing_stays_open() {
    for transport in [Transport::Unix, Transport::Tcp, Transport::Memory] {
        for threads in [Threads::One, Threads::Two] {
            run(transport, threads, come_and_go);
        }
    }
}
