//! Sizes and durations as people write them: `64KiB`, `250ms`.

use std::time::Duration;

/// A size in bytes: a number, and `KiB`, `MiB` or `GiB` (`K`, `M` and `G` for short).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(format!("{unit:?} is not a unit of size; use B, KiB, MiB or GiB")),
    };
    let number: u64 = number.parse().map_err(|_| "a size is a number like 512, 64KiB or 4MiB")?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than 2^64 bytes".to_owned())
}

/// A duration: a number, which may have a fraction, and `us`, `ms`, `s`, `m` or `h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" => return Err("the unit is missing: us, ms, s, m or h".to_owned()),
        _ => return Err(format!("{unit:?} is not a unit of time; use us, ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| "a duration is a number like 250ms or 1.5s")?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

/// A duration above zero.
pub(crate) fn duration_above_zero(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be more than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// The permissions of a file, in octal.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "a mode is an octal number from 0 to 0777, such as 0660".to_owned())
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("64"), Ok(64));
        assert_eq!(size("1 KiB"), Ok(1024));
        assert_eq!(size("4M"), Ok(4 << 20));
        assert!(size("64kb").unwrap_err().contains("\"kb\" is not a unit"));
        assert!(size("").is_err() && size("1.5K").is_err() && size("-1").is_err());
        assert!(size("99999999999G").unwrap_err().contains("2^64"));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("3").unwrap_err().contains("unit is missing"));
        assert!(duration("3 weeks").is_err() && duration("s").is_err());
        assert!(duration_above_zero("0ms").is_err());
    }

    #[test]
    fn modes() {
        assert_eq!(mode("0660"), Ok(0o660));
        assert_eq!(mode("0o600"), Ok(0o600));
        assert!(mode("0999").is_err() && mode("4755").is_err() && mode("rw").is_err());
    }
}
