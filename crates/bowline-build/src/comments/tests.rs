//! Comments before and after.

use super::sanitize_comment;

#[test]
fn text_stays_as_it_is() {
    for text in [
        "",
        " One line.",
        " Two lines,\n with `code` and *more*.\n\n - a list\n   that goes on\n - and ends",
        " # A heading\n\n | a table |\n |---------|",
    ] {
        assert_eq!(sanitize_comment(text), text);
    }
}

#[test]
fn code_becomes_text() {
    assert_eq!(sanitize_comment(" ```\n a();\n ```\n b"), " ```text\n a();\n ```\n b");
    assert_eq!(sanitize_comment(" ~~~~rust\n ~~~\n ~~~~"), " ~~~~text\n ~~~\n ~~~~");
    assert_eq!(sanitize_comment(" ```c\n never closed"), " ```text\n never closed\n ```");
    assert_eq!(
        sanitize_comment(" a\n\n     b();\n       c();\n d"),
        " a\n\n ```text\n b();\n   c();\n ```\n d"
    );
    let list = " - a\n   ```\n   b();\n c();\n   ```";
    assert_eq!(sanitize_comment(list), " - a\n   ```text\n   b();\n   c();\n   ```");
    let far = "    a\n    ```\n      b();\n    ```";
    assert_eq!(sanitize_comment(far), " a\n ```text\n   b();\n ```");
    assert_eq!(sanitize_comment(" a\n\n\tb();"), " a\n\n ```text\n    b();\n ```");
}

#[test]
fn nothing_else_is_code() {
    // Behind other text an indented line is text, unless that is a heading.
    assert_eq!(sanitize_comment(" # a\n     b"), " # a\n    b");
    assert_eq!(sanitize_comment(" -      a"), " - a");
    assert_eq!(sanitize_comment(" > ```\n > a"), " > \\`\\`\\`\n > a");
    assert_eq!(sanitize_comment(" - ~~~\n   a"), " - \\~\\~\\~\n   a");
}

#[test]
fn html_is_escaped() {
    assert_eq!(sanitize_comment(" Vec<T> `Vec<T>` <b>"), r" Vec\<T> `Vec<T>` \<b>");
}

#[test]
fn carriage_returns_vanish() {
    assert_eq!(sanitize_comment(" a\r\n b\rc\r\n"), " a\n b c");
}
