//! Tables for people, on terminals that obey what is printed to them.
//!
//! Keys and values are anybody's bytes. A control character among them would move the cursor, change colours or worse, so
//! it is shown escaped, as are the characters that turn the direction of text round. (`--quiet` prints the bytes as they are.)
//!
//! A column is as wide as its cells need, but one long key must not push everything else off the screen: cells much longer
//! than the others stand out of their column, and only their own row is longer for it.

use unicode_width::UnicodeWidthStr as _;

/// Cells up to this many columns always fit into theirs.
const CELL_COLUMNS_MIN: usize = 40;
/// What stands between columns.
const GAP: &str = "  ";

/// A table with a header line.
#[must_use]
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let header = header.iter().map(|name| name.to_uppercase()).collect();
    let shown = |row: Vec<String>| row.iter().map(|cell| visible(cell, &[])).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows.into_iter().map(shown)).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|at| width(rows.iter().filter_map(|row| row.get(at)))).collect();
    let lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
    lines.join("\n")
}

/// Names and what belongs to them, one pair a line; further lines of a value stand below its first.
#[must_use]
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in pairs {
        let value = visible(value, &['\n']);
        let names = std::iter::once(*name).chain(std::iter::repeat(""));
        // A value without any text has its line, too.
        let parts = if value.is_empty() { vec![""] } else { value.lines().collect() };
        lines.extend(names.zip(parts).map(|(name, part)| line(&[name.to_owned(), part.to_owned()], &[width])));
    }
    lines.join("\n")
}

/// Text with what a terminal would obey escaped, but for these characters.
#[must_use]
pub fn visible(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if kept.contains(&c) => shown.push(c),
            c if obeyed(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a terminal may do something else with it than show it.
pub(super) fn obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// How wide a column is: as its widest cell, unless that one is much wider than most.
fn width<'a>(cells: impl Iterator<Item = &'a String>) -> usize {
    let mut widths: Vec<usize> = cells.map(|cell| cell.width()).collect();
    widths.sort_unstable();
    let usual = widths.get(widths.len() / 2).copied().unwrap_or(0).max(CELL_COLUMNS_MIN);
    widths.into_iter().filter(|width| *width <= usual).max().unwrap_or(0)
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            line.push_str(GAP);
        }
        line.push_str(cell);
        let room = widths.get(at).map_or(0, |width| width.saturating_sub(cell.width()));
        line.extend(std::iter::repeat_n(' ', room));
    }
    line.trim_end().to_owned()
}
