//! `bowline echo`: one call to the Echo service.

use std::time::Instant;

use bowline::{Limits, Request};
use bowline_bench::demo::v1::EchoRequest;
use bowline_bench::demo::v1::echo_client::EchoClient;
use bowline_bench::units::{Bytes, Nanos};

use crate::arguments::Echo;
use crate::failure::Failure;
use crate::{limits, output};

/// What a message has beside the payload, at the most.
const ENVELOPE: u64 = 1024;

pub(crate) async fn run(args: Echo) -> Result<(), Failure> {
    let payload = payload(&args)?;
    let length = payload.len() as u64;
    let mut limits = Limits::connecting();
    // The reply is as long as the request: whether that is too long, the server says.
    let message_max = limits.message_max.max(length + ENVELOPE);
    limits = limits::with_message_max(limits, message_max);
    let (channel, _) = super::connect(&args.server, limits).await?;
    let request = EchoRequest { payload: payload.clone(), ..Default::default() };
    let start = Instant::now();
    let reply = EchoClient::new(channel.clone())
        .unary(Request::new(request).with_timeout(args.server.timeout))
        .await
        .map_err(|status| {
            let what = format!("sending {} to {} failed", Bytes(length), args.server.address);
            Failure::status(what, &status)
        })?
        .into_inner();
    let took = Nanos::from(start.elapsed());
    if reply.payload != payload {
        return Err(Failure::operation(format_args!(
            "{} sent back something else: {} instead of {}",
            args.server.address,
            Bytes(reply.payload.len() as u64),
            Bytes(length)
        )));
    }
    channel.close().await;
    match args.size {
        None => output::line(String::from_utf8_lossy(&reply.payload)),
        Some(_) => output::line(format_args!("{} came back unchanged in {took}", Bytes(length))),
    }
}

fn payload(args: &Echo) -> Result<Vec<u8>, Failure> {
    let Some(size) = args.size else { return Ok(args.text.clone().into_bytes()) };
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    let mut payload = Vec::new();
    payload.try_reserve_exact(length).map_err(|_| {
        Failure::operation(format_args!("there is not enough memory for {}", Bytes(size)))
    })?;
    payload.extend((0..length).map(|i| i as u8));
    Ok(payload)
}
