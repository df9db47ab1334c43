//! Child processes: Cargo and its kin, run from the workspace root, either with their output going
//! straight through or copied line by line to a reader on its way.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Cargo, as the one that runs this program, in `root`.
pub(crate) fn cargo<'a>(root: &Path, args: impl IntoIterator<Item = &'a str>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(root, program, args)
}

/// Any program, in `root`, without standard input.
pub(crate) fn command<'a>(
    root: &Path,
    program: impl AsRef<std::ffi::OsStr>,
    args: impl IntoIterator<Item = &'a str>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root).stdin(Stdio::null());
    command
}

/// How one would type the command.
pub(crate) fn display(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let _ = write!(line, "{}={} ", name.display(), quoted(&value.to_string_lossy()));
        }
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    line.push_str(&program.to_string_lossy());
    for arg in command.get_args() {
        let _ = write!(line, " {}", quoted(&arg.to_string_lossy()));
    }
    line
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '"', '\'', '$', '*']) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

/// Runs to the end with the output going through; a failure is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", display(command));
    }
    Ok(())
}

/// Runs to the end and gives standard output; a failure is an error with what was on the other.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}):\n{}", display(command), output.status, stderr.trim_end());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("the output of `{}` is not UTF-8", display(command)))
}

/// Runs to the end, passes standard output on as it comes, and gives each whole line of it to
/// `on_line`. Standard error goes through untouched.
pub(crate) fn tee(command: &mut Command, on_line: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let mut from = child.stdout.take().context("the child has no standard output")?;
    let copied = copy_lines(&mut from, &mut io::stdout(), on_line);
    let status = child.wait().with_context(|| format!("waiting for `{}`", display(command)))?;
    copied.with_context(|| format!("passing on the output of `{}`", display(command)))?;
    Ok(status)
}

/// Chunks are written and flushed as they come, so that an unfinished line (`test name ... `) shows.
fn copy_lines(
    from: &mut impl Read,
    to: &mut impl io::Write,
    mut on_line: impl FnMut(&str),
) -> io::Result<()> {
    let mut chunk = [0; 8192];
    let mut line = Vec::new();
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&chunk[..count])?;
        to.flush()?;
        for &byte in &chunk[..count] {
            if byte == b'\n' {
                on_line(&String::from_utf8_lossy(&line));
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
    if !line.is_empty() {
        on_line(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`; is it installed and in PATH?", display(command))
}

#[cfg(test)]
mod tests;
