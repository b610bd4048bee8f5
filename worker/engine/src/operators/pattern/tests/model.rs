//! Matches by definition: every way through the pattern is tried, in the order of preference.

use std::collections::BTreeMap;

use crate::aggregate::testing::{Row, key_of};
use crate::operators::pattern::spec::{Pattern, Shape, Skip};
use crate::operators::testing::text;

/// Steps after which a search is given up: a few rows can fit a pattern in very many ways.
const MOST_STEPS: usize = 20_000;

/// What must hold of a row for a variable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    /// Its number is at least this.
    AtLeast(i32),
    /// It is larger than that of the row before, or there is none.
    AbovePrevious,
    /// It is not the one of the row behind.
    NotNext,
    /// It is larger than that of the variable's row before, or there is none.
    AboveLast,
    /// It is not smaller than that of the first row of the first variable, where there is one.
    AboveFirst,
    /// It is one of the first rows of the variable.
    AmongFirst(i64),
    /// All numbers of the match add up to at most this.
    SumAtMost(i32),
    /// The row before it in the match is not called like the first variable.
    NotBehindFirst,
}

/// A row of a match: which, and what it is called.
pub(super) type Path = Vec<(usize, usize)>;

/// What becomes of a search.
enum Way {
    Found(Path),
    Fails,
    Open,
}

struct TooMany;

/// The rows of a key as a search sees them.
struct Seen<'a> {
    rows: &'a [&'a Row],
    conditions: &'a [Vec<Condition>],
    /// Those from here on are only looked at from others.
    to: usize,
    limit: Option<i64>,
    closed: bool,
    steps: usize,
}

impl Seen<'_> {
    /// Whether the next row may be taken; `None` is not known yet.
    fn next(
        &mut self,
        variable: usize,
        path: &mut Path,
        start: usize,
    ) -> Result<Option<bool>, TooMany> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(TooMany);
        }
        let at = start + path.len();
        let beyond = |row: &&Row| self.limit.is_some_and(|limit| row.ts >= limit);
        if self.rows.get(at).is_some_and(beyond) {
            return Ok(Some(false));
        }
        if at >= self.to {
            return Ok(self.closed.then_some(false));
        }
        path.push((at, variable));
        let fits = self.conditions[variable].iter().all(|condition| self.holds(*condition, path));
        path.pop();
        Ok(Some(fits))
    }

    fn holds(&self, condition: Condition, path: &Path) -> bool {
        let &(at, variable) = path.last().unwrap();
        let int = |at: usize| self.rows[at].int;
        let own: Vec<usize> =
            path.iter().filter(|(_, v)| *v == variable).map(|(r, _)| *r).collect();
        let above = |other: Option<i32>| match (int(at), other) {
            (Some(int), Some(other)) => int > other,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        match condition {
            Condition::AtLeast(least) => int(at).is_some_and(|int| int >= least),
            Condition::AbovePrevious => above(at.checked_sub(1).and_then(int)),
            Condition::NotNext => {
                let next = self.rows.get(at + 1).and_then(|row| row.int);
                int(at).is_some() && next.is_some() && int(at) != next
            }
            Condition::AboveLast => {
                above(own.len().checked_sub(2).and_then(|before| int(own[before])))
            }
            Condition::AboveFirst => {
                let first = path.iter().find(|(_, v)| *v == 0).and_then(|(row, _)| int(*row));
                int(at).is_some_and(|int| first.is_some_and(|first| int >= first))
            }
            Condition::AmongFirst(most) => own.len() as i64 <= most,
            Condition::SumAtMost(most) => {
                let ints: Vec<i32> = path.iter().filter_map(|(row, _)| int(*row)).collect();
                !ints.is_empty() && ints.iter().sum::<i32>() <= most
            }
            Condition::NotBehindFirst => path.len() < 2 || path[path.len() - 2].1 != 0,
        }
    }

    /// The first way through a shape behind which `then` finds one through what follows.
    fn ways(
        &mut self,
        shape: &Shape,
        start: usize,
        path: &mut Path,
        then: &mut dyn FnMut(&mut Self, &mut Path) -> Result<Way, TooMany>,
    ) -> Result<Way, TooMany> {
        match shape {
            Shape::Variable { variable, .. } => match self.next(*variable, path, start)? {
                None => Ok(Way::Open),
                Some(false) => Ok(Way::Fails),
                Some(true) => {
                    path.push((start + path.len(), *variable));
                    let way = then(self, path)?;
                    path.pop();
                    Ok(way)
                }
            },
            Shape::Sequence(parts) => match parts.split_first() {
                None => then(self, path),
                Some((first, rest)) => {
                    let rest = Shape::Sequence(rest.to_vec());
                    self.ways(first, start, path, &mut |seen, path| {
                        seen.ways(&rest, start, path, then)
                    })
                }
            },
            Shape::Choice(parts) => {
                for part in parts {
                    match self.ways(part, start, path, then)? {
                        Way::Fails => {}
                        way => return Ok(way),
                    }
                }
                Ok(Way::Fails)
            }
            Shape::Repeat { of, least, most, reluctant } => {
                let shortest =
                    matches!(**of, Shape::Variable { .. }) && (*least, *most) == (0, Some(1));
                self.repeat((of, *least, *most, *reluctant || shortest), 0, start, path, then)
            }
        }
    }

    fn repeat(
        &mut self,
        repeat: (&Shape, u32, Option<u32>, bool),
        done: u32,
        start: usize,
        path: &mut Path,
        then: &mut dyn FnMut(&mut Self, &mut Path) -> Result<Way, TooMany>,
    ) -> Result<Way, TooMany> {
        let (of, least, most, reluctant) = repeat;
        if most == Some(done) {
            return then(self, path);
        }
        let may_end = done >= least;
        if may_end && reluctant {
            match then(self, path)? {
                Way::Fails => {}
                way => return Ok(way),
            }
        }
        if let (Shape::Variable { variable, .. }, true, false) = (of, may_end, reluctant) {
            // It takes every row that it can.
            match self.next(*variable, path, start)? {
                None => return Ok(Way::Open),
                Some(false) => return then(self, path),
                Some(true) => {}
            }
        }
        let way = self.ways(of, start, path, &mut |seen, path| {
            seen.repeat(repeat, done + 1, start, path, then)
        })?;
        match way {
            Way::Fails if may_end && !reluctant && !matches!(of, Shape::Variable { .. }) => {
                then(self, path)
            }
            way => Ok(way),
        }
    }
}

/// Rows of the keys that were not late, and how far time is.
pub(super) struct Model {
    pub(super) spec: Pattern,
    pub(super) conditions: Vec<Vec<Condition>>,
    /// How many rows behind a match are looked at.
    pub(super) ahead: usize,
    /// Whether the end of the input decides matches.
    pub(super) ends: bool,
    rows: BTreeMap<Vec<String>, Vec<Row>>,
    pub(super) mark: i64,
    pub(super) late: u64,
}

/// The matches of a key's rows, each a row's number and its variable.
pub(super) struct KeyMatches {
    pub(super) rows: Vec<Row>,
    pub(super) matches: Vec<Path>,
}

impl Model {
    pub(super) fn new(
        spec: Pattern,
        conditions: Vec<Vec<Condition>>,
        ahead: usize,
        ends: bool,
    ) -> Self {
        Self { spec, conditions, ahead, ends, rows: BTreeMap::new(), mark: i64::MIN, late: 0 }
    }

    pub(super) fn take_in(&mut self, row: Row, behind: bool) {
        if behind || row.ts < self.mark || self.mark == i64::MAX {
            self.late += 1;
            return;
        }
        let key = key_of(&row, &self.spec.keys);
        self.rows.entry(key).or_default().push(row);
    }

    /// All matches up to now; none if there are too many ways to try.
    pub(super) fn matches(&self) -> Option<Vec<KeyMatches>> {
        self.rows.values().map(|rows| self.of_key(rows)).collect()
    }

    fn of_key(&self, rows: &[Row]) -> Option<KeyMatches> {
        let sorted = !self.spec.order.is_empty();
        let order = |row: &Row| {
            let int = row.int.map_or(i64::MAX, |int| -i64::from(int));
            (row.ts, if sorted { int } else { 0 })
        };
        let ended = self.mark == i64::MAX;
        let mut rows: Vec<Row> =
            rows.iter().filter(|row| row.ts < self.mark || ended).cloned().collect();
        rows.sort_by_key(order);
        let seen: Vec<&Row> = rows.iter().collect();
        let to = if ended { rows.len() } else { rows.len().saturating_sub(self.ahead) };
        let mut matches: Vec<Path> = Vec::new();
        let mut start = 0;
        while start < to {
            let limit = self.spec.within.map(|within| rows[start].ts + within);
            let over = |limit: i64| self.ahead == 0 && self.mark >= limit;
            let mut seen = Seen {
                rows: &seen,
                conditions: &self.conditions,
                to,
                limit,
                closed: ended && self.ends || limit.is_some_and(over),
                steps: 0,
            };
            let found = seen.ways(&self.spec.shape, start, &mut Vec::new(), &mut |_, path| {
                Ok(Way::Found(path.clone()))
            });
            match found {
                Err(TooMany) => return None,
                Ok(Way::Open) => break,
                Ok(Way::Fails) => start += 1,
                Ok(Way::Found(path)) => {
                    let named = |of: &[usize], (_, v): &(usize, usize)| of.contains(v);
                    start += match &self.spec.skip {
                        Skip::PastLastRow => path.len(),
                        Skip::ToNextRow => 1,
                        Skip::ToFirst(of) => path.iter().position(|row| named(of, row)).unwrap(),
                        Skip::ToLast(of) => path.iter().rposition(|row| named(of, row)).unwrap(),
                    };
                    matches.push(path);
                }
            }
        }
        Some(KeyMatches { rows, matches })
    }
}

/// Sorted rows as the operator should have given them so far.
pub(super) fn wanted(model: &Model) -> Option<Vec<Vec<String>>> {
    let mut wanted = Vec::new();
    for of_key in model.matches()? {
        for (number, path) in of_key.matches.iter().enumerate() {
            let shown =
                if model.spec.all_rows { 0..path.len() } else { path.len() - 1..path.len() };
            for at in shown {
                if !(model.spec.all_rows && super::is_excluded(&model.spec.shape, path[at].1)) {
                    wanted.push(row_of(model, &of_key.rows, number, path, at));
                }
            }
        }
    }
    wanted.sort();
    Some(wanted)
}

/// The row that a row of a match gives.
fn row_of(model: &Model, rows: &[Row], number: usize, path: &Path, at: usize) -> Vec<String> {
    let show = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let int = |row: Option<usize>| {
        let int = row.and_then(|row| rows.get(row)).and_then(|row| row.int);
        show(int.map(i64::from))
    };
    let seen = &path[..=at];
    let of = |path: &[(usize, usize)], variable: usize| {
        let named = path.iter().filter(|(_, v)| *v == variable);
        named.map(|(row, _)| *row).collect::<Vec<_>>()
    };
    let sum = |path: &[(usize, usize)]| {
        let ints: Vec<i64> =
            path.iter().filter_map(|(row, _)| rows[*row].int).map(i64::from).collect();
        show((!ints.is_empty()).then(|| ints.iter().sum()))
    };
    let (first, second, whole) = (of(seen, 0), of(seen, 1), of(path, 1));
    let before = second.len().checked_sub(2).map(|at| second[at]);
    let row = text(&rows[path[at].0]);
    let measures = vec![
        int(first.first().copied()),
        int(before),
        int(Some(path[at].0)),
        int(whole.last().copied()),
        int(first.first().and_then(|row| row.checked_sub(1))),
        model.spec.variables[path[at].1].name.clone(),
        (number + 1).to_string(),
        first.len().to_string(),
        whole.len().to_string(),
        sum(seen),
        sum(path),
        rows[path[path.len() - 1].0].ts.to_string(),
    ];
    model
        .spec
        .keys
        .iter()
        .map(|&key| row[key].clone())
        .chain([row[4].clone()])
        .chain(measures)
        .collect()
}
