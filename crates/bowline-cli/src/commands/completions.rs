//! `bowline completions`: scripts that complete the arguments in a shell.

use clap::CommandFactory as _;

use crate::arguments::{Arguments, Completions};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(args: Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "bowline", &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end())
}
