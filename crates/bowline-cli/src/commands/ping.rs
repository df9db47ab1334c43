//! `bowline ping`: who is there, what it accepts, and how fast it answers.

use std::time::{Duration, Instant};

use bowline::{Address, Channel, Limits, PeerIdentity, PeerLimits, Status};
use bowline_bench::units::{Bytes, Nanos};

use crate::arguments::Ping;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(args: Ping) -> Result<(), Failure> {
    let (channel, limits) = super::connect(&args.server, Limits::connecting()).await?;
    introduce(&args.server.address, channel.peer().as_ref(), &limits)?;
    let mut trips = Trips::default();
    let outcome = tokio::select! {
        outcome = ping(&channel, &args, &mut trips) => outcome,
        // Then the summary, as ping(8) does.
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    output::line(format_args!("\n{}", trips.summary(&args.server.address)))?;
    outcome
}

/// What the server's HELLO says, and what the kernel says of the server.
fn introduce(
    address: &Address,
    peer: Option<&PeerIdentity>,
    limits: &PeerLimits,
) -> Result<(), Failure> {
    output::line(format_args!("{address}: a Bowline server"))?;
    if let Some(peer) = peer {
        output::line(format_args!("  identity  {peer}"))?;
    }
    let message_max =
        limits.message_max.map_or_else(|| "?".to_owned(), |max| Bytes(max).to_string());
    output::line(format_args!(
        "  accepts   {} calls at once, messages to {message_max}, window {}, frames to {}, metadata \
         to {}",
        limits.calls_max,
        Bytes(limits.window),
        Bytes(limits.frame_max.into()),
        Bytes(limits.metadata_max.into()),
    ))?;
    let (offered, required) = (limits.features_offered, limits.features_required);
    let features = match (offered, required) {
        (0, 0) => "none".to_owned(),
        _ => format!("offered {offered:#x}, required {required:#x}"),
    };
    output::line(format_args!("  features  {features}"))
}

async fn ping(channel: &Channel, args: &Ping, trips: &mut Trips) -> Result<(), Failure> {
    let mut sequence = 0;
    while args.count == 0 || sequence < args.count {
        if sequence > 0 {
            tokio::time::sleep(args.interval).await;
        }
        sequence += 1;
        trips.sent += 1;
        let start = Instant::now();
        let answered: Result<Duration, Status> =
            tokio::time::timeout(args.server.timeout, channel.ping()).await.map_err(|_| {
                Failure::operation(format_args!(
                    "the server at {} did not answer PING {sequence} within {:?}",
                    args.server.address, args.server.timeout
                ))
            })?;
        let took = answered.map_err(|status| {
            let waited = start.elapsed();
            let what =
                format!("PING {sequence} to {} failed after {waited:.1?}", args.server.address);
            Failure::status(what, &status)
        })?;
        trips.took.push(took);
        output::line(format_args!("PING {sequence}: {}", Nanos::from(took)))?;
    }
    Ok(())
}

/// Round trips so far.
#[derive(Default)]
struct Trips {
    sent: u64,
    took: Vec<Duration>,
}

impl Trips {
    fn summary(&self, address: &Address) -> String {
        let answered = self.took.len();
        let mut text = format!("{address}: {} sent, {answered} answered", self.sent);
        let (least, most) = (self.took.iter().min(), self.took.iter().max());
        if let (Some(least), Some(most)) = (least, most) {
            let sum: Duration = self.took.iter().sum();
            let average = sum / u32::try_from(answered).unwrap_or(u32::MAX);
            let [least, average, most] = [*least, average, *most].map(Nanos::from);
            text += &format!(", min/avg/max {least} / {average} / {most}");
        }
        text
    }
}
