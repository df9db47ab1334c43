//! The command line of worker programs.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::load::Handler;
use crate::system::Address;

/// Systems for `bowline-bench` to compare: it runs this program
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What a worker program can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the systems of this program, with what each cannot do, as JSON
    Systems,
    /// Run the server of a system
    #[command(hide = true)]
    Serve(Serve),
    /// Run clients of a system
    #[command(hide = true)]
    Load(Worker),
}

/// The server of a system.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(super) worker: Worker,
    /// Where to listen: unix:PATH or tcp:HOST:PORT
    #[arg(long, value_parser = address)]
    pub(super) address: Address,
    /// What handlers of unary calls do before they answer
    #[arg(long, default_value = "at-once", value_parser = handler)]
    pub(super) handler: Handler,
}

/// What servers and clients have in common.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Which system
    #[arg(long)]
    pub(super) system: String,
    /// The runtime
    #[arg(long, default_value = "current-thread")]
    pub(super) runtime: Runtime,
    /// Run on this processor alone
    #[arg(long, value_name = "NUMBER")]
    pub(super) cpu: Option<usize>,
    /// How long to poll before sleeping, for systems that can
    #[arg(long)]
    pub(super) busy_poll: Option<String>,
}

/// The tokio runtime of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Runtime {
    CurrentThread,
    MultiThread,
}

impl Runtime {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current-thread",
            Self::MultiThread => "multi-thread",
        }
    }
}

fn address(text: &str) -> Result<Address, String> {
    match text.split_once(':') {
        Some(("unix", path)) => Ok(Address::Unix(PathBuf::from(path))),
        Some(("tcp", address)) => {
            address.parse().map(Address::Tcp).map_err(|error| error.to_string())
        }
        _ => Err("expected unix:PATH or tcp:HOST:PORT".to_owned()),
    }
}

fn handler(text: &str) -> Result<Handler, String> {
    let found = Handler::ALL.into_iter().find(|handler| handler.name() == text);
    found.ok_or_else(|| "expected at-once, yield or timer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["unix:/tmp/a:b.sock", "tcp:127.0.0.1:0"] {
            assert_eq!(address(text).unwrap().to_string(), text);
        }
        for wrong in ["udp:127.0.0.1:0", "tcp:nowhere", "path"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn handlers_have_names() {
        assert_eq!(handler("timer"), Ok(Handler::Timer));
        assert!(handler("later").is_err());
    }
}
