//! Reads the page: which requirements it defines, and whether all that it refers to exist.

use std::collections::BTreeSet;

use super::tags::ids;

const NOT_APPLICABLE: &str = "*(not applicable: ";

/// How much of a clause is shown in a list.
const SUMMARY_CHARS: usize = 72;

/// The requirements of a page, in its order, and what is wrong with it (`line: text`).
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) clauses: Vec<Clause>,
    pub(super) problems: Vec<String>,
}

/// One requirement.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) id: String,
    pub(super) line: usize,
    /// The page says that this implementation has nothing to do for it.
    pub(super) not_applicable: bool,
    text: String,
}

impl Page {
    /// Code, in fences or between backticks, neither defines nor refers.
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut references = Vec::new();
        let mut in_fence = false;
        let mut in_clause = false;
        for (line, number) in text.lines().zip(1..) {
            let start = line.trim_start();
            if start.starts_with("```") || start.starts_with("~~~") {
                in_fence = !in_fence;
            }
            if in_fence {
                continue;
            }
            let prose = without_code(line);
            if let Some((id, rest)) = definition(&prose) {
                references.extend(ids(rest).into_iter().map(|id| (id, number)));
                page.define(id, number, rest);
                in_clause = true;
                continue;
            }
            references.extend(ids(&prose).into_iter().map(|id| (id, number)));
            let ends = ["- ", "* ", "#", "|"].iter().any(|other| start.starts_with(other));
            in_clause &= !start.is_empty() && !ends;
            if let Some(clause) = page.clauses.last_mut().filter(|_| in_clause) {
                clause.text.push(' ');
                clause.text.push_str(start);
            }
        }
        page.finish(&references);
        page
    }

    fn define(&mut self, id: &str, line: usize, text: &str) {
        if let Some(first) = self.clauses.iter().find(|clause| clause.id == id) {
            self.problems.push(format!("{line}: [{id}] is defined before, in line {}", first.line));
            return;
        }
        let (id, text) = (id.to_owned(), text.trim().to_owned());
        self.clauses.push(Clause { id, line, not_applicable: false, text });
    }

    fn finish(&mut self, references: &[(String, usize)]) {
        for clause in &mut self.clauses {
            let Some((_, rest)) = clause.text.split_once(NOT_APPLICABLE) else { continue };
            clause.not_applicable = true;
            if rest.split_once(")*").is_none_or(|(reason, _)| reason.trim().is_empty()) {
                let (line, id) = (clause.line, &clause.id);
                self.problems
                    .push(format!("{line}: [{id}] gives no reason: `{NOT_APPLICABLE}…)*`"));
            }
        }
        let defined: BTreeSet<&String> = self.clauses.iter().map(|clause| &clause.id).collect();
        for (id, line) in references.iter().filter(|(id, _)| !defined.contains(id)) {
            self.problems.push(format!(
                "{line}: [{id}] is not defined: `**[{id}]**` at the start of a bullet or paragraph"
            ));
        }
        if self.clauses.is_empty() {
            self.problems.push("1: defines no requirement".to_owned());
        }
    }
}

impl Clause {
    /// Its first words.
    pub(super) fn summary(&self) -> String {
        if self.text.chars().count() <= SUMMARY_CHARS {
            return self.text.clone();
        }
        let cut: String = self.text.chars().take(SUMMARY_CHARS).collect();
        let end = cut.rfind(' ').unwrap_or(cut.len());
        format!("{} …", &cut[..end])
    }
}

/// The id that a line defines, and what follows it.
fn definition(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).unwrap_or(line);
    let (id, rest) = line.trim_start().strip_prefix("**[")?.split_once("]**")?;
    (ids(&format!("[{id}]")) == [id]).then_some((id, rest))
}

/// Blanks out what stands between backticks, as far as it looks like an id.
fn without_code(line: &str) -> String {
    let pieces = line.split('`').enumerate();
    let prose = pieces.map(|(i, piece)| match i % 2 {
        0 => piece.to_owned(),
        _ => piece.replace('[', "(").replace(']', ")"),
    });
    prose.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests;
