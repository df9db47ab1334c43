//! A server and a client without an async runtime: calls, streams and a deadline, on plain threads.
//!
//! ```sh
//! cargo run -p bowline --example blocking --features blocking
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::thread;
use std::time::Duration;

use bowline::blocking::{Channel, Sender, Server, Streaming};
use bowline::{Request, Response, Status};
use greeter::greeter_blocking_client::GreeterClient;
use greeter::greeter_blocking_server::{Greeter, GreeterServer};
use greeter::{CountRequest, HelloReply, HelloRequest, Line, Number, WorkReply, WorkRequest};

#[path = "generated/blocking/example.v1.rs"]
mod greeter;

/// Handlers are plain functions.
struct Polite;

impl Greeter for Polite {
    fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let asked_by_pid = request.peer().and_then(bowline::PeerIdentity::pid).unwrap_or_default();
        let text = format!("Hello {}", request.message().name);
        Ok(Response::new(HelloReply { text, asked_by_pid }))
    }

    fn count(
        &self,
        request: Request<CountRequest>,
        mut numbers: Sender<Number>,
    ) -> Result<(), Status> {
        for value in 1..=request.message().to {
            // Many small messages are faster together; the last goes out when this returns.
            numbers.feed(Number { value })?;
        }
        Ok(())
    }

    fn sum(&self, request: Request<Streaming<Number>>) -> Result<Response<Number>, Status> {
        let mut value = 0;
        for number in request.into_inner() {
            value += number?.value;
        }
        Ok(Response::new(Number { value }))
    }

    fn converse(
        &self,
        request: Request<Streaming<Line>>,
        mut replies: Sender<Line>,
    ) -> Result<(), Status> {
        for line in request.into_inner() {
            replies.send(Line { text: line?.text.to_uppercase() })?;
        }
        Ok(())
    }

    /// Cannot be stopped from outside, so it looks itself whether anybody still waits.
    fn work(&self, request: Request<WorkRequest>) -> Result<Response<WorkReply>, Status> {
        while !request.is_cancelled() {
            thread::yield_now();
        }
        println!("server: nobody waits for the work any more");
        Err(Status::cancelled("the work was given up"))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = format!(
        "unix:{}/bowline-blocking-{}.sock",
        std::env::temp_dir().display(),
        std::process::id()
    );
    let server = Server::builder().add_service(GreeterServer::new(Polite)).listen(&address)?;
    let stop = server.handle();
    let serving = thread::spawn(|| server.serve());

    let client = GreeterClient::new(Channel::connect(&address)?);
    let reply = client.hello(HelloRequest { name: "Ada".into() })?;
    println!("{}", reply.into_inner().text);

    // A stream is an iterator.
    let numbers = client.count(CountRequest { to: 5, pause_ms: 0 })?;
    let numbers: Result<Vec<Number>, Status> = numbers.collect();
    println!("{:?}", numbers?.iter().map(|number| number.value).collect::<Vec<_>>());

    let (mut numbers, sum) = client.sum(())?;
    for value in [1, 2, 3] {
        numbers.send(Number { value })?;
    }
    numbers.finish();
    println!("the sum is {}", sum.wait()?.into_inner().value);

    let (mut lines, mut replies) = client.converse(())?;
    for text in ["what", "how"] {
        lines.send(Line { text: text.into() })?;
        let reply = replies.message()?.ok_or("a reply for each line")?;
        println!("{text} → {}", reply.text);
    }
    lines.finish();
    assert!(replies.message()?.is_none(), "the conversation is over");

    let request = Request::new(WorkRequest { steps: 1 }).with_timeout(Duration::from_millis(50));
    let status = client.work(request).expect_err("the deadline comes first");
    println!("{status}");

    stop.shutdown();
    serving.join().map_err(|_| "the server panicked")??;
    Ok(())
}
