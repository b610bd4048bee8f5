//! Joins of rows with what a table says when it is asked.

use std::sync::Arc;
use std::time::Duration;

use weir_connectors::options::parse_duration;
use weir_engine::operators::lookup::spec::Retry;

use super::query::From;
use super::{Binder, Reported};
use crate::ast::{self, JoinClause, LookupHint, OptionDef};
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::Expr;
use crate::rel::{AsOf, Lookup, Rel, RelKind, equality, joined_at};

/// How long an answer may take (`table.exec.async-lookup.timeout` in Flink).
const TIMEOUT: Duration = Duration::from_secs(180);

/// Options of the hint that say how answers come, which here is always in order.
const OF_ASYNC: [&str; 5] = ["async", "output-mode", "capacity", "shuffle", "timeout"];
const OF_RETRY: [&str; 4] = ["retry-predicate", "retry-strategy", "fixed-delay", "max-attempts"];

/// The hints of a SELECT, and whether a table was found for each.
#[derive(Default)]
pub(super) struct Hints(Vec<(LookupHint, bool)>);

impl Hints {
    pub(super) fn of(hints: &[LookupHint]) -> Self {
        Self(hints.iter().map(|hint| (hint.clone(), false)).collect())
    }
}

fn option<'a>(hint: &'a LookupHint, key: &str) -> Option<&'a OptionDef> {
    hint.options.iter().rev().find(|option| option.key == key)
}

fn wrong(option: &OptionDef, wanted: &str) -> SqlError {
    let message =
        format!("'{}' of the hint LOOKUP is {wanted}, not '{}'", option.key, option.value);
    SqlError::new(option.value_span, message)
}

/// What a hint says.
fn read(hint: &LookupHint) -> Result<Lookup, SqlError> {
    let known = || OF_ASYNC.into_iter().chain(OF_RETRY).chain(["table"]);
    if let Some(unknown) = hint.options.iter().find(|o| !known().any(|key| key == o.key)) {
        let hint = did_you_mean(&unknown.key, known(), '\'');
        let message = format!("the hint LOOKUP has no option '{}'{hint}", unknown.key);
        return Err(SqlError::new(unknown.key_span, message));
    }
    let one_of = |key: &str, values: &[&str], wanted: &str| match option(hint, key) {
        Some(option) if !values.iter().any(|v| option.value.eq_ignore_ascii_case(v)) => {
            Err(wrong(option, wanted))
        }
        found => Ok(found.is_some()),
    };
    let duration = |key: &str| match option(hint, key) {
        None => Ok(None),
        Some(option) => match parse_duration(&option.value) {
            Some(duration) if !duration.is_zero() => Ok(Some(duration)),
            _ => Err(wrong(option, "a length of time, such as '10 s'")),
        },
    };
    let number = |key: &str| match option(hint, key) {
        None => Ok(None),
        Some(option) => match option.value.parse::<u32>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(wrong(option, "a number from 1")),
        },
    };
    one_of("async", &["true", "false"], "'true' or 'false'")?;
    one_of("shuffle", &["true", "false"], "'true' or 'false'")?;
    one_of("output-mode", &["ordered", "allow_unordered"], "'ordered' or 'allow_unordered'")?;
    number("capacity")?;
    let timeout = duration("timeout")?.unwrap_or(TIMEOUT);
    let retries = one_of("retry-predicate", &["lookup_miss"], "'lookup_miss'")?;
    let strategy = one_of("retry-strategy", &["fixed_delay"], "'fixed_delay'")?;
    let (delay, attempts) = (duration("fixed-delay")?, number("max-attempts")?);
    let retry = match (retries && strategy, delay, attempts) {
        (true, Some(delay), Some(attempts)) => Some(Retry { attempts, delay }),
        (false, None, None) if !retries && !strategy => None,
        _ => {
            return Err(SqlError::new(
                hint.span,
                "whoever asks again says all of 'retry-predicate' = 'lookup_miss', 'retry-strategy' = 'fixed_delay', 'fixed-delay' and 'max-attempts'",
            ));
        }
    };
    Ok(Lookup { timeout, retry })
}

impl Binder<'_> {
    /// A join with a table that is asked; `on` are the parts of its condition.
    pub(super) fn asking(
        &mut self,
        clause: &JoinClause,
        [left, right]: [&From; 2],
        on: Vec<Expr>,
    ) -> Result<Arc<Rel>, Reported> {
        let mut below = &right.rel;
        while let RelKind::Calc { input, .. } = &below.kind {
            below = input;
        }
        if !matches!(below.kind, RelKind::Scan(_) | RelKind::Values { .. }) {
            let message = format!(
                "{} cannot be asked by processing time: only a table can, or VALUES, with a filter and expressions at most; write what it computes to a table, or ask by event time",
                right.place
            );
            return self.fail(clause.right.span, message);
        }
        if let Some(by) = right.rel.corrected_by() {
            let message = format!(
                "{} cannot be asked by processing time: it is read as rows that stay, and its rows are corrected ({}); ask by event time, or read a table that holds what there is by now",
                right.place, by.what
            );
            return self.fail(clause.right.span, message);
        }
        let width = left.rel.fields.len();
        let asks = on.iter().any(|on| equality(on, width).is_some_and(|found| !found.null_safe));
        if !asks {
            let at = match &clause.on {
                ast::JoinOn::Condition(condition) => condition.span,
                _ => clause.span,
            };
            let message = format!(
                "ON has to say what a column of {} equals, in the same type: that is what it is asked by",
                right.place
            );
            return self.fail(at, message);
        }
        let lookup = self.hint_for(right)?;
        let as_of = AsOf::Lookup(lookup);
        Ok(joined_at(&left.rel, &right.rel, clause.kind, on, clause.span, Some(as_of)))
    }

    /// What the hints of the SELECT say of a table.
    fn hint_for(&mut self, right: &From) -> Result<Lookup, Reported> {
        let mut found = Ok(Lookup { timeout: TIMEOUT, retry: None });
        for (hint, used) in self.hints.iter_mut().flat_map(|hints| &mut hints.0) {
            let table = option(hint, "table").map(|option| option.value.as_str());
            if table.is_some() && table == right.qualifier.as_deref() {
                *used = true;
                found = read(hint);
            }
        }
        self.keep(found)
    }

    /// Refuses hints that no table was found for.
    pub(super) fn refuse_unused(&mut self, hints: Option<Hints>) -> Result<(), Reported> {
        let unused = hints.into_iter().flat_map(|hints| hints.0).find(|(_, used)| !used);
        match unused {
            None => Ok(()),
            Some((hint, _)) => {
                let (span, message): (Span, String) = match option(&hint, "table") {
                    None => (hint.span, "the hint LOOKUP needs 'table': the name or alias of the table that is asked".to_owned()),
                    Some(table) => (table.value_span, format!("the hint LOOKUP is for \"{}\", which this FROM does not ask: it stands behind JOIN with FOR SYSTEM_TIME AS OF processing time, under this name or alias", table.value)),
                };
                self.fail(span, message)
            }
        }
    }
}
