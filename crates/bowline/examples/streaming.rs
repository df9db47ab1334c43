//! The three kinds of streams, server and client in one process over a Unix socket.
//!
//! ```sh
//! cargo run -p bowline --example streaming
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use bowline::{Channel, Request, Response, Sender, Server, Status, Streaming};
use greeter::greeter_client::GreeterClient;
use greeter::greeter_server::{Greeter, GreeterServer};
use greeter::{CountRequest, HelloReply, HelloRequest, Line, Number, WorkReply, WorkRequest};

#[path = "generated/example.v1.rs"]
mod greeter;

struct Streams;

impl Greeter for Streams {
    async fn count(
        &self,
        request: Request<CountRequest>,
        mut numbers: Sender<Number>,
    ) -> Result<(), Status> {
        for value in 1..=request.message().to {
            numbers.send(Number { value }).await?;
        }
        Ok(())
    }

    async fn sum(&self, request: Request<Streaming<Number>>) -> Result<Response<Number>, Status> {
        let mut numbers = request.into_inner();
        let mut value = 0;
        while let Some(number) = numbers.message().await? {
            value += number.value;
        }
        Ok(Response::new(Number { value }))
    }

    async fn converse(
        &self,
        request: Request<Streaming<Line>>,
        mut answers: Sender<Line>,
    ) -> Result<(), Status> {
        let mut lines = request.into_inner();
        while let Some(line) = lines.message().await? {
            answers.send(Line { text: format!("{}? Tell me more.", line.text) }).await?;
        }
        Ok(())
    }

    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Err(Status::unimplemented("see the example `hello_server`"))
    }

    async fn work(&self, _: Request<WorkRequest>) -> Result<Response<WorkReply>, Status> {
        Err(Status::unimplemented("see the example `callbacks`"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = format!(
        "unix:{}/bowline-streaming-{}.sock",
        std::env::temp_dir().display(),
        std::process::id()
    );
    let server =
        Server::builder().add_service(GreeterServer::new(Streams)).listen(&address).await?;
    let stop = server.handle();
    let serving = tokio::spawn(server.serve());
    let client = GreeterClient::new(Channel::connect(&address).await?);

    // From the server: read until there is no more.
    let mut numbers = client.count(CountRequest { to: 5, pause_ms: 0 }).await?;
    while let Some(number) = numbers.message().await? {
        println!("counted {}", number.value);
    }

    // To the server: send, say that it is all, and await the reply.
    let (mut numbers, sum) = client.sum(()).await?;
    for value in 1..=100 {
        numbers.send(Number { value }).await?;
    }
    numbers.finish();
    println!("the sum is {}", sum.await?.into_inner().value);

    // Both ways at once: here in turns, but neither side needs to wait for the other.
    let (mut lines, mut answers) = client.converse(()).await?;
    for text in ["It rains", "I have an umbrella"] {
        lines.send(Line { text: text.to_owned() }).await?;
        let answer = answers.message().await?.ok_or("the server has nothing to say")?;
        println!("{text}. — {}", answer.text);
    }
    lines.finish();
    assert!(answers.message().await?.is_none(), "the server ends when we have");

    stop.shutdown();
    serving.await?;
    Ok(())
}
