//! Rows as values, `(a, b)`, and comparisons with some or all of several values.

use super::{Parsed, Parser};
use crate::ast::{BinaryOp, Call, Expr, ExprKind, Ident};
use crate::error::Span;

/// The values of a row that is written out, `(a, b)` or `ROW(a, b)`.
pub(crate) fn row(expr: &Expr) -> Option<&[Expr]> {
    match &expr.kind {
        ExprKind::Call(call)
            if call.name.text.eq_ignore_ascii_case("ROW") && !call.args.is_empty() =>
        {
            Some(&call.args)
        }
        _ => None,
    }
}

impl Parser {
    /// Behind the first value of a row and before the comma.
    pub(super) fn row_value(&mut self, start: Span, first: Expr) -> Parsed<Expr> {
        let mut args = vec![first];
        while self.eat(",") {
            args.push(self.expr()?);
        }
        self.expect(")")?;
        let name = Ident { text: "ROW".to_owned(), span: self.since(start) };
        let call = Call { name, args, star: false, distinct: false, filter: None, over: None };
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    /// `left op right`; rows are equal if all of their values are.
    pub(super) fn compared(
        &mut self,
        start: Span,
        left: Expr,
        op: BinaryOp,
        right: Expr,
    ) -> Parsed<Expr> {
        let pair = row(&left).zip(row(&right)).map(|(l, r)| (l.to_vec(), r.to_vec()));
        let Some((lefts, rights)) = pair.filter(|_| matches!(op, BinaryOp::Eq | BinaryOp::NotEq))
        else {
            let (left, right) = (Box::new(left), Box::new(right));
            return self.node(start, ExprKind::Binary { left, op, right });
        };
        if lefts.len() != rights.len() {
            let message =
                format!("a row of {} values is compared with one of {}", lefts.len(), rights.len());
            return self.error(self.since(start), message);
        }
        let mut equal = Vec::with_capacity(lefts.len());
        for (left, right) in lefts.into_iter().zip(rights) {
            equal.push(self.compared(start, left, BinaryOp::Eq, right)?);
        }
        let all = self.joined(start, equal, BinaryOp::And)?;
        match op {
            BinaryOp::NotEq => self.node(start, ExprKind::Not(Box::new(all))),
            _ => Ok(all),
        }
    }

    /// All of these by one operator: a tree that is no higher than it has to be.
    fn joined(&mut self, start: Span, mut parts: Vec<Expr>, op: BinaryOp) -> Parsed<Expr> {
        while parts.len() > 1 {
            let mut rest = std::mem::take(&mut parts).into_iter();
            while let Some(left) = rest.next() {
                parts.push(match rest.next() {
                    None => left,
                    Some(right) => {
                        let (left, right) = (Box::new(left), Box::new(right));
                        self.node(start, ExprKind::Binary { left, op, right })?
                    }
                });
            }
        }
        parts.pop().ok_or_else(|| self.unexpected("a value"))
    }

    /// `left IN (list)`; of rows, one equality after the other.
    pub(super) fn in_list(
        &mut self,
        start: Span,
        left: Expr,
        list: Vec<Expr>,
        negated: bool,
    ) -> Parsed<Expr> {
        if row(&left).is_none() || !list.iter().all(|each| row(each).is_some()) {
            return self.node(start, ExprKind::InList { of: Box::new(left), list, negated });
        }
        let mut equal = Vec::with_capacity(list.len());
        for each in list {
            equal.push(self.compared(start, left.clone(), BinaryOp::Eq, each)?);
        }
        let any = self.joined(start, equal, BinaryOp::Or)?;
        if negated { self.node(start, ExprKind::Not(Box::new(any))) } else { Ok(any) }
    }

    /// `= ANY (…)`, which is `IN`, `<> ALL (…)`, which is `NOT IN`, and of queries the others.
    pub(super) fn quantified(
        &mut self,
        start: Span,
        left: Expr,
        op: BinaryOp,
    ) -> Parsed<Option<Expr>> {
        let span = self.span();
        let all = self.is_word("ALL");
        self.next();
        let negated = match (op, all) {
            (BinaryOp::Eq, false) => false,
            (BinaryOp::NotEq, true) => true,
            _ => {
                self.expect("(")?;
                if !(self.is_word("SELECT") || self.is_word("WITH") || self.is_word("VALUES")) {
                    return self.error(
                        span,
                        "of comparisons with ANY and ALL of a list there are = ANY (…), which is IN, and <> ALL (…), which is NOT IN; compare with LEAST or GREATEST of the list instead",
                    );
                }
                let query = Box::new(self.query()?);
                self.expect(")")?;
                let compared = ExprKind::Compared { of: Box::new(left), op, all, query };
                return self.node(start, compared).map(Some);
            }
        };
        self.in_values(start, left, negated).map(Some)
    }

    /// Behind `IN`.
    pub(super) fn in_values(&mut self, start: Span, left: Expr, negated: bool) -> Parsed<Expr> {
        self.expect("(")?;
        if self.is_word("SELECT") || self.is_word("WITH") || self.is_word("VALUES") {
            let query = Box::new(self.query()?);
            self.expect(")")?;
            return self.node(start, ExprKind::InQuery { of: Box::new(left), query, negated });
        }
        let mut list = vec![self.expr()?];
        while self.eat(",") {
            list.push(self.expr()?);
        }
        self.expect(")")?;
        self.in_list(start, left, list, negated)
    }
}
