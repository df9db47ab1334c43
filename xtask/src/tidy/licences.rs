//! Every dependency must be usable under licences that this project accepts.

use anyhow::Result;

use super::{Report, Workspace};

const ACCEPTED: &[&str] = &[
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    let outside = workspace.metadata.packages.iter().filter(|package| package.source.is_some());
    for package in outside {
        let place = format!("{} {}", package.name, package.version);
        match &package.license {
            None => report.problem(place, "states no licence: use another crate"),
            Some(expression) => match is_accepted(expression) {
                Some(true) => {}
                Some(false) => report.problem(
                    place,
                    format!(
                        "its licence `{expression}` is not covered by {}: use another crate, or \
                         accept the licence in xtask/src/tidy/licences.rs with a reason",
                        ACCEPTED.join(", ")
                    ),
                ),
                None => report.problem(
                    place,
                    format!("cannot read its licence `{expression}` as an SPDX expression"),
                ),
            },
        }
    }
    Ok(())
}

/// Whether an SPDX expression can be met with accepted licences; `None` if it is not one. `/` is
/// how old manifests wrote OR, and SPDX 3 takes operators in lower case, too. An exception (`WITH`)
/// only permits more, so the licence decides.
fn is_accepted(expression: &str) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().map(in_upper_case).collect();
    let mut parser = Parser { words: &words };
    let accepted = parser.any_of()?;
    parser.words.is_empty().then_some(accepted)
}

fn in_upper_case(word: &str) -> &str {
    match word {
        "or" => "OR",
        "and" => "AND",
        "with" => "WITH",
        other => other,
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn any_of(&mut self) -> Option<bool> {
        let mut accepted = self.all_of()?;
        while self.eat("OR") {
            accepted |= self.all_of()?;
        }
        Some(accepted)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut accepted = self.one()?;
        while self.eat("AND") {
            accepted &= self.one()?;
        }
        Some(accepted)
    }

    fn one(&mut self) -> Option<bool> {
        if self.eat("(") {
            let accepted = self.any_of()?;
            return self.eat(")").then_some(accepted);
        }
        let licence = self.name()?;
        if self.eat("WITH") {
            self.name()?;
        }
        Some(ACCEPTED.contains(&licence))
    }

    fn name(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        if ["(", ")", "OR", "AND", "WITH"].contains(first) {
            return None;
        }
        self.words = rest;
        Some(first)
    }

    fn eat(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
