//! PATTERN, with its variables by number.

use weir_engine::operators::pattern::spec::Shape;

use crate::ast::{Ident, MatchShape};
use crate::error::SqlError;

/// Most parts of PERMUTE: it stands for every order of them.
const MOST_PERMUTED: usize = 6;

/// The variables of a pattern, in the order in which they are written.
pub(super) fn variables(shape: &MatchShape) -> Vec<String> {
    fn visit(shape: &MatchShape, into: &mut Vec<String>) {
        match shape {
            MatchShape::Variable(name) if into.contains(&name.text) => {}
            MatchShape::Variable(name) => into.push(name.text.clone()),
            MatchShape::Sequence(parts)
            | MatchShape::Choice(parts)
            | MatchShape::Permute(parts, _) => parts.iter().for_each(|part| visit(part, into)),
            MatchShape::Exclude(of) | MatchShape::Repeat { of, .. } => visit(of, into),
        }
    }
    let mut found = Vec::new();
    visit(shape, &mut found);
    found
}

/// The shape over these variables.
pub(super) fn resolve(
    shape: &MatchShape,
    variables: &[String],
    excluded: bool,
) -> Result<Shape, SqlError> {
    let all = |parts: &[MatchShape]| {
        parts.iter().map(|part| resolve(part, variables, excluded)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match shape {
        MatchShape::Variable(Ident { text, .. }) => {
            let variable = variables.iter().position(|known| known == text).unwrap_or_default();
            Shape::Variable { variable, excluded }
        }
        MatchShape::Sequence(parts) => Shape::Sequence(all(parts)?),
        MatchShape::Choice(parts) => Shape::Choice(all(parts)?),
        MatchShape::Exclude(of) => resolve(of, variables, true)?,
        MatchShape::Permute(parts, span) => {
            if parts.len() > MOST_PERMUTED {
                return Err(SqlError::new(
                    *span,
                    format!(
                        "PERMUTE of {} parts stands for too many patterns; it takes up to {MOST_PERMUTED}",
                        parts.len()
                    ),
                ));
            }
            let orders = orders(&all(parts)?);
            Shape::Choice(orders.into_iter().map(Shape::Sequence).collect())
        }
        MatchShape::Repeat { of, least, most, reluctant, span } => {
            let of = Box::new(resolve(of, variables, excluded)?);
            if of.may_be_empty() {
                return Err(SqlError::new(
                    *span,
                    "what is repeated here may be no row at all, so that it has no end; leave out the '?' or '*' inside of it",
                ));
            }
            Shape::Repeat { of, least: *least, most: *most, reluctant: *reluctant }
        }
    })
}

/// Every order of these, as the standard prefers them: that of their places in the list.
fn orders(parts: &[Shape]) -> Vec<Vec<Shape>> {
    if parts.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in parts.iter().enumerate() {
        let others = [&parts[..at], &parts[at + 1..]].concat();
        for rest in orders(&others) {
            all.push(std::iter::once(first.clone()).chain(rest).collect());
        }
    }
    all
}
