//! The notation of scripts: words, numbers with names in them, and the bytes of messages.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;

use crate::messages::echo;

/// What is wrong with a line of a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: `{text}`")]
pub struct NotationError {
    what: &'static str,
    text: String,
}

impl NotationError {
    pub(crate) fn new(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, text: text.into() }
    }
}

pub(crate) type Result<T> = std::result::Result<T, NotationError>;

/// The numbers that a script can name: the limits of the peer, as its HELLO stated them, and `i`, the
/// round of a `repeat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) calls_max: u64,
    pub(crate) window: u64,
    pub(crate) frame_max: u64,
    pub(crate) metadata_max: u64,
    pub(crate) message_max: u64,
    pub(crate) round: u64,
    /// The ids of the calls that the peer has opened: `c1` is the first.
    pub(crate) calls: Vec<u64>,
}

impl Default for Names {
    /// What holds before HELLO has been read.
    fn default() -> Self {
        Self {
            calls_max: 64,
            window: 65_536,
            frame_max: 16_384,
            metadata_max: 16_384,
            message_max: 65_536,
            round: 0,
            calls: Vec::new(),
        }
    }
}

impl Names {
    /// The value of a sum of products of numbers and names: `2*i+1`, `window-16`, `2^53`. A factor may
    /// be a fraction, rounded down: `metadata_max/20`.
    pub(crate) fn number(&self, text: &str) -> Result<u64> {
        let bad = || NotationError::new("not a number", text);
        let mut total: i128 = 0;
        let mut rest = text;
        let mut sign = 1;
        loop {
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            let mut product: i128 = 1;
            for factor in rest[..end].split('*') {
                let value = self.factor(factor).ok_or_else(bad)?;
                product = product.checked_mul(value).ok_or_else(bad)?;
            }
            total += sign * product;
            if end == rest.len() {
                return u64::try_from(total).map_err(|_| bad());
            }
            sign = if rest.as_bytes()[end] == b'+' { 1 } else { -1 };
            rest = &rest[end + 1..];
        }
    }

    fn factor(&self, text: &str) -> Option<i128> {
        if let Some((dividend, divisor)) = text.split_once('/') {
            return self.factor(dividend)?.checked_div(self.factor(divisor)?);
        }
        let named = match text {
            "calls_max" => self.calls_max,
            "window" => self.window,
            "frame_max" => self.frame_max,
            "metadata_max" => self.metadata_max,
            "message_max" => self.message_max,
            "i" => self.round,
            _ => match text.strip_prefix('c').and_then(|number| number.parse::<usize>().ok()) {
                // Known when the call has been opened.
                Some(number) => number.checked_sub(1).and_then(|at| self.calls.get(at)).copied()?,
                None => return Self::literal(text),
            },
        };
        Some(i128::from(named))
    }

    fn literal(text: &str) -> Option<i128> {
        if let Some((base, exponent)) = text.split_once('^') {
            return i128::checked_pow(base.parse().ok()?, exponent.parse().ok()?);
        }
        match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(i128::from),
            None => text.replace('_', "").parse::<u64>().ok().map(i128::from),
        }
    }

    pub(crate) fn length(&self, text: &str) -> Result<usize> {
        let bytes = self.number(text)?;
        usize::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes <= 1 << 28)
            .ok_or_else(|| NotationError::new("more bytes than a script may ask for", text))
    }

    /// The bytes that a word stands for, if it stands for any.
    pub(crate) fn bytes(&self, word: &str) -> Result<Option<Bytes>> {
        if let Some(text) = word.strip_prefix('"') {
            let text = text.strip_suffix('"').unwrap_or(text);
            return Ok(Some(Bytes::copy_from_slice(text.as_bytes())));
        }
        if let Some(digits) = word.strip_prefix("0x") {
            return hex(digits).map(Some);
        }
        let Some((name, arguments)) = word.strip_suffix(')').and_then(|word| word.split_once('('))
        else {
            return Ok(None);
        };
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        let at = |index: usize| arguments.get(index).copied().unwrap_or("0");
        Ok(Some(match name {
            "bytes" => pattern(self.length(at(0))?),
            "repeat" => {
                let once = self.bytes(at(0))?.unwrap_or_default();
                let times = self.length(at(1))?;
                let mut all = BytesMut::with_capacity(once.len() * times);
                (0..times).for_each(|_| all.put_slice(&once));
                all.freeze()
            }
            "echo" => {
                let payload = pattern(self.length(at(0))?);
                let fail_code = u32::try_from(self.number(at(1))?)
                    .map_err(|_| NotationError::new("not a status code", at(1)))?;
                echo::EchoRequest { payload, delay_us: self.number(at(2))?, fail_code }
                    .encode_to_vec()
                    .into()
            }
            "reply" => {
                echo::EchoReply { payload: pattern(self.length(at(0))?) }.encode_to_vec().into()
            }
            "chunk" => {
                let (sequence, payload) = (self.number(at(0))?, pattern(self.length(at(1))?));
                echo::Chunk { sequence, payload }.encode_to_vec().into()
            }
            "counted" => {
                // What Download sends: byte i of chunk n is (n + i) mod 251.
                let (sequence, size) = (self.number(at(0))?, self.length(at(1))?);
                let first = usize::try_from(sequence % 251).unwrap_or_default();
                let payload = pattern(first + size).slice(first..);
                echo::Chunk { sequence, payload }.encode_to_vec().into()
            }
            "download" => {
                let size = u32::try_from(self.length(at(1))?).unwrap_or(u32::MAX);
                let (count, delay_us) = (self.number(at(0))?, self.number(at(2))?);
                echo::DownloadRequest { count, size, delay_us }.encode_to_vec().into()
            }
            "upload" => {
                let (messages, bytes) = (self.number(at(0))?, self.number(at(1))?);
                let checksum = self.number(at(2))?;
                echo::UploadReply { messages, bytes, checksum }.encode_to_vec().into()
            }
            _ => return Err(NotationError::new("no such bytes", word)),
        }))
    }
}

/// Bytes that count from 0 to 250, again and again.
fn pattern(length: usize) -> Bytes {
    (0..length).map(|i| (i % 251) as u8).collect::<Vec<u8>>().into()
}

fn hex(digits: &str) -> Result<Bytes> {
    let bad = || NotationError::new("not hexadecimal", digits);
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| bad()))
        .collect()
}

/// The words of a line: what stands between spaces, where quotes and brackets keep them together.
pub(crate) fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quoted, mut depth) = (None, false, 0_u32);
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        let between = letter == ' ' && !quoted && depth == 0;
        match start {
            None if !between => start = Some(at),
            Some(from) if between => {
                words.push(&line[from..at]);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        words.push(&line[from..]);
    }
    words
}

#[cfg(test)]
mod tests;
