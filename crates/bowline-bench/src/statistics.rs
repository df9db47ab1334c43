//! Medians, and how far the values lie apart.

/// The middle of the values; 0 without any.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this share of the values lies, in a straight line between two of them; 0
/// without any.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor(), place.ceil());
    let part = place - below;
    sorted[below as usize] * (1.0 - part) + sorted[above as usize] * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quartiles() {
        let close = |value: f64, expected: f64| (value - expected).abs() < 1e-9;
        assert!(close(median(&[]), 0.0));
        assert!(close(median(&[3.0, 1.0, 2.0]), 2.0));
        assert!(close(median(&[4.0, 1.0, 2.0, 3.0]), 2.5));
        let values = [9.0, 1.0, 2.0, 8.0, 5.0];
        assert!(close(quantile(&values, 0.25), 2.0) && close(quantile(&values, 0.75), 8.0));
        assert!(close(quantile(&values, 0.0), 1.0) && close(quantile(&values, 1.0), 9.0));
        assert!(close(quantile(&[1.0, 2.0], 0.25), 1.25));
    }
}
