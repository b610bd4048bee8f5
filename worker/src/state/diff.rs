//! `weir state diff`: what became of a job's state from one version to another.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use weir_checkpoint::data::OpenTable;
use weir_checkpoint::{Manifest, OperatorEntry, TableSegment};
use weir_page::words::{bytes, event_time, grouped};
use weir_protocol::{KeyGroup, KeyGroupRange, Split};
use weir_state::table::rows::{Difference, difference, row_schema};
use weir_state::table::{EvolveError, Groups, TableSpec, evolve};

use super::place::{Stored, find};
use crate::cli::Report;

/// Longest position of a split that is shown.
const LONGEST_POSITION: usize = 200;

/// What differs between two versions.
#[derive(Serialize)]
struct Diff {
    job: String,
    from: u64,
    to: u64,
    /// Each only where it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    parallelism: Option<[u32; 2]>,
    bytes: [u64; 2],
    operators: Vec<OperatorDiff>,
}

#[derive(Serialize)]
struct OperatorDiff {
    uid: String,
    name: String,
    change: Change,
    bytes: [u64; 2],
    tables: Vec<TableDiff>,
    splits: Vec<SplitDiff>,
}

#[derive(Serialize)]
struct TableDiff {
    name: String,
    change: Change,
    /// Changes of its schema, in words.
    schema: Vec<String>,
    /// Rows as they are stored: one that was written again since the last merge counts twice, and so
    /// does what says that a row is gone.
    stored: [u64; 2],
    bytes: [u64; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Counted>,
}

/// Rows that were counted, or why they could not be.
#[derive(Serialize)]
#[serde(untagged)]
enum Counted {
    Rows { added: u64, removed: u64, changed: u64, same: u64 },
    Refused { refused: String },
}

#[derive(Serialize)]
struct SplitDiff {
    id: String,
    change: Change,
    /// Where it stood and stands.
    from: Option<String>,
    to: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Added,
    Dropped,
    Changed,
    Same,
}

impl Change {
    fn of<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> Self {
        match (before, after) {
            (None, _) => Self::Added,
            (_, None) => Self::Dropped,
            (Some(before), Some(after)) if before == after => Self::Same,
            _ => Self::Changed,
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Dropped => '-',
            Self::Changed => '~',
            Self::Same => ' ',
        }
    }
}

/// What differs between version `from` and version `to`; with `rows` each table's rows are read and
/// compared.
///
/// # Errors
/// When a version is not there, or cannot be read.
pub(super) async fn diff(
    place: &str,
    from: u64,
    to: u64,
    rows: bool,
    output: Report,
) -> anyhow::Result<String> {
    let before = find(place, Some(from)).await?;
    let after = find(place, Some(to)).await?;
    let mut found = compare(&before.manifest, &after.manifest);
    if rows {
        for operator in &mut found.operators {
            for table in &mut operator.tables {
                table.rows = Some(count(&before, &after, &operator.uid, &table.name).await?);
            }
        }
    }
    match output {
        Report::Json => Ok(serde_json::to_string_pretty(&found)?),
        Report::Text => Ok(describe(&found, &before.manifest, &after.manifest)?),
    }
}

fn compare(before: &Manifest, after: &Manifest) -> Diff {
    let uids: BTreeSet<_> = before.operators.keys().chain(after.operators.keys()).collect();
    let operators = uids.into_iter().map(|uid| {
        let (old, new) = (before.operators.get(uid), after.operators.get(uid));
        let named = new.or(old).map(|entry| entry.name.clone());
        let size = |entry: Option<&OperatorEntry>| entry.map_or(0, |entry| entry.state.bytes());
        let change = match (old, new) {
            (Some(a), Some(b)) if a.state == b.state && a.enumerator == b.enumerator => {
                Change::of(Some(&a.tables), Some(&b.tables))
            }
            (old, new) => Change::of(old, new),
        };
        OperatorDiff {
            uid: uid.to_string(),
            name: named.unwrap_or_default(),
            change,
            bytes: [size(old), size(new)],
            tables: compare_tables(old, new),
            splits: compare_splits(old, new),
        }
    });
    let parallelism = [before.assignment.parallelism, after.assignment.parallelism];
    Diff {
        job: after.job.to_string(),
        from: before.version.0,
        to: after.version.0,
        parallelism: (parallelism[0] != parallelism[1]).then_some(parallelism),
        bytes: [before.bytes, after.bytes],
        operators: operators.collect(),
    }
}

fn compare_tables(old: Option<&OperatorEntry>, new: Option<&OperatorEntry>) -> Vec<TableDiff> {
    let tables = |entry: Option<&OperatorEntry>| entry.map_or(Vec::new(), |e| e.tables.clone());
    let (were, are) = (tables(old), tables(new));
    let names: BTreeSet<&str> = were.iter().chain(&are).map(|table| table.name.as_str()).collect();
    let named =
        |tables: &[TableSpec], name: &str| tables.iter().find(|table| table.name == name).cloned();
    let each = names.into_iter().map(|name| {
        let (was, is) = (named(&were, name), named(&are, name));
        let schema = match (&was, &is) {
            (Some(was), Some(is)) => schema_changes(was, is),
            _ => Vec::new(),
        };
        let (a, b) = (segments(old, name), segments(new, name));
        let change = match (&was, &is) {
            (Some(was), Some(is)) if was == is => Change::of(Some(&a), Some(&b)),
            (was, is) => Change::of(was.as_ref(), is.as_ref()),
        };
        let sum = |of: &[&TableSegment], size: fn(&TableSegment) -> u64| -> u64 {
            of.iter().map(|segment| size(segment)).sum()
        };
        TableDiff {
            name: name.to_owned(),
            change,
            schema,
            stored: [sum(&a, |s| s.rows), sum(&b, |s| s.rows)],
            bytes: [sum(&a, |s| s.len), sum(&b, |s| s.len)],
            rows: None,
        }
    });
    each.collect()
}

fn segments<'a>(entry: Option<&'a OperatorEntry>, table: &str) -> Vec<&'a TableSegment> {
    let all = entry.map(|entry| entry.state.tables.as_slice()).unwrap_or_default();
    all.iter().filter(|segment| segment.table == table).collect()
}

/// How a table's columns changed, in words.
fn schema_changes(was: &TableSpec, is: &TableSpec) -> Vec<String> {
    let (old, new) = (row_schema(was), row_schema(is));
    let mut changes = Vec::new();
    for field in new.fields() {
        match old.field_with_name(field.name()) {
            Err(_) => changes.push(format!("+ column {} {}", field.name(), field.data_type())),
            Ok(before) if before.data_type() != field.data_type() => changes.push(format!(
                "~ column {} {} → {}",
                field.name(),
                before.data_type(),
                field.data_type()
            )),
            Ok(_) => {}
        }
    }
    for field in old.fields() {
        if new.field_with_name(field.name()).is_err() {
            changes.push(format!("- column {} {}", field.name(), field.data_type()));
        }
    }
    if changes.is_empty() && was != is {
        changes.push(format!("~ {was} → {is}"));
    }
    changes
}

fn compare_splits(old: Option<&OperatorEntry>, new: Option<&OperatorEntry>) -> Vec<SplitDiff> {
    let (were, are) = (splits(old), splits(new));
    let ids: BTreeSet<&str> = were.iter().chain(&are).map(|split| split.id.as_str()).collect();
    let find = |splits: &[&Split], id: &str| -> Option<Split> {
        splits.iter().find(|split| split.id == id).map(|split| (*split).clone())
    };
    let each = ids.into_iter().map(|id| {
        let (from, to) = (find(&were, id), find(&are, id));
        let places = [&from, &to].map(|split| split.as_ref().map(|split| split.position.clone()));
        SplitDiff {
            id: id.to_owned(),
            change: Change::of(places[0].as_ref(), places[1].as_ref()),
            from: from.as_ref().map(position),
            to: to.as_ref().map(position),
        }
    });
    each.filter(|split| split.change != Change::Same).collect()
}

/// Splits that are read, and those that nobody has begun.
fn splits(entry: Option<&OperatorEntry>) -> Vec<&Split> {
    let Some(entry) = entry else { return Vec::new() };
    let waiting = entry.enumerator.iter().flat_map(|e| e.unassigned.iter().chain(&e.returned));
    entry.state.splits.iter().chain(waiting).collect()
}

/// Where a split stands: positions are JSON of its connector's.
fn position(split: &Split) -> String {
    let text = String::from_utf8_lossy(&split.position);
    match text.char_indices().nth(LONGEST_POSITION) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Reads a table's rows at both versions.
async fn count(before: &Stored, after: &Stored, uid: &str, table: &str) -> anyhow::Result<Counted> {
    let entry = |stored: &Stored| {
        let found = stored.manifest.operators.iter().find(|(known, _)| known.as_str() == uid);
        found.map(|(_, entry)| entry.clone()).unwrap_or_default()
    };
    let entries = [entry(before), entry(after)];
    let spec = |entry: &OperatorEntry| entry.tables.iter().find(|t| t.name == table).cloned();
    let specs = [spec(&entries[0]), spec(&entries[1])];
    let [was, is] = &specs;
    if let (Some(was), Some(is)) = (was, is)
        && let Err(EvolveError { refused, .. }) = evolve(was, is)
    {
        return Ok(Counted::Refused { refused: refused.join("; ") });
    }
    let Some(spec) = is.as_ref().or(was.as_ref()) else {
        return Ok(Counted::Refused { refused: "it is in neither version".to_owned() });
    };
    let of = [before.manifest.max_parallelism, after.manifest.max_parallelism];
    if of[0] != of[1] {
        let refused = format!("there were {} key groups and are {}", of[0], of[1]);
        return Ok(Counted::Refused { refused });
    }
    let range = KeyGroupRange::all(of[0]);
    let references = |entry: &OperatorEntry| -> Vec<TableSegment> {
        segments(Some(entry), table).into_iter().cloned().collect()
    };
    let old = before.reader.open_table(&references(&entries[0]), range).await?;
    let new = after.reader.open_table(&references(&entries[1]), range).await?;
    let mut found = Difference::default();
    let mut left = range;
    while !left.is_empty() {
        // The smaller piece of the two, so that both are in memory together.
        let (a, b) = (old.next_piece(left), new.next_piece(left));
        let piece = KeyGroupRange { start: left.start, end: a.end.min(b.end) };
        left.start = piece.end;
        let (a, b) = (old.read(piece).await?, new.read(piece).await?);
        for group in (piece.start..piece.end).map(KeyGroup) {
            let range = KeyGroupRange { start: group.0, end: group.0 + 1 };
            let (a, b) = (OpenTable::of_group(&a, group), OpenTable::of_group(&b, group));
            found.add(difference(spec, Groups { range, of: of[0] }, &a, &b)?);
        }
    }
    let Difference { added, removed, changed, same } = found;
    Ok(Counted::Rows { added, removed, changed, same })
}

fn describe(diff: &Diff, before: &Manifest, after: &Manifest) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let arrow = |[a, b]: [String; 2]| if a == b { a } else { format!("{a} → {b}") };
    writeln!(text, "{}  version {} → {}", diff.job, diff.from, diff.to)?;
    let written = [before.created_ms, after.created_ms].map(event_time);
    writeln!(text, "  written       {}", arrow(written))?;
    if let Some(parallelism) = diff.parallelism {
        writeln!(text, "  parallelism   {}", arrow(parallelism.map(|p| p.to_string())))?;
    }
    writeln!(text, "  state         {}", arrow(diff.bytes.map(bytes)))?;
    for operator in &diff.operators {
        let OperatorDiff { uid, name, change, bytes: size, tables, splits } = operator;
        writeln!(text, "\n{} {name}  ({uid})  {}", change.sign(), arrow(size.map(bytes)))?;
        for table in tables {
            let stored = arrow(table.stored.map(grouped));
            let size = arrow(table.bytes.map(bytes));
            let sign = table.change.sign();
            writeln!(text, "  {sign} table {}: {stored} rows and changes, {size}", table.name)?;
            for change in &table.schema {
                writeln!(text, "      {change}")?;
            }
            match &table.rows {
                None => {}
                Some(Counted::Refused { refused }) => {
                    writeln!(text, "      rows cannot be compared: {refused}")?;
                }
                Some(Counted::Rows { added, removed, changed, same }) => {
                    let [added, removed, changed, same] =
                        [added, removed, changed, same].map(|n| grouped(*n));
                    writeln!(
                        text,
                        "      rows: {added} added, {removed} removed, {changed} changed, {same} as they were"
                    )?;
                }
            }
        }
        for split in splits {
            let place = |place: &Option<String>| place.clone().unwrap_or_default();
            let places = match split.change {
                Change::Added => place(&split.to),
                Change::Dropped => format!("{} (read, or gone)", place(&split.from)),
                _ => format!("{} → {}", place(&split.from), place(&split.to)),
            };
            writeln!(text, "  {} split {}: {places}", split.change.sign(), split.id)?;
        }
    }
    Ok(text)
}
