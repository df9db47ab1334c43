//! A server under attack, and a client beside it that must not notice.

use std::time::Duration;

use bowline::ServerBuilder;
use bowline_tests::net::{Net, Running};
use bowline_tests::script::{Script, numbered};
use bowline_tests::test::test_client::TestClient;
use bowline_tests::wait::{Gate, until};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// No call of the bystander takes so long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Scene {
    pub(crate) server: Running,
    bystander: JoinHandle<u64>,
    over: Gate,
    tasks: usize,
}

impl Scene {
    /// A server whose `Download` and `Chat` are the script's, and a client that calls it all the
    /// time.
    pub(crate) async fn new(net: &Net, builder: ServerBuilder, script: Script) -> Self {
        let server = net.serve_with(builder, script).await;
        let client = net.client().await;
        client.unary(numbered(0)).await.expect("OK");
        let over = Gate::new();
        let bystander = tokio::spawn(stand_by(client, over.clone()));
        // The least of some moments: in others a handler is alive.
        let mut tasks = usize::MAX;
        for _ in 0..20 {
            tasks = tasks.min(Handle::current().metrics().num_alive_tasks());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { server, bystander, over, tasks }
    }

    /// The attacker has left: nothing of it stays, and the bystander has been served.
    pub(crate) async fn over(self) {
        until("nothing is left of the attack", || {
            Handle::current().metrics().num_alive_tasks() <= self.tasks
        })
        .await;
        self.over.open();
        let calls = self.bystander.await.expect("the bystander was served");
        assert!(calls > 0);
        self.server.stop().await;
    }
}

async fn stand_by(client: TestClient, over: Gate) -> u64 {
    let mut number = 0;
    loop {
        number += 1;
        let (mut sender, reply) = client.upload(()).await.expect("opens");
        sender.send(numbered(number)).await.expect("is taken");
        sender.finish();
        let reply = tokio::time::timeout(PATIENCE, reply).await.expect("it is not held up");
        assert_eq!(reply.expect("OK").into_inner().number, 1);
        let pause = tokio::time::sleep(Duration::from_millis(1));
        tokio::select! {
            () = over.pass() => return number,
            () = pause => {}
        }
    }
}
