//! Names for people: `hourly count by origin`, `filter delay > 15`.

use weir_engine::operators::window::spec::Window;

use crate::expr::{Expr, render};
use crate::rel::{Aggregate, AsOf, Field, Join, JoinKind, Rel, Windows};

const LONGEST: usize = 60;

pub(super) fn cut(text: String) -> String {
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A calc's name: its condition, or its columns.
pub(super) fn calc(filter: Option<&Expr>, exprs: &[Expr], rel: &Rel, input: &[Field]) -> String {
    if let Some(filter) = filter {
        return cut(format!("filter {}", render::sql(filter, &crate::rel::names(input))));
    }
    let computes = exprs.iter().any(|e| e.as_column().is_none());
    let columns: Vec<&str> = rel.fields.iter().map(|f| f.name.as_str()).collect();
    cut(format!("{} {}", if computes { "compute" } else { "select" }, columns.join(", ")))
}

/// A length of time in the largest unit that it is whole in.
pub(super) fn duration(ms: i64) -> String {
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if ms % length == 0 && ms != 0 {
            return format!("{} {unit}", ms / length);
        }
    }
    format!("{ms} ms")
}

/// The windows, for plans.
pub(super) fn window(window: Windows) -> String {
    let window = match window {
        Windows::Grid(window) => window,
        Windows::Session { gap } => return format!("session with a gap of {}", duration(gap)),
    };
    let shifted = |offset: i64| {
        if offset == 0 { String::new() } else { format!(", shifted by {}", duration(offset)) }
    };
    match window {
        Window::Tumble { size, offset } => format!("tumble {}{}", duration(size), shifted(offset)),
        Window::Hop { size, slide, offset } => {
            format!("hop {} every {}{}", duration(size), duration(slide), shifted(offset))
        }
        Window::Cumulate { size, step, offset } => {
            format!("cumulate {} by {}{}", duration(size), duration(step), shifted(offset))
        }
    }
}

/// `left join by id`.
pub(super) fn join(join: &Join, equal: &[String]) -> String {
    let kind = match join.kind {
        JoinKind::Inner => "join",
        JoinKind::Left => "left join",
        JoinKind::Right => "right join",
        JoinKind::Full => "full join",
        JoinKind::Semi => "rows that have a match",
        JoinKind::Anti => "rows that have no match",
    };
    let kind = match (&join.as_of, join.near) {
        (Some(AsOf::Versions(_)), _) => format!("temporal {kind}"),
        (Some(AsOf::Lookup(_)), _) => format!("lookup {kind}"),
        (None, None) => kind.to_owned(),
        (None, Some(near)) if near.windows => format!("window {kind}"),
        (None, Some(_)) => format!("interval {kind}"),
    };
    let by = if equal.is_empty() { String::new() } else { format!(" by {}", equal.join(", ")) };
    cut(format!("{kind}{by}"))
}

/// What happens to the rows of a relation.
pub(super) fn changes(rel: &Rel) -> &'static str {
    match rel.corrected_by() {
        Some(_) => "rows are corrected: +I, -U, +U, -D",
        None => "rows only come: +I",
    }
}

/// `hourly count, sum by origin`; without windows `count, sum by origin`.
pub(super) fn aggregate(aggregate: &Aggregate, input: &[Field]) -> String {
    let period = match aggregate.over.map(|over| over.window) {
        None => String::new(),
        Some(Windows::Session { .. }) => "session ".to_owned(),
        Some(Windows::Grid(Window::Tumble { size: 60_000, .. })) => "minutely ".to_owned(),
        Some(Windows::Grid(Window::Tumble { size: 3_600_000, .. })) => "hourly ".to_owned(),
        Some(Windows::Grid(Window::Tumble { size: 86_400_000, .. })) => "daily ".to_owned(),
        Some(Windows::Grid(Window::Tumble { size: 604_800_000, .. })) => "weekly ".to_owned(),
        Some(Windows::Grid(Window::Tumble { size, .. })) => format!("{} ", duration(size)),
        Some(Windows::Grid(Window::Hop { size, slide, .. })) => {
            format!("{} / {} ", duration(size), duration(slide))
        }
        Some(Windows::Grid(Window::Cumulate { size, step, .. })) => {
            format!("{} by {} ", duration(size), duration(step))
        }
    };
    let mut functions: Vec<String> = Vec::new();
    for call in &aggregate.calls {
        let distinct = if call.distinct { "distinct " } else { "" };
        let name = format!("{distinct}{}", call.function.name().to_ascii_lowercase());
        if !functions.contains(&name) {
            functions.push(name);
        }
    }
    let what = match (functions.as_slice(), aggregate.over) {
        ([], None) => "distinct".to_owned(),
        ([], Some(_)) => "groups".to_owned(),
        _ => functions.join(", "),
    };
    let keys: Vec<&str> = aggregate.keys.iter().map(|&k| input[k].name.as_str()).collect();
    let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
    cut(format!("{period}{what}{by}"))
}
