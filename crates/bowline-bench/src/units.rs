//! Numbers as people read them: three or four digits and a unit.

use std::fmt;
use std::time::Duration;

/// Bytes, as `64 B`, `1 KiB` or `1.5 MiB`.
///
/// ```
/// use bowline_bench::units::Bytes;
///
/// assert_eq!(Bytes(64 * 1024).to_string(), "64 KiB");
/// assert_eq!(Bytes(1000).to_string(), "1000 B");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let text = match bytes {
            0..1024 => format!("{bytes} B"),
            _ => {
                let power = (bytes.ilog2() / 10).min(4);
                let unit = ["", "KiB", "MiB", "GiB", "TiB"][power as usize];
                let whole = 1_u64 << (10 * power);
                if bytes.is_multiple_of(whole) {
                    format!("{} {unit}", bytes / whole)
                } else {
                    format!("{:.1} {unit}", bytes as f64 / whole as f64)
                }
            }
        };
        f.pad(&text)
    }
}

/// A time in nanoseconds, as `850 ns`, `12.3 µs` or `4.56 ms`.
///
/// ```
/// use bowline_bench::units::Nanos;
///
/// assert_eq!(Nanos(12_345).to_string(), "12.3 µs");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        let text = match self.0 {
            0..1000 => format!("{} ns", self.0),
            1000..1_000_000 => format!("{} µs", digits(nanos / 1e3)),
            1_000_000..1_000_000_000 => format!("{} ms", digits(nanos / 1e6)),
            _ => format!("{} s", digits(nanos / 1e9)),
        };
        f.pad(&text)
    }
}

/// A count or a rate, as `950`, `12.3 k` or `1.05 M`.
///
/// ```
/// use bowline_bench::units::Count;
///
/// assert_eq!(Count(1_050_000.0).to_string(), "1.05 M");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Count(pub f64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            // What would be rounded to 1000 has the next unit.
            count if count < 999.5 => digits(count),
            count if count < 999.5e3 => format!("{} k", digits(count / 1e3)),
            count => format!("{} M", digits(count / 1e6)),
        };
        f.pad(&text)
    }
}

/// Three digits that count.
fn digits(number: f64) -> String {
    if number < 9.995 {
        format!("{number:.2}")
    } else if number < 99.95 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let counts = [0.0, 9.994, 9.996, 99.96, 999.4, 999.6, 54_321.0, 999_600.0, 1.5e9];
        let texts = counts.map(|count| Count(count).to_string());
        let expected =
            ["0.00", "9.99", "10.0", "100", "999", "1.00 k", "54.3 k", "1.00 M", "1500 M"];
        assert_eq!(texts, expected);
        let times = [0, 999, 1000, 99_990, 1_234_567, 61_000_000_000].map(|n| Nanos(n).to_string());
        assert_eq!(times, ["0 ns", "999 ns", "1.00 µs", "100 µs", "1.23 ms", "61.0 s"]);
        let sizes = [0, 1023, 1024, 1536, 1 << 20, u64::MAX].map(|n| Bytes(n).to_string());
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "1 MiB", "16777216.0 TiB"]);
    }

    #[test]
    fn columns_align() {
        assert_eq!(format!("[{:>8}]", Bytes(64)), "[    64 B]");
    }
}
