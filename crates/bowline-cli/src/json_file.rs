//! The file of `--json`: opened before the work begins, and written when it is done.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;

/// The file for the results, open since before the run.
pub(crate) struct JsonFile {
    path: PathBuf,
    file: File,
    /// Empty and of our making: not to be left behind.
    fresh: bool,
}

impl JsonFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let fresh = !path.exists();
        // What it holds stays until there is something better.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Self::failure("open", path, &error))?;
        Ok(Self { path: path.to_owned(), file, fresh })
    }

    pub(crate) fn write(mut self, report: &impl Serialize) -> Result<(), Failure> {
        let written = serde_json::to_vec_pretty(report).map_err(io::Error::from).and_then(|json| {
            // A device has no length to set.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(&json)?;
            self.file.write_all(b"\n")
        });
        written.map_err(|error| Self::failure("write", &self.path, &error))?;
        self.fresh = false;
        Ok(())
    }

    fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; create its directory first",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; make room, or write it elsewhere"
            }
            _ => "",
        };
        Failure::operation(format_args!("cannot {what} {} (--json): {error}{hint}", path.display()))
    }
}

impl Drop for JsonFile {
    fn drop(&mut self) {
        if self.fresh {
            // If it cannot be removed, an empty file is no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
