//! Window functions in FROM.

use super::{Parsed, Parser};
use crate::ast::{Expr, ExprKind, Ident, Relation, RelationKind, WindowCall, WindowKind};
use crate::error::{Span, SqlError, did_you_mean};
use crate::lex::Tok;

/// One argument of a window function before it is known which one it is.
enum WindowArg {
    Data(Relation, Vec<Ident>),
    Time(Ident),
    Value(Expr),
}

impl Parser {
    pub(super) fn window_call(&mut self) -> Parsed<RelationKind> {
        let function = self.ident("a window function")?;
        let name = function.text.to_ascii_uppercase();
        let kind = match name.as_str() {
            "TUMBLE" => WindowKind::Tumble,
            "HOP" => WindowKind::Hop,
            "CUMULATE" => WindowKind::Cumulate,
            "SESSION" => WindowKind::Session,
            "STATE" => return self.state_call(function),
            _ => {
                let hint =
                    did_you_mean(&name, ["TUMBLE", "HOP", "CUMULATE", "SESSION", "STATE"], '\'');
                return self.error(
                    function.span,
                    format!(
                        "\"{}\" is not a table function; TUMBLE, HOP, CUMULATE, SESSION and STATE are{hint}",
                        function.text
                    ),
                );
            }
        };
        self.expect("(")?;
        let parameters: &[&str] = match kind {
            WindowKind::Tumble => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
            WindowKind::Hop => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
            WindowKind::Cumulate => &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
            WindowKind::Session => &["DATA", "TIMECOL", "GAP"],
        };
        let mut found: Vec<Option<(WindowArg, Span)>> = parameters.iter().map(|_| None).collect();
        let mut position = 0;
        loop {
            let start = self.span();
            let named = self.is_sign_at(1, "=>");
            let index = if named {
                // A keyword such as OFFSET is a name only in quotes.
                let name = match self.next().tok {
                    Tok::Word { text, .. } => text.to_ascii_uppercase(),
                    _ => String::new(),
                };
                self.next();
                match parameters.iter().position(|p| *p == name) {
                    Some(index) => index,
                    None => {
                        let hint = did_you_mean(&name, parameters.iter().copied(), '\'');
                        return self.error(
                            start,
                            format!(
                                "{} has no argument {name}; it has {}{hint}",
                                function.text,
                                parameters.join(", ")
                            ),
                        );
                    }
                }
            } else {
                position
            };
            let argument = self.window_argument()?;
            let span = self.since(start);
            let Some(slot) = found.get_mut(index) else {
                return self.error(
                    span,
                    format!(
                        "{name} takes at most {} arguments: {}",
                        parameters.len(),
                        parameters.join(", ")
                    ),
                );
            };
            if slot.is_some() {
                return self
                    .error(span, format!("the argument {} is given twice", parameters[index]));
            }
            *slot = Some((argument, span));
            position += 1;
            if !self.eat(",") {
                break;
            }
        }
        let close = self.expect(")")?;
        let mut found = found.into_iter();
        let mut take = || found.next().flatten();
        let missing = |what: &str| {
            SqlError::new(
                function.span.to(close),
                format!("{name} lacks its argument {what}; it takes {}", parameters.join(", ")),
            )
        };
        let (data, partition) = match take().ok_or_else(|| missing("DATA"))? {
            (WindowArg::Data(relation, partition), _) => (relation, partition),
            (_, span) => {
                return self.error(
                    span,
                    format!("the first argument of {name} is a table: write TABLE <name>"),
                );
            }
        };
        let time = match take().ok_or_else(|| missing("TIMECOL"))? {
            (WindowArg::Time(column), _) => column,
            (_, span) => return self.error(span, format!("the second argument of {name} is the event-time column: write DESCRIPTOR(<column>)")),
        };
        let value = |arg: Option<(WindowArg, Span)>, what: &str| match arg {
            None => Ok(None),
            Some((WindowArg::Value(expr), _)) => Ok(Some(expr)),
            Some((_, span)) => Err(SqlError::new(
                span,
                format!("the argument {what} of {name} is an interval, such as INTERVAL '1' HOUR"),
            )),
        };
        let step = match kind {
            WindowKind::Hop | WindowKind::Cumulate => {
                let what = if kind == WindowKind::Hop { "SLIDE" } else { "STEP" };
                Some(value(take(), what)?.ok_or_else(|| missing(what))?)
            }
            WindowKind::Tumble | WindowKind::Session => None,
        };
        let what = if kind == WindowKind::Session { "GAP" } else { "SIZE" };
        let size = value(take(), what)?.ok_or_else(|| missing(what))?;
        let offset = value(take(), "OFFSET")?;
        if let (Some(first), false) = (partition.first(), kind == WindowKind::Session) {
            return self.error(first.span, format!("PARTITION BY is only for SESSION windows, not for {name}; group by the columns instead"));
        }
        let function = function.clone();
        let in_group_by = false;
        let (time, partition) =
            (vec![time], partition.into_iter().map(|column| vec![column]).collect());
        let call =
            WindowCall { function, kind, data, partition, time, size, step, offset, in_group_by };
        Ok(RelationKind::Window(Box::new(call)))
    }

    /// `PARTITION BY a, b` behind a table that is cut into sessions.
    fn window_partition(&mut self) -> Parsed<Vec<Ident>> {
        let mut columns = Vec::new();
        if !self.eat_words(&["PARTITION", "BY"]) {
            return Ok(columns);
        }
        if self.is("(") {
            return self.names("a column's name");
        }
        loop {
            columns.push(self.ident("a column's name")?);
            // What follows may be the next argument.
            let another = matches!(self.peek_at(1).tok, Tok::Word { .. })
                && !self.is_word_at(1, "DESCRIPTOR")
                && !self.is_sign_at(2, "=>");
            if !(self.is(",") && another) {
                return Ok(columns);
            }
            self.next();
        }
    }

    fn window_argument(&mut self) -> Parsed<WindowArg> {
        let start = self.span();
        if self.eat_word("TABLE") {
            let kind = if self.eat("(") {
                let query = self.query()?;
                self.expect(")")?;
                RelationKind::Subquery(Box::new(query))
            } else {
                let name = self.table_name()?;
                RelationKind::Table(name, self.table_hints()?)
            };
            let span = self.since(start);
            let partition = self.window_partition()?;
            let data = Relation { kind, alias: None, columns: Vec::new(), span };
            return Ok(WindowArg::Data(data, partition));
        }
        if self.is("(")
            && (self.is_word_at(1, "SELECT")
                || self.is_word_at(1, "WITH")
                || self.is_word_at(1, "VALUES"))
        {
            self.next();
            let query = self.query()?;
            self.expect(")")?;
            let span = self.since(start);
            let kind = RelationKind::Subquery(Box::new(query));
            let data = Relation { kind, alias: None, columns: Vec::new(), span };
            return Ok(WindowArg::Data(data, Vec::new()));
        }
        if self.is_word("DESCRIPTOR") && self.is_sign_at(1, "(") {
            self.at += 2;
            let column = self.ident("the event-time column's name")?;
            if self.is(",") || self.is(".") {
                let span = self.span();
                return self.error(span, "DESCRIPTOR names one column");
            }
            self.expect(")")?;
            return Ok(WindowArg::Time(column));
        }
        let expr = self.expr()?;
        // A bare name is what other engines take for a table.
        if let ExprKind::Column(parts) = &expr.kind
            && let [name] = parts.as_slice()
        {
            let kind = RelationKind::Table(name.clone(), self.table_hints()?);
            let data = Relation { kind, alias: None, columns: Vec::new(), span: expr.span };
            return Ok(WindowArg::Data(data, Vec::new()));
        }
        Ok(WindowArg::Value(expr))
    }
}
