//! Orders, and the windows that `OVER` stands before.

use super::{Parsed, Parser};
use crate::ast::{Frame, FrameBound, Ident, NamedWindow, OrderItem, Over, Tail, WindowSpec};
use crate::lex::Tok;

impl Parser {
    /// What follows `OVER`: a name, or a window in parentheses.
    pub(super) fn over(&mut self) -> Parsed<Over> {
        self.expect_word("OVER")?;
        if self.is("(") {
            return Ok(Over::Spec(Box::new(self.window_spec()?)));
        }
        Ok(Over::Named(self.ident("a window's name, or its definition in parentheses")?))
    }

    /// `WINDOW w AS (…), …`, if there is one.
    pub(super) fn named_windows(&mut self) -> Parsed<Vec<NamedWindow>> {
        let mut windows = Vec::new();
        if !self.eat_word("WINDOW") {
            return Ok(windows);
        }
        loop {
            let name = self.ident("a window's name")?;
            self.expect_word("AS")?;
            windows.push(NamedWindow { name, spec: self.window_spec()? });
            if !self.eat(",") {
                return Ok(windows);
            }
        }
    }

    fn window_spec(&mut self) -> Parsed<WindowSpec> {
        let start = self.expect("(")?;
        let mut spec = WindowSpec {
            base: self.base_window()?,
            partition: Vec::new(),
            order: Vec::new(),
            frame: None,
            span: start,
        };
        if self.eat_words(&["PARTITION", "BY"]) {
            loop {
                spec.partition.push(self.expr()?);
                if !self.eat(",") {
                    break;
                }
            }
        }
        spec.order = self.order_by()?;
        if self.is_word("ROWS") || self.is_word("RANGE") {
            spec.frame = Some(self.frame()?);
        }
        if self.is_word("GROUPS") {
            let span = self.span();
            return self.error(span, "frames of GROUPS are not supported; ROWS and RANGE are");
        }
        self.expect(")")?;
        spec.span = self.since(start);
        Ok(spec)
    }

    /// The name of another window that this one begins with.
    fn base_window(&mut self) -> Parsed<Option<Ident>> {
        let words = ["PARTITION", "ORDER", "ROWS", "RANGE", "GROUPS"];
        if matches!(self.peek().tok, Tok::Word { .. }) && !words.iter().any(|w| self.is_word(w)) {
            return Ok(Some(self.ident("a window's name")?));
        }
        Ok(None)
    }

    /// `ORDER BY a DESC NULLS LAST, …`, if there is one.
    pub(super) fn order_by(&mut self) -> Parsed<Vec<OrderItem>> {
        let mut items = Vec::new();
        if !self.eat_words(&["ORDER", "BY"]) {
            return Ok(items);
        }
        loop {
            let expr = self.expr()?;
            let descending = self.eat_word("DESC");
            if !descending {
                self.eat_word("ASC");
            }
            let nulls_first = if self.eat_words(&["NULLS", "FIRST"]) {
                Some(true)
            } else if self.eat_words(&["NULLS", "LAST"]) {
                Some(false)
            } else {
                None
            };
            items.push(OrderItem { expr, descending, nulls_first });
            if !self.eat(",") {
                return Ok(items);
            }
        }
    }

    fn frame(&mut self) -> Parsed<Frame> {
        let start = self.span();
        let rows = self.eat_word("ROWS");
        if !rows {
            self.expect_word("RANGE")?;
        }
        let (from, to) = if self.eat_word("BETWEEN") {
            let from = self.frame_bound()?;
            self.expect_word("AND")?;
            (from, self.frame_bound()?)
        } else {
            (self.frame_bound()?, FrameBound::CurrentRow)
        };
        if self.is_word("EXCLUDE") {
            let span = self.span();
            return self.error(span, "EXCLUDE is not supported in a window's frame");
        }
        Ok(Frame { rows, from, to, span: self.since(start) })
    }

    fn frame_bound(&mut self) -> Parsed<FrameBound> {
        if self.eat_words(&["CURRENT", "ROW"]) {
            return Ok(FrameBound::CurrentRow);
        }
        if self.eat_words(&["UNBOUNDED", "PRECEDING"]) {
            return Ok(FrameBound::UnboundedPreceding);
        }
        if self.eat_words(&["UNBOUNDED", "FOLLOWING"]) {
            return Ok(FrameBound::UnboundedFollowing);
        }
        let by = self.frame_distance()?;
        if self.eat_word("PRECEDING") {
            return Ok(FrameBound::Preceding(by));
        }
        self.expect_word("FOLLOWING")?;
        Ok(FrameBound::Following(by))
    }

    /// What follows a query's last SELECT: `ORDER BY`, `LIMIT`, `OFFSET`, `FETCH`.
    pub(super) fn query_tail(&mut self) -> Parsed<Tail> {
        let start = self.span();
        let mut tail = Tail { order: self.order_by()?, ..Tail::default() };
        loop {
            let span = self.span();
            if tail.limit.is_none() && self.eat_word("LIMIT") {
                if self.eat_word("ALL") {
                    continue;
                }
                tail.limit = Some(self.whole_number("a number of rows")?);
            } else if tail.limit.is_none() && self.eat_word("FETCH") {
                if !self.eat_word("FIRST") {
                    self.expect_word("NEXT")?;
                }
                let one = self.is_word("ROW") || self.is_word("ROWS");
                tail.limit =
                    Some(if one { (1, span) } else { self.whole_number("a number of rows")? });
                if !self.eat_word("ROW") {
                    self.expect_word("ROWS")?;
                }
                self.expect_word("ONLY")?;
            } else if tail.offset.is_none() && self.is_word("OFFSET") && !self.is_sign_at(1, ",") {
                self.next();
                tail.offset = Some(self.whole_number("a number of rows")?);
                if !self.eat_word("ROW") {
                    self.eat_word("ROWS");
                }
            } else {
                break;
            }
        }
        if self.is_word("EMIT") {
            return self.error(self.span(), "EMIT is not supported: a window's result is given once, when the watermark passes its end");
        }
        tail.span = self.since(start);
        Ok(tail)
    }
}
