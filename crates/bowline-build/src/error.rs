//! What can go wrong, told so that a build script may simply return it.

use std::fmt;
use std::io;
use std::iter;
use std::path::PathBuf;

use miette::Diagnostic;

/// Why no code was generated.
///
/// Cargo shows the error of a build script as `Debug`; that is the same text as `Display` here.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The list of files was empty.
    #[error("no .proto files to compile")]
    NoFiles,

    /// An include path is not a directory, or does not exist.
    #[error("include path '{}' is not a directory", path.display())]
    Include {
        /// The path, as given.
        path: PathBuf,
    },

    /// A file to compile is not in any of the include directories.
    #[error("'{}' is not in any include directory ({})", path.display(), list(includes))]
    NotIncluded {
        /// The file, as given.
        path: PathBuf,
        /// The include directories, as given.
        includes: Vec<PathBuf>,
    },

    /// A file is not valid, or imports one that is not there.
    #[error("{messages}")]
    Proto {
        /// A line for each problem: `file:line:column: what is wrong`.
        messages: String,
    },

    /// What was generated is not Rust, because of an attribute or a path given to prost.
    #[error("the generated code is not valid Rust: {message}")]
    Rust {
        /// What the parser says, and where.
        message: String,
    },

    /// The output directory is not a directory, or does not exist.
    #[error("output path '{}' is not a directory", path.display())]
    OutDir {
        /// The path, as given.
        path: PathBuf,
    },

    /// prost refuses its configuration, or cannot write its output.
    #[error("cannot generate code: {source}")]
    Generate {
        /// What prost says.
        source: io::Error,
    },

    /// A file beside the generated code could not be written.
    #[error("cannot write '{}': {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why it was not written.
        source: io::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<protox::Error> for Error {
    fn from(error: protox::Error) -> Self {
        let related = error.related().into_iter().flatten();
        let messages: Vec<_> =
            iter::once(&error as &dyn Diagnostic).chain(related).map(|e| line(e, &error)).collect();
        Self::Proto { messages: messages.join("\n") }
    }
}

/// `file:line:column: message`, or as much of it as is known.
fn line(problem: &dyn Diagnostic, whole: &protox::Error) -> String {
    let place = || {
        // Where something is defined twice, the second is the one to change.
        let label = problem.labels()?.last()?;
        let source = problem.source_code().or_else(|| whole.source_code())?;
        let span = source.read_span(label.inner(), 0, 0).ok()?;
        Some(format!("{}:{}: ", span.line() + 1, span.column() + 1))
    };
    let file = whole.file().map(|file| format!("{file}:"));
    match (file, place()) {
        (Some(file), Some(place)) => format!("{file}{place}{problem}"),
        (Some(file), None) => format!("{file} {problem}"),
        (None, _) => problem.to_string(),
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "none was given".to_owned();
    }
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
