//! Queries and table references.

use super::{Parsed, Parser, WEIGHT, is_reserved};
use crate::ast::{
    Body, Cte, ExprKind, Ident, Query, Relation, RelationKind, Select, SelectItem, SetOp, Tail,
    UnnestCall,
};
use crate::error::Span;
use crate::lex::Tok;

impl Parser {
    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.deeper_by(WEIGHT, "split the query with CREATE VIEW", Self::query_inner)
    }

    fn query_inner(&mut self) -> Parsed<Query> {
        let start = self.span();
        let mut ctes = Vec::new();
        if self.eat_word("WITH") {
            if self.is_word("RECURSIVE") {
                let span = self.span();
                return self.error(span, "WITH RECURSIVE is not supported");
            }
            loop {
                let name = self.ident("a name for the query")?;
                let columns =
                    if self.is("(") { self.names("a column's name")? } else { Vec::new() };
                self.expect_word("AS")?;
                self.expect("(")?;
                let query = self.query()?;
                self.expect(")")?;
                ctes.push(Cte { name, columns, query });
                if !self.eat(",") {
                    break;
                }
            }
        }
        let mut whole = self.intersections()?;
        while let Some((op, all)) = self.set_operator(&[SetOp::Union, SetOp::Except])? {
            let next = self.intersections()?;
            let span = self.since(start);
            let body = match whole.body {
                Body::Union(mut branches) if all && op == SetOp::Union => {
                    branches.push(next);
                    Body::Union(branches)
                }
                body if all && op == SetOp::Union => {
                    Body::Union(vec![Query { body, ..whole }, next])
                }
                body => {
                    let left = Box::new(Query { body, ..whole });
                    Body::Set { op, all, left, right: Box::new(next), span }
                }
            };
            whole = Query { ctes: Vec::new(), body, tail: Tail::default(), span };
        }
        let (body, span) = (whole.body, self.since(start));
        let tail = self.query_tail()?;
        Ok(Query { ctes, body, tail, span })
    }

    /// Queries with INTERSECT between them, which binds closer than the others.
    fn intersections(&mut self) -> Parsed<Query> {
        let start = self.span();
        let mut whole = self.query_term()?;
        while let Some((op, all)) = self.set_operator(&[SetOp::Intersect])? {
            let right = Box::new(self.query_term()?);
            let span = self.since(start);
            let body = Body::Set { op, all, left: Box::new(whole), right, span };
            whole = Query { ctes: Vec::new(), body, tail: Tail::default(), span };
        }
        Ok(whole)
    }

    /// One of these operators, and whether ALL follows.
    fn set_operator(&mut self, ops: &[SetOp]) -> Parsed<Option<(SetOp, bool)>> {
        let span = self.span();
        if self.is_word("MINUS") {
            return self.error(span, "MINUS is not Flink's; write EXCEPT");
        }
        let Some(op) = ops.iter().copied().find(|op| self.eat_word(op.name())) else {
            return Ok(None);
        };
        let all = self.eat_word("ALL");
        if !all {
            self.eat_word("DISTINCT");
        }
        Ok(Some((op, all)))
    }

    fn query_term(&mut self) -> Parsed<Query> {
        let start = self.span();
        let body = if self.eat("(") {
            let query = self.query()?;
            self.expect(")")?;
            Body::Nested(Box::new(query))
        } else if self.is_word("VALUES") {
            self.values()?
        } else if self.is_word("SELECT") {
            Body::Select(Box::new(self.select()?))
        } else if self.is_word("TABLE") && matches!(self.peek_at(1).tok, Tok::Word { .. }) {
            self.next();
            let name = self.table_name()?;
            let options = self.table_hints()?;
            let span = self.since(start);
            let relation = Relation {
                kind: RelationKind::Table(name, options),
                alias: None,
                columns: Vec::new(),
                span,
            };
            Body::Select(Box::new(star_of(relation, span)))
        } else {
            return Err(self.unexpected("SELECT or VALUES"));
        };
        Ok(Query { ctes: Vec::new(), body, tail: Tail::default(), span: self.since(start) })
    }

    fn values(&mut self) -> Parsed<Body> {
        let start = self.expect_word("VALUES")?;
        let mut rows = Vec::new();
        loop {
            let is_row = self.is("(") || self.is_word("ROW") && self.is_sign_at(1, "(");
            if !is_row {
                // One column needs no brackets.
                rows.push(vec![self.expr()?]);
                if self.eat(",") {
                    continue;
                }
                break;
            }
            self.eat_word("ROW");
            self.expect("(")?;
            let mut row = vec![self.expr()?];
            while self.eat(",") {
                row.push(self.expr()?);
            }
            self.expect(")")?;
            rows.push(row);
            if !self.eat(",") {
                break;
            }
        }
        Ok(Body::Values { rows, span: self.since(start) })
    }

    fn select(&mut self) -> Parsed<Select> {
        let start = self.expect_word("SELECT")?;
        let hints = self.query_hints()?;
        if self.is_word("STREAM") {
            let span = self.span();
            return self
                .error(span, "SELECT STREAM is not supported; every query is one of streams");
        }
        let at = self.span();
        let distinct = self.eat_word("DISTINCT").then_some(at);
        if distinct.is_none() {
            self.eat_word("ALL");
        }
        let mut items = vec![self.select_item()?];
        while self.eat(",") {
            items.push(self.select_item()?);
        }
        let span = self.since(start);
        let from = if self.eat_word("FROM") { Some(self.from()?) } else { None };
        let filter = if self.eat_word("WHERE") { Some(self.expr()?) } else { None };
        let at = self.span();
        let group_by =
            if self.eat_words(&["GROUP", "BY"]) { Some(self.group_by(at)?) } else { None };
        let having = if self.eat_word("HAVING") { Some(self.expr()?) } else { None };
        let windows = self.named_windows()?;
        let qualify = if self.eat_word("QUALIFY") { Some(self.expr()?) } else { None };
        Ok(Select {
            distinct,
            items,
            from,
            filter,
            group_by,
            having,
            windows,
            qualify,
            lookups: hints.lookups,
            join_hints: hints.joins,
            state_ttl: hints.state_ttl,
            span,
        })
    }

    fn select_item(&mut self) -> Parsed<SelectItem> {
        let start = self.span();
        if self.eat("*") {
            return Ok(SelectItem::Star { qualifier: None, span: start });
        }
        if matches!(self.peek().tok, Tok::Word { .. })
            && self.is_sign_at(1, ".")
            && self.is_sign_at(2, "*")
        {
            let qualifier = self.ident("a table's name")?;
            self.at += 2;
            return Ok(SelectItem::Star { qualifier: Some(qualifier), span: self.since(start) });
        }
        let expr = self.expr()?;
        let alias =
            if self.eat_word("AS") { Some(self.ident("a column's name")?) } else { self.alias() };
        Ok(SelectItem::Expr { expr, alias })
    }

    /// An alias without AS: a word that is not reserved.
    fn alias(&mut self) -> Option<Ident> {
        let token = self.peek().clone();
        match token.tok {
            Tok::Word { text, quoted }
                if quoted || !is_reserved(&text) && !text.eq_ignore_ascii_case("EMIT") =>
            {
                self.next();
                Some(Ident { text, span: token.span })
            }
            _ => None,
        }
    }

    pub(super) fn relation(&mut self) -> Parsed<Relation> {
        let start = self.span();
        let kind = if self.is("(") {
            self.next();
            let query = self.query()?;
            self.expect(")")?;
            RelationKind::Subquery(Box::new(query))
        } else if self.is_word("TABLE") {
            self.next();
            self.expect("(")?;
            let kind = if matches!(self.peek().tok, Tok::Word { .. }) && self.is_sign_at(1, "(") {
                self.window_call()?
            } else {
                let name = self.table_name()?;
                RelationKind::Table(name, self.table_hints()?)
            };
            self.expect(")")?;
            kind
        } else if self.is_word("LATERAL") {
            self.lateral()?
        } else if self.is_word("UNNEST") && self.is_sign_at(1, "(") {
            self.unnest()?
        } else if matches!(self.peek().tok, Tok::Word { .. }) && self.is_sign_at(1, "(") {
            self.window_call()?
        } else {
            let name = self.table_name()?;
            RelationKind::Table(name, self.table_hints()?)
        };
        let mut span = self.since(start);
        let at = self.span();
        let mut kind = kind;
        if self.eat_word("FOR") {
            kind = self.as_of(kind, span, at)?;
            span = self.since(start);
        }
        let at = self.span();
        if self.is_word("TABLESAMPLE") {
            return self.error(at, "TABLESAMPLE is not supported");
        }
        if self.is_word("MATCH_RECOGNIZE") {
            let data = Relation { kind, alias: None, columns: Vec::new(), span };
            kind = RelationKind::Match(Box::new(self.match_recognize(data)?));
            span = self.since(start);
        }
        let alias = if self.eat_word("AS") { Some(self.ident("an alias")?) } else { self.alias() };
        let columns = if alias.is_some() && self.is("(") {
            self.names("a column's name")?
        } else {
            Vec::new()
        };
        Ok(Relation { kind, alias, columns, span })
    }
}

impl Parser {
    /// `UNNEST(value) [WITH ORDINALITY]`.
    fn unnest(&mut self) -> Parsed<RelationKind> {
        self.next();
        self.expect("(")?;
        let value = self.expr()?;
        self.expect(")")?;
        let ordinality = self.eat_words(&["WITH", "ORDINALITY"]);
        Ok(RelationKind::Unnest(Box::new(UnnestCall { value, ordinality })))
    }

    /// `LATERAL` and what may speak of what stands before it: a query, UNNEST, or a function.
    fn lateral(&mut self) -> Parsed<RelationKind> {
        self.next();
        if self.is_word("UNNEST") {
            return self.unnest();
        }
        if self.eat_word("TABLE") {
            self.expect("(")?;
            let call = self.expr()?;
            self.expect(")")?;
            return match call.kind {
                ExprKind::Call(call) => Ok(RelationKind::Function(call)),
                _ => self.error(call.span, "LATERAL TABLE takes a call of a function"),
            };
        }
        self.expect("(")?;
        let query = self.query()?;
        self.expect(")")?;
        Ok(RelationKind::Lateral(Box::new(query)))
    }
}

fn star_of(from: Relation, span: Span) -> Select {
    Select {
        distinct: None,
        items: vec![SelectItem::Star { qualifier: None, span }],
        from: Some(from),
        filter: None,
        group_by: None,
        having: None,
        windows: Vec::new(),
        qualify: None,
        lookups: Vec::new(),
        join_hints: Vec::new(),
        state_ttl: Vec::new(),
        span,
    }
}
