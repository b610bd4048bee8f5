//! Patterns as they are written, for `weir plan`.

use weir_engine::operators::pattern::spec::{Of, Shape, Value, What};

use crate::rel::{Pattern, Variable};

/// What a value is of, for people.
pub(crate) fn value_name(value: &Value, pattern: &Pattern) -> String {
    let rows = |of: &Of| match of {
        Of::All => String::new(),
        Of::Variables(of) => {
            let names: Vec<&str> = of.iter().map(|&v| pattern.variables[v].name.as_str()).collect();
            format!("{}.", names.join("|"))
        }
    };
    match value {
        Value::MatchNumber => "MATCH_NUMBER()".to_owned(),
        Value::Row { what, place } => {
            let what = match what {
                What::Column(column) => pattern.input.fields[*column].name.as_str(),
                What::Classifier => "CLASSIFIER()",
            };
            let mut text = format!("{}{what}", rows(&place.of));
            if !place.last || place.offset > 0 {
                let name = if place.last { "LAST" } else { "FIRST" };
                text = format!("{name}({text}, {})", place.offset);
            }
            match place.shift {
                0 => text,
                shift if shift < 0 => format!("PREV({text}, {})", -shift),
                shift => format!("NEXT({text}, {shift})"),
            }
        }
        Value::Aggregate { call, of, whole } => {
            let of = rows(of);
            let of = of.trim_end_matches('.');
            let of = if of.is_empty() { String::new() } else { format!(" of {of}") };
            format!("{}{}{of}", if *whole { "FINAL " } else { "" }, call.name)
        }
    }
}

/// The pattern as it is written, for people.
pub(crate) fn shape_text(shape: &Shape, variables: &[Variable]) -> String {
    let group = |shape: &Shape| match shape {
        Shape::Variable { .. } => shape_text(shape, variables),
        _ => format!("({})", shape_text(shape, variables)),
    };
    match shape {
        Shape::Variable { variable, excluded: false } => variables[*variable].name.clone(),
        Shape::Variable { variable, .. } => format!("{{- {} -}}", variables[*variable].name),
        Shape::Sequence(parts) => {
            let part = |part: &Shape| match part {
                Shape::Choice(_) => group(part),
                part => shape_text(part, variables),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(" ")
        }
        Shape::Choice(parts) => {
            let part = |part: &Shape| shape_text(part, variables);
            parts.iter().map(part).collect::<Vec<_>>().join(" | ")
        }
        Shape::Repeat { of, least, most, reluctant } => {
            let times = match (least, most) {
                (0, None) => "*".to_owned(),
                (1, None) => "+".to_owned(),
                (0, Some(1)) => "?".to_owned(),
                (least, None) => format!("{{{least},}}"),
                (least, Some(most)) if least == most => format!("{{{least}}}"),
                (least, Some(most)) => format!("{{{least},{most}}}"),
            };
            format!("{}{times}{}", group(of), if *reluctant { "?" } else { "" })
        }
    }
}
