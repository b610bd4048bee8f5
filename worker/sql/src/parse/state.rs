//! `STATE('place', 'operator', 'table', version)` in FROM.

use super::{Parsed, Parser};
use crate::ast::{Expr, ExprKind, Ident, RelationKind, StateCall};
use crate::error::{SqlError, did_you_mean};
use crate::lex::Tok;

/// Its arguments, which have these names where they are given by name.
const PARAMETERS: [&str; 4] = ["PLACE", "OPERATOR", "TABLE", "VERSION"];

impl Parser {
    /// What stands behind the function's name.
    pub(super) fn state_call(&mut self, function: Ident) -> Parsed<RelationKind> {
        self.expect("(")?;
        let mut found = [const { None }; PARAMETERS.len()];
        let mut position = 0;
        while position == 0 || self.eat(",") {
            let start = self.span();
            let index = if self.is_sign_at(1, "=>") { self.parameter()? } else { position };
            let value = self.expr()?;
            let span = self.since(start);
            let Some(slot) = found.get_mut(index) else {
                let most = PARAMETERS.len();
                let names = PARAMETERS.join(", ");
                return self.error(span, format!("STATE takes at most {most} arguments: {names}"));
            };
            if slot.is_some() {
                let name = PARAMETERS[index];
                return self.error(span, format!("the argument {name} is given twice"));
            }
            *slot = Some(value);
            position += 1;
        }
        let span = function.span.to(self.expect(")")?);
        let [place, operator, table, version] = found;
        let missing = |what: &str| {
            SqlError::new(
                span,
                format!("STATE lacks its argument {what}; it takes {}", PARAMETERS.join(", ")),
            )
        };
        let text = |value: Option<Expr>, what: &str, example: &str| match value {
            None => Ok(None),
            Some(value) => match value.kind {
                ExprKind::Text(text) => Ok(Some((text, value.span))),
                _ => Err(SqlError::new(
                    value.span,
                    format!("the argument {what} of STATE is a string, such as {example}"),
                )),
            },
        };
        let version = match version {
            None => None,
            Some(value) => match &value.kind {
                ExprKind::Number(number) if number.parse::<u64>().is_ok() => {
                    number.parse().ok().map(|number: u64| (number, value.span))
                }
                _ => {
                    let message = "the argument VERSION of STATE is a number, as `weir state ls` lists them, such as 12";
                    return self.error(value.span, message);
                }
            },
        };
        Ok(RelationKind::State(Box::new(StateCall {
            place: text(place, PARAMETERS[0], "'.weir/default/airport-delays'")?
                .ok_or_else(|| missing(PARAMETERS[0]))?,
            operator: text(operator, PARAMETERS[1], "'hourly count'")?
                .ok_or_else(|| missing(PARAMETERS[1]))?,
            table: text(table, PARAMETERS[2], "'groups'")?,
            version,
            function,
            span,
        })))
    }

    /// The place of a parameter that is given by name.
    fn parameter(&mut self) -> Parsed<usize> {
        let token = self.next();
        let name = match token.tok {
            Tok::Word { text, .. } => text.to_ascii_uppercase(),
            _ => String::new(),
        };
        self.next();
        match PARAMETERS.iter().position(|known| *known == name) {
            Some(index) => Ok(index),
            None => {
                let hint = did_you_mean(&name, PARAMETERS, '\'');
                let names = PARAMETERS.join(", ");
                self.error(
                    token.span,
                    format!("STATE has no argument {name}; it has {names}{hint}"),
                )
            }
        }
    }
}
