//! `MATCH_RECOGNIZE (…)`, behind a table or a query.

use super::{Parsed, Parser};
use crate::ast::{Call, Expr, ExprKind, Ident, MatchClause, MatchShape, MatchSkip, Relation};
use crate::error::Span;
use crate::lex::Tok;

impl Parser {
    pub(super) fn match_recognize(&mut self, data: Relation) -> Parsed<MatchClause> {
        let span = self.expect_word("MATCH_RECOGNIZE")?;
        self.expect("(")?;
        let mut partition = Vec::new();
        if self.eat_words(&["PARTITION", "BY"]) {
            partition.push(self.expr()?);
            while self.eat(",") {
                partition.push(self.expr()?);
            }
        }
        let order = self.order_by()?;
        let mut measures = Vec::new();
        if self.eat_word("MEASURES") {
            measures.push(self.measure()?);
            while self.eat(",") {
                measures.push(self.measure()?);
            }
        }
        let all_rows = self.rows_per_match()?;
        let skip = self.match_skip()?;
        self.expect_word("PATTERN")?;
        self.expect("(")?;
        let pattern = self.deeper(Self::match_choice)?;
        self.refuse_anchor()?;
        self.expect(")")?;
        let within = if self.eat_word("WITHIN") { Some(self.expr()?) } else { None };
        let mut subsets = Vec::new();
        if self.eat_word("SUBSET") {
            subsets.push(self.subset()?);
            while self.eat(",") {
                subsets.push(self.subset()?);
            }
        }
        self.expect_word("DEFINE")?;
        let mut define = vec![self.definition()?];
        while self.eat(",") {
            define.push(self.definition()?);
        }
        self.expect(")")?;
        Ok(MatchClause {
            data,
            partition,
            order,
            measures,
            all_rows,
            skip,
            pattern,
            within,
            subsets,
            define,
            span,
        })
    }

    /// `FINAL LAST(…)` as a call of FINAL.
    pub(super) fn seen_from(&mut self, start: Span) -> Parsed<Expr> {
        let name = self.ident("FINAL or RUNNING")?;
        let at = self.span();
        let of = self.word_prefix(at)?;
        let call = Call::of(name, vec![of]);
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    /// The `A` of `COUNT(A.*)`, as a column.
    pub(super) fn rows_of_variable(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let variable = self.ident("a variable")?;
        self.expect(".")?;
        self.expect("*")?;
        self.node(start, ExprKind::Column(vec![variable]))
    }

    fn measure(&mut self) -> Parsed<(Expr, Ident)> {
        let expr = self.expr()?;
        if !self.is_word("AS") {
            return Err(self.unexpected("AS and the measure's name"));
        }
        self.next();
        Ok((expr, self.ident("the measure's name")?))
    }

    fn definition(&mut self) -> Parsed<(Ident, Expr)> {
        let variable = self.ident("a variable of PATTERN")?;
        self.expect_word("AS")?;
        Ok((variable, self.expr()?))
    }

    fn subset(&mut self) -> Parsed<(Ident, Vec<Ident>)> {
        let name = self.ident("the subset's name")?;
        self.expect("=")?;
        Ok((name, self.names("a variable of PATTERN")?))
    }

    fn rows_per_match(&mut self) -> Parsed<bool> {
        if self.eat_words(&["ONE", "ROW", "PER", "MATCH"]) {
            return Ok(false);
        }
        if !self.eat_words(&["ALL", "ROWS", "PER", "MATCH"]) {
            return Ok(false);
        }
        let span = self.span();
        if self.are_words(&["WITH", "UNMATCHED", "ROWS"]) {
            return self.error(
                span,
                "WITH UNMATCHED ROWS is not supported: rows leave as part of a match; leave it out, and join the matches with the table",
            );
        }
        if self.eat_words(&["SHOW", "EMPTY", "MATCHES"]) {
            return self.error(
                span,
                "SHOW EMPTY MATCHES is not supported: a match has at least one row; leave it out",
            );
        }
        self.eat_words(&["OMIT", "EMPTY", "MATCHES"]);
        Ok(true)
    }

    fn match_skip(&mut self) -> Parsed<Option<MatchSkip>> {
        if !self.eat_words(&["AFTER", "MATCH"]) {
            return Ok(None);
        }
        self.expect_word("SKIP")?;
        if self.eat_words(&["PAST", "LAST", "ROW"]) {
            return Ok(Some(MatchSkip::PastLastRow));
        }
        if !self.eat_word("TO") {
            return Err(self.unexpected("PAST LAST ROW, TO NEXT ROW, or TO and a variable"));
        }
        if self.eat_words(&["NEXT", "ROW"]) {
            return Ok(Some(MatchSkip::ToNextRow));
        }
        let names_follow = matches!(self.peek_at(1).tok, Tok::Word { .. });
        Ok(Some(if names_follow && self.eat_word("FIRST") {
            MatchSkip::ToFirst(self.ident("a variable of PATTERN")?)
        } else {
            // A variable alone means its last row.
            if names_follow {
                self.eat_word("LAST");
            }
            MatchSkip::ToLast(self.ident("a variable of PATTERN")?)
        }))
    }

    fn match_choice(&mut self) -> Parsed<MatchShape> {
        let mut parts = vec![self.match_sequence()?];
        while self.eat("|") {
            parts.push(self.match_sequence()?);
        }
        Ok(one_or(parts, MatchShape::Choice))
    }

    fn match_sequence(&mut self) -> Parsed<MatchShape> {
        let mut parts = vec![self.match_factor()?];
        while ![")", "|", "-}", ",", "$"].iter().any(|end| self.is(end))
            && self.peek().tok != Tok::End
        {
            parts.push(self.match_factor()?);
        }
        Ok(one_or(parts, MatchShape::Sequence))
    }

    fn match_factor(&mut self) -> Parsed<MatchShape> {
        let start = self.span();
        let of = self.match_primary()?;
        let at = self.span();
        let (least, most) = if self.eat("*") {
            (0, None)
        } else if self.eat("+") {
            (1, None)
        } else if self.eat("?") {
            (0, Some(1))
        } else if self.is("{") {
            self.times()?
        } else {
            return Ok(of);
        };
        if most.is_some_and(|most| most < least || most == 0) {
            let span = self.since(at);
            return self
                .error(span, "a quantifier is {n}, {n,}, {n,m} or {,m}, with m at least n and 1");
        }
        let reluctant = self.eat("?");
        let span = self.since(start);
        Ok(MatchShape::Repeat { of: Box::new(of), least, most, reluctant, span })
    }

    /// `{n}`, `{n,}`, `{n,m}`, `{,m}`.
    fn times(&mut self) -> Parsed<(u32, Option<u32>)> {
        self.expect("{")?;
        let least = match self.is(",") {
            true => 0,
            false => self.whole_number("a number of repetitions")?.0,
        };
        let mut most = Some(least);
        if self.eat(",") {
            most = match self.is("}") {
                true => None,
                false => Some(self.whole_number("a number of repetitions")?.0),
            };
        }
        self.expect("}")?;
        Ok((least, most))
    }

    fn match_primary(&mut self) -> Parsed<MatchShape> {
        self.refuse_anchor()?;
        let start = self.span();
        if self.eat("(") {
            if self.is(")") {
                return self.error(
                    start,
                    "an empty pattern fits no row; name a variable between the parentheses",
                );
            }
            let shape = self.deeper(Self::match_choice)?;
            self.refuse_anchor()?;
            self.expect(")")?;
            return Ok(shape);
        }
        if self.eat("{-") {
            let shape = self.deeper(Self::match_choice)?;
            self.expect("-}")?;
            return Ok(MatchShape::Exclude(Box::new(shape)));
        }
        if self.is_word("PERMUTE") && self.is_sign_at(1, "(") {
            self.at += 2;
            let mut parts = vec![self.deeper(Self::match_choice)?];
            while self.eat(",") {
                parts.push(self.deeper(Self::match_choice)?);
            }
            self.expect(")")?;
            return Ok(MatchShape::Permute(parts, self.since(start)));
        }
        Ok(MatchShape::Variable(self.ident("a variable of PATTERN")?))
    }

    fn refuse_anchor(&self) -> Parsed<()> {
        // A name may end with the sign.
        let ends = matches!(&self.peek().tok,
            Tok::Word { text, quoted: false } if text.ends_with('$'));
        let message = match (self.is("^"), self.is("$") || ends) {
            (true, _) => "'^' demands that a match begins with the first row of its partition",
            (_, true) => {
                "'$' demands that a match ends with the last row of its partition, which a stream does not have"
            }
            _ => return Ok(()),
        };
        self.error(self.span(), format!("{message}; it is not supported; leave it out"))
    }
}

fn one_or(mut parts: Vec<MatchShape>, several: fn(Vec<MatchShape>) -> MatchShape) -> MatchShape {
    match (parts.len(), parts.pop()) {
        (1, Some(part)) => part,
        (_, last) => several(parts.into_iter().chain(last).collect()),
    }
}
