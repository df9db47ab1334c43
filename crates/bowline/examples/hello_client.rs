//! The classic client over a Unix socket: connect, ask, read the answer, close.
//!
//! ```sh
//! cargo run -p bowline --example hello_client -- unix:/tmp/hello.sock Ada
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use bowline::{Channel, Code, Request};
use greeter::HelloRequest;
use greeter::greeter_client::GreeterClient;
use std::time::Duration;

#[path = "generated/example.v1.rs"]
mod greeter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "unix:/tmp/hello.sock".to_owned());
    let name = args.next().unwrap_or_else(|| "world".to_owned());

    let channel = Channel::connect(&address).await?;
    let client = GreeterClient::new(channel.clone());

    let request = Request::new(HelloRequest { name }).with_timeout(Duration::from_secs(5));
    let reply = client.hello(request).await?.into_inner();
    println!("{} (you are process {})", reply.text, reply.asked_by_pid);

    // An error is a status: a code to decide by, and a text for people.
    let Err(status) = client.hello(HelloRequest::default()).await else {
        return Err("nobody was greeted, and that went well?".into());
    };
    assert_eq!(status.code(), Code::InvalidArgument);
    println!("without a name: {status}");

    channel.close().await;
    Ok(())
}
