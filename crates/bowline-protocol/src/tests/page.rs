//! docs/protocol.md, as far as tests compare the code with it.

/// The page.
pub(crate) const PAGE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md"));

/// The rows of the first table after this text, the header's first, as cells without backticks.
pub(crate) fn table_after(text: &str) -> Vec<Vec<String>> {
    let (_, rest) = PAGE.split_once(text).expect("the page has this text");
    let rows = rest.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>()
    });
    rows.filter(|row| !row[0].starts_with("---")).collect()
}

/// A number as the page writes it: `65,536`, `10 s`, `1,024 bytes, fixed`.
pub(crate) fn number(cell: &str) -> Option<u64> {
    let digits: String = cell
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(|c| *c != ',')
        .collect();
    digits.parse().ok()
}
