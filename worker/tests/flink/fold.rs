//! What is left when all changes of a result are applied.

use std::collections::BTreeMap;

/// Rows and how often each is there.
pub(crate) type Rows = BTreeMap<String, i64>;

/// Folds the lines of print tables, such as `name> +U[1, a]`; a row's text may hold line breaks.
///
/// # Errors
/// A line that is no row, or a row that is taken back more often than it was given.
pub(crate) fn fold(printed: &str) -> Result<Rows, String> {
    let mut rows = Rows::new();
    for line in printed.split("]\n").filter(|line| !line.is_empty()) {
        let row = ["+I[", "+U[", "-U[", "-D["].iter().filter_map(|kind| {
            let at = line.find(kind)?;
            Some((at, if kind.starts_with('+') { 1 } else { -1 }))
        });
        let (at, change) = row.min().ok_or_else(|| format!("not a row: {line}"))?;
        let text = format!("{}{}]", &line[..at], &line[at + 2..]).replace('\n', "\\n");
        *rows.entry(text).or_default() += change;
    }
    rows.retain(|_, count| *count != 0);
    match rows.iter().find(|(_, count)| **count < 0) {
        Some((row, _)) => Err(format!("taken back, but never given: {row}")),
        None => Ok(rows),
    }
}

/// How `found` differs from `expected`, a line for each row; `None` when it does not.
pub(crate) fn difference(expected: &Rows, found: &Rows) -> Option<String> {
    let mut text = String::new();
    let all: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for row in all {
        let count = |rows: &Rows| rows.get(row).copied().unwrap_or(0);
        let (right, ours) = (count(expected), count(found));
        let sign = match right.cmp(&ours) {
            std::cmp::Ordering::Equal => continue,
            std::cmp::Ordering::Greater => "missing",
            std::cmp::Ordering::Less => "surplus",
        };
        let times = match right.abs_diff(ours) {
            1 => String::new(),
            n => format!(" × {n}"),
        };
        text.push_str(&format!("  {sign} {row}{times}\n"));
    }
    (!text.is_empty()).then_some(text)
}

#[test]
fn what_is_taken_back_is_not_left() {
    let rows = fold("+I[1, a]\na> +I[1]\n-U[1, a]\n+U[1, +I[\nx]]\na> +I[1]\n").expect("rows");
    let left: Vec<_> = rows.iter().map(|(row, count)| (row.as_str(), *count)).collect();
    assert_eq!(left, [("[1, +I[\\nx]]", 1), ("a> [1]", 2)]);
    assert_eq!(fold("+I[1]\n-D[1]\n-D[1]\n"), Err("taken back, but never given: [1]".to_owned()));
    assert_eq!(fold("1\n"), Err("not a row: 1\n".to_owned()));
}

#[test]
fn rows_that_occur_another_number_of_times_are_told() {
    let rows = |text: &str| fold(text).expect("rows");
    let (a, b) = (rows("+I[1]\n+I[2]\n+I[2]\n+I[2]\n"), rows("+I[2]\n+I[3]\n"));
    assert_eq!(
        difference(&a, &b).expect("differ"),
        "  missing [1]\n  missing [2] × 2\n  surplus [3]\n"
    );
    assert_eq!(difference(&a, &a), None);
}
