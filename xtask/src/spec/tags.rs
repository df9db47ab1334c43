//! Finds requirement ids in the comments of Rust source, and what each stands at.

/// An id in a comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) id: String,
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a comment that names an id stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Code outside tests.
    Code,
    /// A test: its attribute or its signature.
    Test,
    /// Documentation, which implements nothing.
    Mention,
    /// Something in a test file that is no test.
    Astray,
}

/// Every id in a comment of the file.
pub(super) fn scan(text: &str, is_test_line: impl Fn(usize) -> bool) -> Vec<Tag> {
    let lines: Vec<&str> = text.lines().collect();
    let mut tags = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(comment) = line.find("//").map(|start| &line[start..]) else { continue };
        let kind = if is_documentation(comment) {
            Kind::Mention
        } else if !is_test_line(index + 1) {
            Kind::Code
        } else if stands_at_test(&lines, index) {
            Kind::Test
        } else {
            Kind::Astray
        };
        tags.extend(ids(comment).into_iter().map(|id| Tag { id, line: index + 1, kind }));
    }
    tags
}

/// The ids in brackets: `[ABC-012]`, two to eight capital letters and three digits.
pub(super) fn ids(text: &str) -> Vec<String> {
    let inside = text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    inside.filter(|(id, _)| is_id(id)).map(|(id, _)| id.to_owned()).collect()
}

fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(letters, digits)| {
        (2..=8).contains(&letters.len())
            && letters.bytes().all(|b| b.is_ascii_uppercase())
            && digits.len() == 3
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

fn is_documentation(comment: &str) -> bool {
    comment.starts_with("//!") || (comment.starts_with("///") && !comment.starts_with("////"))
}

/// Whether a line is part of what precedes a test's body: its comments, attributes and signature.
/// A function counts without a test attribute too, as suites that run over every transport are
/// lists of plain functions that a macro turns into tests.
fn stands_at_test(lines: &[&str], index: usize) -> bool {
    if is_signature(lines[index]) {
        return true;
    }
    let after = lines[index..].iter().find(|line| !is_above_signature(line));
    is_above_signature(lines[index]) && after.is_some_and(|line| is_signature(line))
}

fn is_above_signature(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("#[")
}

fn is_signature(line: &str) -> bool {
    let mut words = line.split("//").next().unwrap_or("").split_whitespace();
    let before_fn = |word: &&str| !["pub", "async", "const", "unsafe"].contains(word);
    let word = words.find(|word| before_fn(word) && !word.starts_with("pub("));
    word == Some("fn")
}

#[cfg(test)]
mod tests;
