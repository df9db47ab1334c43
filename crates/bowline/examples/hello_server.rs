//! The classic server over a Unix socket: bind, listen, accept, exchange, close.
//!
//! ```sh
//! cargo run -p bowline --example hello_server -- unix:/tmp/hello.sock
//! ```
//!
//! Bowline does what such a server always has to: the file of a dead server is replaced and a live
//! one's is not, the mode is in force before anyone can connect, and the file is gone at the end.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use bowline::{Request, Response, Server, Status};
use greeter::greeter_server::{Greeter, GreeterServer};
use greeter::{CountRequest, HelloReply, HelloRequest, Line, Number, WorkReply, WorkRequest};

#[path = "generated/example.v1.rs"]
mod greeter;

struct Polite;

impl Greeter for Polite {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        // The kernel says who is asking; nothing that the caller sends can change it.
        let pid = request.peer().and_then(bowline::PeerIdentity::pid).unwrap_or_default();
        let HelloRequest { name } = request.into_inner();
        if name.is_empty() {
            return Err(Status::invalid_argument("whom shall I greet? `name` is empty"));
        }
        println!("process {pid} greets {name}");
        Ok(Response::new(HelloReply { text: format!("Hello {name}"), asked_by_pid: pid }))
    }

    async fn count(
        &self,
        request: Request<CountRequest>,
        mut numbers: bowline::Sender<Number>,
    ) -> Result<(), Status> {
        let CountRequest { to, pause_ms } = request.into_inner();
        for value in 1..=to {
            // Waits while the caller does not read: nothing piles up.
            numbers.send(Number { value }).await?;
            tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        }
        Ok(())
    }

    async fn sum(
        &self,
        request: Request<bowline::Streaming<Number>>,
    ) -> Result<Response<Number>, Status> {
        let mut numbers = request.into_inner();
        let mut sum: u64 = 0;
        while let Some(number) = numbers.message().await? {
            sum = sum
                .checked_add(number.value)
                .ok_or_else(|| Status::out_of_range("the sum is above 2^64"))?;
        }
        Ok(Response::new(Number { value: sum }))
    }

    async fn converse(
        &self,
        request: Request<bowline::Streaming<Line>>,
        mut answers: bowline::Sender<Line>,
    ) -> Result<(), Status> {
        let mut lines = request.into_inner();
        while let Some(line) = lines.message().await? {
            answers.send(Line { text: line.text.to_uppercase() }).await?;
        }
        Ok(())
    }

    async fn work(&self, _: Request<WorkRequest>) -> Result<Response<WorkReply>, Status> {
        Err(Status::unimplemented("see the example `callbacks`"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "unix:/tmp/hello.sock".to_owned());
    let server = Server::builder().add_service(GreeterServer::new(Polite)).listen(&address).await?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    // Open calls go on to their end; then the socket file is removed.
    server.serve_until(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await;
    println!("closed");
    Ok(())
}
