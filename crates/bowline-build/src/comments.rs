//! Makes comments of `.proto` files fit to be documentation.
//!
//! rustdoc takes every block of code for Rust and runs it as a test, and takes `<T>` for HTML. In a
//! comment of a `.proto` file neither is meant.

use prost_types::FileDescriptorProto;

/// Sanitizes all comments of a file.
pub(crate) fn sanitize(file: &mut FileDescriptorProto) {
    let locations = file.source_code_info.iter_mut().flat_map(|info| &mut info.location);
    for comment in
        locations.flat_map(|l| l.leading_comments.iter_mut().chain(&mut l.trailing_comments))
    {
        *comment = sanitize_comment(comment);
    }
}

/// Where in a comment a line stands.
enum Block {
    /// In text; `blank` after an empty line, or at the start.
    Text { blank: bool },
    /// In code that is marked by its indentation.
    Indented,
    /// In code that ends with this fence, which is indented so far.
    Fenced(String, usize),
}

/// Marks code as text, and escapes what would be HTML.
fn sanitize_comment(comment: &str) -> String {
    let margin =
        comment.lines().filter(|l| !l.trim().is_empty()).map(indentation).min().unwrap_or(0);
    let at = |indent: usize, text: &str| format!(" {}{text}", " ".repeat(indent));
    let mut block = Block::Text { blank: true };
    let mut lines = Vec::new();
    for line in comment.lines() {
        let text = line.trim();
        let indent = indentation(line).saturating_sub(margin);
        if let Block::Indented = block
            && indent < 4
        {
            lines.push(at(0, "```"));
            block = Block::Text { blank: false };
        }
        block = match (block, fence(text)) {
            (Block::Fenced(open, least), close) => {
                // Further left, it would end a list, and the code with it.
                lines.push(at(indent.max(least), text));
                let closes = |f: &str| f.starts_with(&open) && f == text && indent < 4;
                if close.is_some_and(closes) {
                    Block::Text { blank: false }
                } else {
                    Block::Fenced(open, least)
                }
            }
            (Block::Indented, _) => {
                lines.push(at(indent - 4, text));
                Block::Indented
            }
            (Block::Text { .. }, Some(fence)) if indent < 4 => {
                lines.push(at(indent, &format!("{fence}text")));
                Block::Fenced(fence.to_owned(), indent)
            }
            (Block::Text { blank: true }, _) if indent >= 4 => {
                lines.extend([at(0, "```text"), at(indent - 4, text)]);
                Block::Indented
            }
            (Block::Text { .. }, _) => {
                lines.push(at(indent.min(3), &prose(text)));
                Block::Text { blank: text.is_empty() }
            }
        };
    }
    match block {
        Block::Text { .. } => {}
        Block::Indented => lines.push(at(0, "```")),
        Block::Fenced(fence, indent) => lines.push(at(indent, &fence)),
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// How far a line is indented, a tab counting as eight.
fn indentation(line: &str) -> usize {
    line.chars()
        .map_while(|c| match c {
            ' ' => Some(1),
            '\t' => Some(8),
            _ => None,
        })
        .sum()
}

/// The fence with which a line opens or closes a block of code.
fn fence(text: &str) -> Option<&str> {
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(mark);
    let length = text.len() - rest.len();
    // With a backtick behind it, it is code within a line.
    (length >= 3 && !(mark == '`' && rest.contains('`'))).then(|| &text[..length])
}

/// A line of text: no fence or indented code behind the mark of a list or a quote, no HTML.
fn prose(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace("```", r"\`\`\`").replace("~~~", r"\~\~\~");
    let mut escaped = String::with_capacity(text.len());
    // Every other piece is code.
    for (i, piece) in text.split('`').enumerate() {
        if i > 0 {
            escaped.push('`');
        }
        escaped.push_str(&if i % 2 == 0 { piece.replace('<', r"\<") } else { piece.to_owned() });
    }
    escaped
}

#[cfg(test)]
mod tests;
