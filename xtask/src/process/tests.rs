//! Copying output, and how commands are shown.

use std::io::{self, Read};
use std::path::Path;

use super::{cargo, copy_lines, display};

/// Gives its chunks one read at a time.
struct Chunks<'a>(Vec<&'a [u8]>);

impl Read for Chunks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let chunk = self.0.remove(0);
        buf[..chunk.len()].copy_from_slice(chunk);
        Ok(chunk.len())
    }
}

#[test]
fn lines_survive_any_chunking_and_bytes_pass_unchanged() {
    let mut chunks = Chunks(vec![b"test a", b" ... ok\ntest b ... ", b"ok\n", b"no end"]);
    let (mut out, mut lines) = (Vec::new(), Vec::new());
    copy_lines(&mut chunks, &mut out, |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(lines, ["test a ... ok", "test b ... ok", "no end"]);
    assert_eq!(out, b"test a ... ok\ntest b ... ok\nno end");
}

#[test]
fn commands_show_as_one_would_type_them() {
    let mut command = cargo(Path::new("/"), ["doc", "--config", "a b"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    assert_eq!(display(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --config 'a b'");
}
