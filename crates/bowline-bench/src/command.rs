//! The command `bowline-bench`.
//!
//! ```sh
//! cargo build --release -p bowline-bench
//! target/release/bowline-bench run --quick
//! target/release/bowline-bench run --json results.json
//! target/release/bowline-bench table results.json
//! ```

mod arguments;

use std::env;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use self::arguments::{Arguments, Command, Run};
use crate::suite::report::Report;
use crate::suite::{markdown, rounds, terminal};
use crate::system::BoxError;
use crate::systems::SYSTEMS;
use crate::worker::{self, CountAllocations};

/// What stands around the part of a page that is written here.
const BEGIN: &str = "<!-- bowline-bench: begin -->";
const END: &str = "<!-- bowline-bench: end -->";

/// The main function of the command.
#[must_use]
pub fn main(allocations: Option<CountAllocations>) -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(args) => run(&args),
        Command::Table { file, markdown } => table(&file, markdown),
        Command::Page { file, into } => page(&file, &into),
        Command::Worker(command) => worker::execute(command, &SYSTEMS, allocations).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that was measured worked.
fn run(args: &Run) -> Result<bool, BoxError> {
    let plan = args.plan()?;
    let mut report = Report::new(command_line(), &plan);
    eprintln!("about {} s", plan.estimate().as_secs());
    let mut progress = Progress { done: 0, total: plan.steps() };
    rounds::run(&plan, &mut report, |where_, load| progress.show(&format!("{where_}: {load}")))?;
    progress.end();
    if let Some(path) = &args.json {
        write(path, &serde_json::to_vec_pretty(&report)?)?;
    }
    say(&terminal::table(&report))?;
    Ok(report.failures.is_empty())
}

fn table(file: &Path, as_markdown: bool) -> Result<bool, BoxError> {
    let show = if as_markdown { markdown::page } else { terminal::table };
    say(&show(&read(file)?))?;
    Ok(true)
}

fn page(file: &Path, into: &Path) -> Result<bool, BoxError> {
    let page = fs::read_to_string(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let new = between_markers(&page, &markdown::page(&read(file)?));
    let new = new.ok_or_else(|| format!("{} lacks {BEGIN} and {END}", into.display()))?;
    write(into, new.as_bytes())?;
    Ok(true)
}

/// The page with other text between its markers.
fn between_markers(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

fn read(file: &Path) -> Result<Report, BoxError> {
    let named = |error: &dyn ToString| format!("{}: {}", file.display(), error.to_string());
    let text = fs::read(file).map_err(|error| named(&error))?;
    Ok(serde_json::from_slice(&text).map_err(|error| named(&error))?)
}

fn write(file: &Path, text: &[u8]) -> Result<(), BoxError> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()).into())
}

fn say(text: &str) -> Result<(), BoxError> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// As it was typed, but for the directory of the program.
fn command_line() -> String {
    let mut words = env::args();
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned());
    program.into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// What is measured now, in one line that is written over, if people look.
struct Progress {
    done: usize,
    total: usize,
}

impl Progress {
    fn show(&mut self, what: &str) {
        self.done += 1;
        let (end, clear) = if io::stderr().is_terminal() { ("\r", "\x1b[K") } else { ("\n", "") };
        eprint!("{clear}[{}/{}] {what}{end}", self.done, self.total);
    }

    fn end(&self) {
        if io::stderr().is_terminal() {
            eprint!("\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_markers_is_replaced() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = between_markers(&page, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(between_markers(&new, "new\n").unwrap(), new);
        assert_eq!(between_markers("no markers", "new"), None);
    }
}
