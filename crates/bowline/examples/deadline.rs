//! Deadlines and cancelling: both reach the handler, which is dropped at its next await.
//!
//! ```sh
//! cargo run -p bowline --example deadline
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use bowline::{Channel, Code, Request, Response, Sender, Server, Status, Streaming};
use greeter::greeter_client::GreeterClient;
use greeter::greeter_server::{Greeter, GreeterServer};
use greeter::{CountRequest, HelloReply, HelloRequest, Line, Number, WorkReply, WorkRequest};
use tokio::sync::mpsc;

#[path = "generated/example.v1.rs"]
mod greeter;

/// Its handlers take for ever; each tells when it is dropped.
struct Slow {
    dropped: mpsc::UnboundedSender<&'static str>,
}

struct TellWhenDropped(&'static str, mpsc::UnboundedSender<&'static str>);

impl Drop for TellWhenDropped {
    fn drop(&mut self) {
        // Nobody listens any more only when the example is over.
        let _ = self.1.send(self.0);
    }
}

impl Greeter for Slow {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let _guard = TellWhenDropped("hello", self.dropped.clone());
        if let Some(deadline) = request.deadline() {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            println!("handler: {} ms are left", left.as_millis());
        }
        std::future::pending().await
    }

    async fn count(
        &self,
        _: Request<CountRequest>,
        mut numbers: Sender<Number>,
    ) -> Result<(), Status> {
        let _guard = TellWhenDropped("count", self.dropped.clone());
        for value in 1.. {
            numbers.send(Number { value }).await?;
        }
        Ok(())
    }

    async fn sum(&self, _: Request<Streaming<Number>>) -> Result<Response<Number>, Status> {
        Err(Status::unimplemented("see the example `streaming`"))
    }

    async fn converse(&self, _: Request<Streaming<Line>>, _: Sender<Line>) -> Result<(), Status> {
        Err(Status::unimplemented("see the example `streaming`"))
    }

    async fn work(&self, _: Request<WorkRequest>) -> Result<Response<WorkReply>, Status> {
        Err(Status::unimplemented("see the example `callbacks`"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (dropped, mut told) = mpsc::unbounded_channel();
    let service = GreeterServer::new(Slow { dropped });
    let server = Server::builder().add_service(service).listen("memory:deadline").await?;
    tokio::spawn(server.serve());
    let client = GreeterClient::new(Channel::connect("memory:deadline").await?);

    // A deadline ends the call on both sides.
    let request = Request::new(HelloRequest::default()).with_timeout(Duration::from_millis(50));
    let Err(status) = client.hello(request).await else { return Err("that was fast".into()) };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    println!("client: {status}");
    println!("handler dropped: {:?}", told.recv().await);

    // Dropping a call's future, or its stream, cancels it at the server.
    let mut numbers = client.count(CountRequest::default()).await?;
    while let Some(number) = numbers.message().await? {
        if number.value == 1000 {
            break;
        }
    }
    drop(numbers);
    println!("handler dropped: {:?}", told.recv().await);
    Ok(())
}
