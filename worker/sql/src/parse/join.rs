//! FROM: tables and joins of them.

use super::{Parsed, Parser};
use crate::ast::{AsOf, JoinClause, JoinOn, Relation, RelationKind};
use crate::error::Span;
use crate::rel::JoinKind;

fn joined(kind: JoinKind, left: Relation, right: Relation, on: JoinOn, word: Span) -> Relation {
    let span = left.span.to(right.span);
    let clause = JoinClause { kind, left, right, on, span: word };
    let kind = RelationKind::Join(Box::new(clause));
    Relation { kind, alias: None, columns: Vec::new(), span }
}

impl Parser {
    pub(super) fn from(&mut self) -> Parsed<Relation> {
        let mut left = self.joins()?;
        for tables in 1.. {
            let span = self.span();
            if !self.eat(",") {
                break;
            }
            if tables > super::MAX_HEIGHT {
                return self
                    .error(span, "this FROM has too many tables; put some of them into views");
            }
            let right = self.joins()?;
            left = joined(JoinKind::Inner, left, right, JoinOn::Nothing, span);
        }
        if self.is_word("MATCH_RECOGNIZE") {
            let span = self.span();
            return self.error(
                span,
                "MATCH_RECOGNIZE stands right behind a table or a query in parentheses, before its alias; put a join into a view, and an alias behind MATCH_RECOGNIZE (…)",
            );
        }
        Ok(left)
    }

    fn joins(&mut self) -> Parsed<Relation> {
        let mut left = self.joinable()?;
        let mut joins = 0;
        loop {
            let start = self.span();
            let natural = self.eat_word("NATURAL");
            let cross = !natural && self.eat_words(&["CROSS", "JOIN"]);
            let kind = if cross { Some(JoinKind::Inner) } else { self.join_kind()? };
            let Some(kind) = kind else {
                if natural {
                    return Err(self.unexpected("JOIN"));
                }
                return Ok(left);
            };
            joins += 1;
            if joins > super::MAX_HEIGHT {
                return self
                    .error(start, "this FROM has too many joins; put some of them into views");
            }
            let word = self.since(start);
            let right = self.joinable()?;
            let on = if natural {
                JoinOn::Natural
            } else if cross {
                JoinOn::Nothing
            } else if self.eat_word("ON") {
                JoinOn::Condition(self.expr()?)
            } else if self.eat_word("USING") {
                JoinOn::Using(self.names("a column's name")?)
            } else {
                return self.error(
                    word,
                    "this JOIN lacks its condition; write ON <condition> or USING (<columns>) behind the table, or CROSS JOIN for every pair of rows",
                );
            };
            left = joined(kind, left, right, on, word);
        }
    }

    fn join_kind(&mut self) -> Parsed<Option<JoinKind>> {
        let kinds =
            [("LEFT", JoinKind::Left), ("RIGHT", JoinKind::Right), ("FULL", JoinKind::Full)];
        for (word, kind) in kinds {
            if self.eat_word(word) {
                let at = self.span();
                if self.is_word("SEMI") || self.is_word("ANTI") {
                    return self.error(at, "SEMI and ANTI joins are written as WHERE … IN (SELECT …), EXISTS or NOT EXISTS");
                }
                self.eat_word("OUTER");
                self.expect_word("JOIN")?;
                return Ok(Some(kind));
            }
        }
        if self.eat_word("INNER") {
            self.expect_word("JOIN")?;
            return Ok(Some(JoinKind::Inner));
        }
        Ok(self.eat_word("JOIN").then_some(JoinKind::Inner))
    }

    /// The rest of `FOR SYSTEM_TIME AS OF time` behind a table, from the word FOR on.
    pub(super) fn as_of(
        &mut self,
        kind: RelationKind,
        span: Span,
        start: Span,
    ) -> Parsed<RelationKind> {
        self.expect_word("SYSTEM_TIME")?;
        self.expect_word("AS")?;
        self.expect_word("OF")?;
        let words = self.since(start);
        let table = Relation { kind, alias: None, columns: Vec::new(), span };
        let time = self.expr()?;
        Ok(RelationKind::AsOf(Box::new(AsOf { table, time, span: words })))
    }

    /// A table, a query, or joins in parentheses.
    fn joinable(&mut self) -> Parsed<Relation> {
        let queries = ["SELECT", "WITH", "VALUES", "TABLE"];
        let is_query =
            queries.iter().any(|word| self.is_word_at(1, word)) || self.is_sign_at(1, "(");
        if self.is("(") && !is_query {
            return self.deeper(|parser| {
                parser.expect("(")?;
                let inner = parser.joins()?;
                parser.expect(")")?;
                Ok(inner)
            });
        }
        self.relation()
    }
}
