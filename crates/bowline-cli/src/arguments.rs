//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use bowline::Address;
use bowline::transport::AddressKind;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::units;

/// Local RPC over Unix sockets: a demo server, a look at a server, a comparison of transports, a test
/// of any peer against the protocol
///
/// Addresses are written as unix:PATH, unix:///ABSOLUTE/PATH, unix-abstract:NAME and tcp:HOST:PORT.
#[derive(Debug, Parser)]
#[command(name = "bowline", version, arg_required_else_help = true, after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log more to stderr: -v what happens, -vv details, -vvv everything; RUST_LOG filters
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    it worked
  1    it failed: a call, the peer, a comparison with errors, output that cannot be written
  2    the arguments are wrong
  3    the address cannot be listened at, or nobody can be reached there
  130  interrupted by Ctrl-C, 143 by SIGTERM; but `serve` drains and `ping` sums up, and both end
       with 0

Examples:
  bowline serve --listen unix:///tmp/echo.sock --listen tcp:127.0.0.1:7000
  bowline ping unix:///tmp/echo.sock
  bowline compare --quick";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Ping(Ping),
    Echo(Echo),
    Compare(Compare),
    Conformance(Conformance),
    /// Drive this program's client for the conformance kit, by commands on stdin
    #[command(hide = true)]
    Adapter,
    Completions(Completions),
}

/// Whom a command talks to.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The server
    #[arg(value_parser = address())]
    pub(crate) address: Address,
    /// How long to wait for the connection, and for each answer
    #[arg(short, long, value_name = "DURATION", default_value = "5s", value_parser = units::duration_above_zero)]
    pub(crate) timeout: Duration,
    /// Connect to TCP addresses on other machines, too: without encryption or authentication
    #[arg(long)]
    pub(crate) allow_non_loopback: bool,
}

/// Addresses that lead out of this process.
fn address() -> impl TypedValueParser<Value = Address> {
    OsStringValueParser::new().try_map(|text| {
        let address = Address::from_os_str(&text).map_err(|error| error.to_string())?;
        match address.kind() {
            AddressKind::Memory(_) => {
                Err("memory: addresses lead to their own process; use unix: or tcp:".to_owned())
            }
            AddressKind::Other { scheme, .. } => {
                Err(format!("{scheme}: is no transport of this command; use unix: or tcp:"))
            }
            _ => Ok(address),
        }
    })
}

/// Run a server with the Echo service, to try things with
///
/// Prints `listening on ADDRESS` on stdout for each address once clients can connect. SIGTERM or
/// Ctrl-C stops it: no new calls are taken, open ones may end, the socket file is removed, and the
/// exit code is 0. A second signal ends it at once.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bowline serve --listen unix:///tmp/echo.sock
  bowline serve --listen unix:echo.sock --mode 0660 --listen tcp:127.0.0.1:0")]
pub(crate) struct Serve {
    /// Where to listen; may be given several times. TCP port 0 has the system choose
    #[arg(short, long, required = true, value_name = "ADDRESS", value_parser = address())]
    pub(crate) listen: Vec<Address>,
    /// Permissions of the socket file: who may write to it may connect [default: 0600]
    #[arg(long, value_name = "MODE", value_parser = units::mode)]
    pub(crate) mode: Option<u32>,
    /// Longest message to accept
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = units::size)]
    pub(crate) max_message: u64,
    /// How long clients may take: for their HELLO, for each frame, and to read what is sent. Short
    /// ones are for tests [default: 10s, 30s and 30s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration_above_zero)]
    pub(crate) timeouts: Option<Duration>,
    /// How long open calls may go on after the signal
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::duration)]
    pub(crate) drain_timeout: Duration,
    /// Listen at TCP addresses that other machines can reach: without encryption or authentication
    #[arg(long)]
    pub(crate) allow_non_loopback: bool,
    /// Stop, as with SIGTERM, when stdin is closed: so a parent's end, however it comes, is seen
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

/// Hold a peer to the protocol: play the cases of the conformance kit against it
///
/// A server must serve bowline.demo.v1.Echo; a client is driven by an adapter. Each case names the requirement of docs/protocol.md
/// that it is about; it is played over its own connection, with writes of different sizes, beside
/// another connection that must not notice. The exit code is 1 if the peer is at fault anywhere.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bowline conformance unix:///tmp/echo.sock
  bowline conformance tcp:127.0.0.1:7000 --level 0 --json report.json
  bowline conformance unix:echo.sock --impatient unix:impatient.sock
  bowline conformance unix:echo.sock --only FRM-001 --trace
  bowline conformance --adapter 'python3 adapter.py'
  bowline conformance --self")]
pub(crate) struct Conformance {
    /// The server
    #[arg(value_parser = address(), required_unless_present_any = ["own", "list", "adapter"])]
    pub(crate) address: Option<Address>,
    /// The same server, started with all of its timeouts at 200 ms, for the cases about timeouts
    #[arg(long, value_name = "ADDRESS", value_parser = address())]
    pub(crate) impatient: Option<Address>,
    /// A program that drives the client of a peer, to be played against: see docs/peers.md
    #[arg(long, value_name = "COMMAND")]
    pub(crate) adapter: Option<String>,
    /// Play against this program's own server and client, over every transport
    #[arg(long = "self", conflicts_with_all = ["address", "impatient", "adapter"])]
    pub(crate) own: bool,
    /// The highest level that the server claims: 0 unary, 1 streams, 2 deadlines and drain
    #[arg(long, value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(u8).range(..=3))]
    pub(crate) level: u8,
    /// Only cases whose ids begin so; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) only: Vec<String>,
    /// Print the cases, and play none
    #[arg(long)]
    pub(crate) list: bool,
    /// How many cases to play at a time
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) parallel: usize,
    /// Print what went over the connection for each case that was not passed
    #[arg(long)]
    pub(crate) trace: bool,
    /// Play everything so many times, to see what is not always the same
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,
    /// Failures that are known, a line `ID REASON` for each; one that passes is an error, too
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Option<PathBuf>,
    /// Write the verdict of each case to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the same as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write a page with the matrix of all runs, and what went over their connections
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Connect to TCP addresses on other machines, too: without encryption or authentication
    #[arg(long)]
    pub(crate) allow_non_loopback: bool,
}

/// Connect to a server, show who it is and what it accepts, and measure round trips
///
/// Works with every Bowline server, whatever its services: PING is part of the protocol.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bowline ping unix:///tmp/echo.sock
  bowline ping tcp:127.0.0.1:7000 --count 100 --interval 10ms
  bowline ping unix:echo.sock --count 1 --timeout 200ms && echo alive")]
pub(crate) struct Ping {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How many round trips; 0 goes on until Ctrl-C
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    pub(crate) count: u64,
    /// Pause between round trips
    #[arg(short, long, value_name = "DURATION", default_value = "200ms", value_parser = units::duration)]
    pub(crate) interval: Duration,
}

/// Send a text, or so many bytes, to a server with the Echo service, and check what comes back
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bowline echo unix:///tmp/echo.sock ahoy
  bowline echo unix:///tmp/echo.sock --size 5MiB    # over the server's limit")]
pub(crate) struct Echo {
    #[command(flatten)]
    pub(crate) server: Server,
    /// What to send
    #[arg(default_value = "ahoy", conflicts_with = "size")]
    pub(crate) text: String,
    /// Send so many bytes instead
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub(crate) size: Option<u64>,
}

/// Compare Unix sockets, TCP and memory under the same loads, on this machine
///
/// The Echo service runs in a process of its own and is called over a Unix socket and TCP loopback,
/// in turns; over memory both ends share this process. Every reply is checked against what was sent.
/// Each load is measured in several rounds, in each of which every transport has its turn after a
/// warm-up; rates and CPU are the median of the rounds, percentiles those of all calls.
///
/// CPU per call counts client and server together. What the latencies are:
///   unary          from the call to its reply
///   bidi stream    from sending a message to its echo; 16 messages are on their way at once
///   server stream  from one message's arrival to the next one's
///   client stream  how long handing over a message took, with what flow control made it wait
///
/// Streams are one call that carries thousands of messages; `calls` then count messages.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[command(after_long_help = "\
Examples:
  bowline compare --quick
  bowline compare --transports unix,tcp --payload 64,1KiB --concurrency 1 --duration 5s
  bowline compare --json compare.json")]
pub(crate) struct Compare {
    /// All loads, but fewer and shorter rounds: under 30 seconds
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to compare
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "unix,tcp,memory")]
    pub(crate) transports: Vec<bowline_bench::compare::Transport>,
    /// Kinds of calls
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "unary,server_stream,client_stream,bidi_stream"
    )]
    pub(crate) kinds: Vec<bowline_bench::compare::Kind>,
    /// Sizes of the messages [default: 64,1KiB,64KiB,1MiB for unary calls, 1KiB,64KiB for streams]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = units::size)]
    pub(crate) payload: Vec<u64>,
    /// Unary calls in flight on the connection
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,64", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) concurrency: Vec<u32>,
    /// How long each round of each load lasts [default: 1s; with --quick 130ms]
    #[arg(long, value_name = "DURATION", value_parser = units::duration_above_zero)]
    pub(crate) duration: Option<Duration>,
    /// How many rounds [default: 5; with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,
    /// Write the results to this file, too; it is overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bowline completions bash > ~/.local/share/bash-completion/completions/bowline
  bowline completions fish > ~/.config/fish/completions/bowline.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
