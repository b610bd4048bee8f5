//! Expressions, by precedence climbing.

use super::json::{is_json, is_json_aggregate};
use super::rows::row;
use super::{MAX_HEIGHT, Parsed, Parser, is_reserved};
use crate::ast::{BinaryOp, Call, Expr, ExprKind, Ident, Over, Unit};
use crate::error::Span;
use crate::lex::Tok;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;
const UNARY: u8 = 7;

/// Functions of SQL that are written without parentheses.
const BARE_FUNCTIONS: [&str; 6] =
    ["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME", "LOCALTIMESTAMP", "PI"];

impl Parser {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.expr_above(0)
    }

    fn expr_above(&mut self, floor: u8) -> Parsed<Expr> {
        self.deeper(|p| {
            let mut left = p.prefix()?;
            while let Some(next) = p.infix(&mut left, floor)? {
                left = next;
            }
            Ok(left)
        })
    }

    pub(super) fn node(&self, start: Span, kind: ExprKind) -> Parsed<Expr> {
        let span = self.since(start);
        let height = 1 + children(&kind).map(|c| c.height).max().unwrap_or(0);
        if height > MAX_HEIGHT {
            return self.error(span, format!("the expression is nested deeper than {MAX_HEIGHT} levels; use IN for long lists, or compute parts in a view"));
        }
        Ok(Expr { kind, span, height })
    }

    /// Takes the next operator if it binds stronger than `floor`.
    fn infix(&mut self, left: &mut Expr, floor: u8) -> Parsed<Option<Expr>> {
        let start = left.span;
        let operator = self.span();
        if let Some((op, level)) = self.binary_operator() {
            if level <= floor {
                return Ok(None);
            }
            self.next();
            if self.is_word("ANY")
                || self.is_word("SOME")
                || self.is_word("ALL") && self.is_sign_at(1, "(")
            {
                return self.quantified(start, take(left), op);
            }
            let right = self.expr_above(level)?;
            return self.compared(start, take(left), op, right).map(Some);
        }
        if self.is("::") {
            return self.error(operator, "'::' is not Flink's; write CAST(… AS …)");
        }
        if COMPARE <= floor {
            return Ok(None);
        }
        if self.eat_word("IS") {
            return self.is_predicate(left, start).map(Some);
        }
        let negated = self.is_word("NOT")
            && ["BETWEEN", "IN", "LIKE", "SIMILAR"].iter().any(|word| self.is_word_at(1, word));
        if negated {
            self.next();
        }
        if self.eat_word("BETWEEN") {
            let symmetric = self.eat_word("SYMMETRIC");
            self.eat_word("ASYMMETRIC");
            let low = self.expr_above(COMPARE)?;
            self.expect_word("AND")?;
            let high = self.expr_above(COMPARE)?;
            let of = Box::new(take(left));
            return self
                .node(
                    start,
                    ExprKind::Between {
                        of,
                        low: Box::new(low),
                        high: Box::new(high),
                        negated,
                        symmetric,
                    },
                )
                .map(Some);
        }
        if self.eat_word("IN") {
            return self.in_values(start, take(left), negated).map(Some);
        }
        if self.eat_word("OVERLAPS") {
            return self.overlaps(start, take(left), operator).map(Some);
        }
        let similar = self.is_word("SIMILAR");
        if self.eat_word("LIKE") || self.eat_words(&["SIMILAR", "TO"]) {
            let pattern = Box::new(self.expr_above(COMPARE)?);
            let escape = if self.eat_word("ESCAPE") {
                Some(self.text("the escape character in quotes")?.0)
            } else {
                None
            };
            let of = Box::new(take(left));
            return self
                .node(start, ExprKind::Like { of, pattern, escape, negated, similar })
                .map(Some);
        }
        Ok(None)
    }

    fn binary_operator(&self) -> Option<(BinaryOp, u8)> {
        let op = match &self.peek().tok {
            Tok::Sign(sign) => match *sign {
                "=" => BinaryOp::Eq,
                "<>" | "!=" => BinaryOp::NotEq,
                "<" => BinaryOp::Less,
                "<=" => BinaryOp::LessEq,
                ">" => BinaryOp::Greater,
                ">=" => BinaryOp::GreaterEq,
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Subtract,
                "||" => BinaryOp::Concat,
                "*" => BinaryOp::Multiply,
                "/" => BinaryOp::Divide,
                "%" => BinaryOp::Modulo,
                _ => return None,
            },
            Tok::Word { text, quoted: false } if text.eq_ignore_ascii_case("AND") => BinaryOp::And,
            Tok::Word { text, quoted: false } if text.eq_ignore_ascii_case("OR") => BinaryOp::Or,
            _ => return None,
        };
        let level = match op {
            BinaryOp::Or => OR,
            BinaryOp::And => AND,
            BinaryOp::Add | BinaryOp::Subtract => SUM,
            BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo | BinaryOp::Concat => PRODUCT,
            _ => COMPARE,
        };
        Some((op, level))
    }

    fn is_predicate(&mut self, left: &mut Expr, start: Span) -> Parsed<Expr> {
        let negated = self.eat_word("NOT");
        let of = Box::new(take(left));
        if self.eat_word("NULL") {
            return self.node(start, ExprKind::IsNull { of, negated });
        }
        if self.eat_words(&["DISTINCT", "FROM"]) {
            let right = Box::new(self.expr_above(COMPARE)?);
            return self.node(start, ExprKind::IsDistinct { left: of, right, negated });
        }
        if self.eat_word("JSON") {
            let test = self.json_test(start, *of)?;
            if negated {
                return self.node(start, ExprKind::Not(Box::new(test)));
            }
            return Ok(test);
        }
        for (word, value) in [("TRUE", Some(true)), ("FALSE", Some(false)), ("UNKNOWN", None)] {
            if self.eat_word(word) {
                return self.node(start, ExprKind::IsBool { of, value, negated });
            }
        }
        Err(self.unexpected("NULL, TRUE, FALSE, UNKNOWN, JSON or DISTINCT FROM"))
    }

    /// An operand with what is taken out of it: `a[1]`, `f(x).name`.
    fn prefix(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let mut of = self.operand()?;
        loop {
            let at = self.span();
            let (name, taken) = if self.eat("[") {
                let index = self.expr()?;
                self.expect("]")?;
                ("[]", index)
            } else if self.is(".") && matches!(self.peek_at(1).tok, Tok::Word { .. }) {
                self.next();
                let field = self.ident("a field's name")?;
                (".", self.node(field.span, ExprKind::Text(field.text))?)
            } else {
                return Ok(of);
            };
            let name = Ident { text: name.to_owned(), span: at };
            let args = vec![of, taken];
            let call = Call::of(name, args);
            of = self.node(start, ExprKind::Call(Box::new(call)))?;
        }
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        let start = token.span;
        match &token.tok {
            Tok::Number(text) => {
                self.next();
                self.node(start, ExprKind::Number(text.clone()))
            }
            Tok::Text(text) => {
                self.next();
                self.node(start, ExprKind::Text(text.clone()))
            }
            Tok::Sign("(") => {
                self.next();
                if self.is_word("SELECT") || self.is_word("WITH") {
                    let query = Box::new(self.query()?);
                    self.expect(")")?;
                    return self.node(start, ExprKind::Scalar(query));
                }
                let inner = self.expr()?;
                if self.is(",") {
                    return self.row_value(start, inner);
                }
                self.expect(")")?;
                let inner = Expr { span: self.since(start), ..inner };
                self.difference(start, inner)
            }
            Tok::Sign("-") => {
                self.next();
                let inner = self.expr_above(UNARY)?;
                self.node(start, ExprKind::Negate(Box::new(inner)))
            }
            Tok::Sign("+") => {
                self.next();
                let inner = self.expr_above(UNARY)?;
                Ok(Expr { span: self.since(start), ..inner })
            }
            Tok::Sign("*") => {
                self.error(start, "'*' stands alone in a SELECT list, or in COUNT(*)")
            }
            Tok::Word { quoted: true, .. } => self.column(),
            Tok::Word { .. } => self.word_prefix(start),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn column(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let mut parts = vec![self.ident("a column's name")?];
        while self.eat(".") {
            parts.push(self.ident("a column's name")?);
        }
        self.node(start, ExprKind::Column(parts))
    }

    pub(super) fn word_prefix(&mut self, start: Span) -> Parsed<Expr> {
        let word = self.peek().keyword().unwrap_or_default();
        let call = self.is_sign_at(1, "(");
        let text_follows = matches!(self.peek_at(1).tok, Tok::Text(_));
        match word.as_str() {
            "NOT" => {
                self.next();
                let inner = self.expr_above(NOT)?;
                self.node(start, ExprKind::Not(Box::new(inner)))
            }
            "EXISTS" => {
                self.next();
                self.expect("(")?;
                let query = Box::new(self.query()?);
                self.expect(")")?;
                self.node(start, ExprKind::Exists(query))
            }
            "CASE" => self.case(start),
            "CAST" | "TRY_CAST" if call => {
                self.at += 2;
                let of = Box::new(self.expr()?);
                self.expect_word("AS")?;
                if self.is_word("BINARY") || self.is_word("VARBINARY") {
                    let span = self.span();
                    return self.error(
                        span,
                        "CAST to BINARY(n) or VARBINARY(n) would cut or fill up, which is not supported; write BYTES",
                    );
                }
                let ty = self.data_type()?;
                self.expect(")")?;
                self.node(start, ExprKind::Cast { of, ty, lenient: word == "TRY_CAST" })
            }
            "TRUE" | "FALSE" => {
                self.next();
                self.node(start, ExprKind::Bool(word == "TRUE"))
            }
            "NULL" => {
                self.next();
                self.node(start, ExprKind::Null)
            }
            "X" if text_follows && self.touches() => {
                self.next();
                let (digits, span) = self.text("bytes in quotes")?;
                if digits.len() % 2 != 0 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    let message = "X'…' holds bytes of two hexadecimal digits each";
                    return self.error(span, message);
                }
                let digits = self.node(span, ExprKind::Text(digits))?;
                let name = Ident { text: "UNHEX".to_owned(), span: start };
                self.node(start, ExprKind::Call(Box::new(Call::of(name, vec![digits]))))
            }
            "DATE" | "TIME" | "TIMESTAMP" if text_follows => {
                self.next();
                let (text, _) = self.text("a value in quotes")?;
                let keyword = match word.as_str() {
                    "DATE" => "DATE",
                    "TIME" => "TIME",
                    _ => "TIMESTAMP",
                };
                self.node(start, ExprKind::Typed { keyword, text })
            }
            "INTERVAL" => self.interval(start),
            "ARRAY" | "MAP" if self.is_sign_at(1, "[") => self.elements(start, &word),
            "FINAL" | "RUNNING" if self.is_sign_at(2, "(") => self.seen_from(start),
            _ if call => self.call(start),
            name if BARE_FUNCTIONS.contains(&name) && name != "PI" => {
                let name = self.ident("a function")?;
                let call = Call {
                    name,
                    args: Vec::new(),
                    star: false,
                    distinct: false,
                    filter: None,
                    over: None,
                };
                self.node(start, ExprKind::Call(Box::new(call)))
            }
            _ if is_reserved(&word) => Err(self.unexpected("an expression")),
            _ => self.column(),
        }
    }

    fn case(&mut self, start: Span) -> Parsed<Expr> {
        self.next();
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut whens = Vec::new();
        while self.eat_word("WHEN") {
            let when = self.expr()?;
            self.expect_word("THEN")?;
            whens.push((when, self.expr()?));
        }
        if whens.is_empty() {
            return Err(self.unexpected("WHEN"));
        }
        let otherwise = if self.eat_word("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        self.expect_word("END")?;
        self.node(start, ExprKind::Case { operand, whens, otherwise })
    }

    /// `(a - b) DAY`, where a unit follows.
    fn difference(&mut self, start: Span, of: Expr) -> Parsed<Expr> {
        let unit = self.peek().keyword().and_then(|word| Unit::parse(&word));
        let (left, right) = match of.kind {
            ExprKind::Binary { op: BinaryOp::Subtract, left, right } if unit.is_some() => {
                (left, right)
            }
            kind => return Ok(Expr { kind, ..of }),
        };
        let unit = self.unit_argument()?;
        self.digits()?;
        if self.eat_word("TO") {
            self.unit("the interval's last unit")?;
            self.digits()?;
        }
        let name = Ident { text: "TIME DIFFERENCE".to_owned(), span: self.since(start) };
        let call = Call::of(name, vec![*left, *right, unit]);
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    /// Behind `(a, b) OVERLAPS`.
    fn overlaps(&mut self, start: Span, left: Expr, at: Span) -> Parsed<Expr> {
        let right = self.expr_above(COMPARE)?;
        let (Some([a, b]), Some([c, d])) = (row(&left), row(&right)) else {
            return self
                .error(at, "OVERLAPS stands between two periods: (from, to) OVERLAPS (from, to)");
        };
        let name = Ident { text: "PERIODS OVERLAP".to_owned(), span: at };
        let call = Call::of(name, [a, b, c, d].map(Clone::clone).to_vec());
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    /// `(2)` or `(2, 3)`: how many digits an interval's units have, on which no value depends.
    pub(super) fn digits(&mut self) -> Parsed<()> {
        if self.eat("(") {
            self.whole_number("a precision")?;
            if self.eat(",") {
                self.whole_number("a precision")?;
            }
            self.expect(")")?;
        }
        Ok(())
    }

    fn interval(&mut self, start: Span) -> Parsed<Expr> {
        self.next();
        let negative = self.eat("-");
        let token = self.peek().clone();
        let mut text = match token.tok {
            Tok::Text(text) => text,
            Tok::Number(number) => {
                return self.error(
                    token.span,
                    format!("an interval's value stands in quotes: INTERVAL '{number}' …"),
                );
            }
            _ => {
                return Err(
                    self.unexpected("an interval's value in quotes, such as INTERVAL '1' HOUR")
                );
            }
        };
        self.next();
        if negative {
            text = format!("-{text}");
        }
        let from = self.unit("an interval's unit, such as HOUR")?;
        self.digits()?;
        let to =
            if self.eat_word("TO") { Some(self.unit("the interval's last unit")?) } else { None };
        self.digits()?;
        self.node(start, ExprKind::Interval { text, from, to })
    }

    pub(super) fn unit(&mut self, what: &str) -> Parsed<Unit> {
        let unit = self.peek().keyword().and_then(|word| Unit::parse(&word));
        match unit {
            Some(unit) => {
                self.next();
                Ok(unit)
            }
            None => Err(self.unexpected(what)),
        }
    }

    /// How far a frame reaches: as far as PRECEDING or FOLLOWING.
    pub(super) fn frame_distance(&mut self) -> Parsed<Expr> {
        self.expr_above(COMPARE)
    }

    /// A unit as an argument.
    fn unit_argument(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let unit = self.unit("a unit of time, such as HOUR")?;
        self.node(start, ExprKind::Unit(unit))
    }

    fn call(&mut self, start: Span) -> Parsed<Expr> {
        let token = self.next();
        let Tok::Word { text, .. } = token.tok else {
            return Err(self.unexpected("a function"));
        };
        let name = Ident { text, span: token.span };
        if let Some(message) = crate::functions::not_here(&name.text.to_ascii_uppercase()) {
            return self.error(name.span, message);
        }
        self.expect("(")?;
        let mut call =
            Call { name, args: Vec::new(), star: false, distinct: false, filter: None, over: None };
        match call.name.text.to_ascii_uppercase().as_str() {
            "EXTRACT" => {
                call.args.push(self.unit_argument()?);
                self.expect_word("FROM")?;
                call.args.push(self.expr()?);
            }
            "TIMESTAMPADD" | "TIMESTAMPDIFF" => {
                call.args.push(self.unit_argument()?);
                while self.eat(",") {
                    call.args.push(self.expr()?);
                }
            }
            "POSITION" => {
                call.args.push(self.expr_above(COMPARE)?);
                self.expect_word("IN")?;
                call.args.push(self.expr()?);
            }
            "TRIM" => self.trim(&mut call)?,
            name if is_json(name) => self.json_arguments(&mut call)?,
            _ => self.arguments(&mut call)?,
        }
        let ignored = self.nulls_of(&call)?;
        self.expect(")")?;
        if self.is_word("FILTER") && self.is_sign_at(1, "(") {
            self.at += 2;
            self.expect_word("WHERE")?;
            call.filter = Some(self.expr()?);
            self.expect(")")?;
        }
        call.filter = match (ignored, call.filter.take()) {
            (Some(known), Some(filter)) => {
                let (left, right) = (Box::new(filter), Box::new(known));
                Some(self.node(start, ExprKind::Binary { op: BinaryOp::And, left, right })?)
            }
            (known, filter) => known.or(filter),
        };
        if self.is_word("OVER") {
            call.over = Some(self.over()?);
        }
        if self.are_words(&["WITHIN", "GROUP"]) {
            return self.error(self.span(), "WITHIN GROUP is not supported");
        }
        if is_json_aggregate(&call.name.text) {
            return self.json_aggregate(start, call);
        }
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    /// `IGNORE NULLS` behind what ARRAY_AGG takes: which rows count then.
    fn nulls_of(&mut self, call: &Call) -> Parsed<Option<Expr>> {
        let [of] = call.args.as_slice() else { return Ok(None) };
        if !call.name.text.eq_ignore_ascii_case("ARRAY_AGG") {
            return Ok(None);
        }
        if self.eat_words(&["RESPECT", "NULLS"]) || !self.eat_words(&["IGNORE", "NULLS"]) {
            return Ok(None);
        }
        let kind = ExprKind::IsNull { of: Box::new(of.clone()), negated: true };
        self.node(of.span, kind).map(Some)
    }

    /// Whether the next two tokens have nothing between them.
    fn touches(&self) -> bool {
        let (word, next) = (self.peek().span, self.peek_at(1).span);
        // A span ends with its last character.
        (word.end_line, word.end_column + 1) == (next.line, next.column)
    }

    /// `ARRAY[…]` and `MAP[…]`.
    fn elements(&mut self, start: Span, word: &str) -> Parsed<Expr> {
        let name = Ident { text: format!("{word}[]"), span: self.span() };
        self.at += 2;
        let mut args = Vec::new();
        while !self.is("]") {
            args.push(self.expr()?);
            if !self.eat(",") {
                break;
            }
        }
        self.expect("]")?;
        let call = Call::of(name, args);
        self.node(start, ExprKind::Call(Box::new(call)))
    }

    fn trim(&mut self, call: &mut Call) -> Parsed<()> {
        for (word, name) in
            [("BOTH", "TRIM"), ("LEADING", "TRIM_LEADING"), ("TRAILING", "TRIM_TRAILING")]
        {
            if self.eat_word(word) {
                call.name.text = name.to_owned();
                if self.eat_word("FROM") {
                    call.args.push(self.expr()?);
                    return Ok(());
                }
                break;
            }
        }
        let first = self.expr()?;
        if self.eat_word("FROM") {
            let text = self.expr()?;
            call.args = vec![text, first];
        } else {
            call.args = vec![first];
            while self.eat(",") {
                call.args.push(self.expr()?);
            }
        }
        Ok(())
    }

    fn arguments(&mut self, call: &mut Call) -> Parsed<()> {
        if self.is(")") {
            return Ok(());
        }
        if self.is_sign_at(1, ".") && self.is_sign_at(2, "*") {
            // COUNT(A.*) of the rows of a variable of MATCH_RECOGNIZE.
            call.args.push(self.rows_of_variable()?);
            call.star = true;
            return Ok(());
        }
        if self.eat("*") {
            call.star = true;
            return Ok(());
        }
        call.distinct = self.eat_word("DISTINCT");
        if !call.distinct {
            self.eat_word("ALL");
        }
        call.args.push(self.expr()?);
        if self.eat_word("PLACING") {
            call.args.push(self.expr()?);
        }
        // SUBSTRING(x FROM a FOR b), OVERLAY and FLOOR(t TO HOUR) are written with words.
        if self.eat_word("TO") {
            call.args.push(self.unit_argument()?);
            return Ok(());
        }
        if self.eat_word("FROM") {
            call.args.push(self.expr()?);
            if self.eat_word("FOR") {
                call.args.push(self.expr()?);
            }
            return Ok(());
        }
        while self.eat(",") {
            if self.is_sign_at(1, "=>") {
                return self.error(self.span(), "named arguments are only for window functions");
            }
            call.args.push(self.expr()?);
        }
        Ok(())
    }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr { kind: ExprKind::Null, span: expr.span, height: 0 })
}

/// The direct parts of an expression.
pub(crate) fn children(kind: &ExprKind) -> Box<dyn Iterator<Item = &Expr> + '_> {
    fn all<'a>(parts: Vec<&'a Expr>) -> Box<dyn Iterator<Item = &'a Expr> + 'a> {
        Box::new(parts.into_iter())
    }
    match kind {
        ExprKind::Negate(of) | ExprKind::Not(of) => all(vec![of]),
        ExprKind::IsNull { of, .. } | ExprKind::IsBool { of, .. } | ExprKind::Cast { of, .. } => {
            all(vec![of])
        }
        ExprKind::Binary { left, right, .. } | ExprKind::IsDistinct { left, right, .. } => {
            all(vec![left, right])
        }
        ExprKind::Between { of, low, high, .. } => all(vec![of, low, high]),
        ExprKind::InList { of, list, .. } => Box::new(std::iter::once(&**of).chain(list)),
        ExprKind::InQuery { of, .. } | ExprKind::Compared { of, .. } => all(vec![of]),
        ExprKind::Like { of, pattern, .. } => all(vec![of, pattern]),
        ExprKind::Case { operand, whens, otherwise } => Box::new(
            operand
                .iter()
                .map(|o| &**o)
                .chain(whens.iter().flat_map(|(w, t)| [w, t]))
                .chain(otherwise.iter().map(|o| &**o)),
        ),
        ExprKind::Call(call) => Box::new(
            call.args.iter().chain(&call.filter).chain(call.over.iter().flat_map(Over::exprs)),
        ),
        ExprKind::Column(_)
        | ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Bool(_)
        | ExprKind::Null
        | ExprKind::Typed { .. }
        | ExprKind::Interval { .. }
        | ExprKind::Exists(_)
        | ExprKind::Scalar(_)
        | ExprKind::Unit(_) => all(Vec::new()),
    }
}
