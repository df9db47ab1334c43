//! Reads the lines of `cargo test`: adds up the results, and keeps what was skipped.

/// The sum of all result lines so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    skipped: Vec<Skipped>,
}

/// A suite that did not run, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Skipped {
    pub(super) name: String,
    pub(super) reason: String,
}

impl Tally {
    /// Takes one line of output, with or without colours.
    pub(super) fn read(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.read_counts(counts);
        } else if let Some(skipped) = skipped(line) {
            self.skipped.push(skipped);
        }
    }

    /// `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn read_counts(&mut self, counts: &str) {
        let Some((_, counts)) = counts.split_once(". ") else { return };
        for part in counts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// What was skipped, each once.
    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let mut skipped = self.skipped.clone();
        skipped.sort();
        skipped.dedup();
        skipped
    }
}

/// Finds `SKIPPED name: reason`, also behind the `test name ... ` that a single-threaded run leaves
/// open on the line.
fn skipped(line: &str) -> Option<Skipped> {
    let (before, rest) = line.split_once("SKIPPED ")?;
    let (name, reason) = rest.split_once(": ")?;
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    let stands_alone = before.is_empty() || before.ends_with(' ');
    (is_name && stands_alone)
        .then(|| Skipped { name: name.to_owned(), reason: reason.trim().to_owned() })
}

/// Drops the escape sequences `ESC [ … letter`.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            let _ = chars.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests;
