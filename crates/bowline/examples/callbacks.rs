//! Callbacks: a server that calls its client, on the connection that the client made.
//!
//! ```sh
//! cargo run -p bowline --example callbacks
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use bowline::{Channel, Request, Response, Sender, Server, Status, Streaming};
use greeter::greeter_client::GreeterClient;
use greeter::greeter_server::{Greeter, GreeterServer};
use greeter::observer_client::ObserverClient;
use greeter::observer_server::{Observer, ObserverServer};
use greeter::{
    CountRequest, HelloReply, HelloRequest, Line, Number, ProgressSeen, ProgressUpdate, WorkReply,
    WorkRequest,
};

#[path = "generated/example.v1.rs"]
mod greeter;

struct Worker;

impl Greeter for Worker {
    async fn work(&self, request: Request<WorkRequest>) -> Result<Response<WorkReply>, Status> {
        let caller = request.caller().cloned();
        let caller = caller.ok_or_else(|| Status::internal("a call has a caller"))?;
        let observer = ObserverClient::new(caller);
        let steps = request.message().steps.clamp(1, 100);
        let mut updates_seen = 0;
        for step in 1..=steps {
            observer.progress(ProgressUpdate { percent: step * 100 / steps }).await?;
            updates_seen += 1;
        }
        Ok(Response::new(WorkReply { updates_seen }))
    }

    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Err(Status::unimplemented("see the example `hello_server`"))
    }

    async fn count(&self, _: Request<CountRequest>, _: Sender<Number>) -> Result<(), Status> {
        Err(Status::unimplemented("see the example `streaming`"))
    }

    async fn sum(&self, _: Request<Streaming<Number>>) -> Result<Response<Number>, Status> {
        Err(Status::unimplemented("see the example `streaming`"))
    }

    async fn converse(&self, _: Request<Streaming<Line>>, _: Sender<Line>) -> Result<(), Status> {
        Err(Status::unimplemented("see the example `streaming`"))
    }
}

/// What the client answers.
struct Screen;

impl Observer for Screen {
    async fn progress(
        &self,
        request: Request<ProgressUpdate>,
    ) -> Result<Response<ProgressSeen>, Status> {
        println!("client: the work is {} % done", request.message().percent);
        Ok(Response::new(ProgressSeen {}))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = format!(
        "unix:{}/bowline-callbacks-{}.sock",
        std::env::temp_dir().display(),
        std::process::id()
    );
    let server = Server::builder().add_service(GreeterServer::new(Worker)).listen(&address).await?;
    let stop = server.handle();
    let serving = tokio::spawn(server.serve());

    // A client takes calls only if it has a service.
    let channel =
        Channel::builder(&address)?.add_service(ObserverServer::new(Screen)).connect().await?;
    let reply = GreeterClient::new(channel).work(WorkRequest { steps: 4 }).await?;
    println!("done; {} updates were seen", reply.into_inner().updates_seen);

    stop.shutdown();
    serving.await?;
    Ok(())
}
