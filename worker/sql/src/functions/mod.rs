//! The registry: function name → implementation with Flink's meaning.
//!
//! A function is here only if the table tests show that it gives what Flink's documentation
//! says. Names are found in any case.

mod bitmap;
mod chance;
mod conditional;
mod digits;
mod encodings;
mod formats;
mod hash;
mod json;
mod math;
mod nested;
mod others;
mod pattern;
mod percentile;
mod periods;
mod printf;
mod regex;
mod similar;
mod strings;
mod texts;
mod times;
mod types;

use std::sync::Arc;

use arrow::array::ArrayRef;
use weir_engine::EngineError;
use weir_engine::aggregate::functions as aggregate;

use crate::ast::Unit;
use crate::bind::expr::SINGLE_VALUE;
use crate::bind::watermarks::CURRENT_WATERMARK;
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::{Call, Col, Expr, Style, cast};
use crate::types::{Kind, SqlType};

/// An argument before the function has looked at it.
#[derive(Clone)]
pub(crate) enum Arg {
    Expr(Expr),
    Unit(Unit, Span),
}

/// A function of the registry.
pub(crate) struct Function {
    /// Its name, in capitals.
    pub(crate) name: &'static str,
    /// How it is called, for messages.
    pub(crate) usage: &'static str,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// Fixed argument types.
    Simple(Simple),
    /// Looks at its arguments itself.
    Special(fn(&mut Site) -> Result<Expr, SqlError>),
}

/// A function with fixed argument types.
pub(crate) struct Simple {
    /// Types of the arguments.
    wants: &'static [Want],
    /// How many of them may be left out, from the end.
    optional: usize,
    /// Whether the last may be repeated.
    variadic: bool,
    ret: Kind,
    /// Whether NULL may come from arguments that are not NULL.
    may_be_null: bool,
    fallible: bool,
    run: fn(&[Col], usize) -> Result<ArrayRef, EngineError>,
}

/// What an argument is brought to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    Text,
    Int,
    BigInt,
    Double,
    Boolean,
}

/// A call while it is bound.
pub(crate) struct Site {
    pub(crate) function: &'static Function,
    pub(crate) args: Vec<Arg>,
    pub(crate) span: Span,
}

fn all() -> impl Iterator<Item = &'static Function> {
    [
        strings::FUNCTIONS,
        pattern::FUNCTIONS,
        math::FUNCTIONS,
        conditional::FUNCTIONS,
        times::FUNCTIONS,
        hash::FUNCTIONS,
        texts::FUNCTIONS,
        encodings::FUNCTIONS,
        json::FUNCTIONS,
        nested::FUNCTIONS,
        chance::FUNCTIONS,
        printf::FUNCTIONS,
        types::FUNCTIONS,
        bitmap::FUNCTIONS,
        percentile::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Functions that only have a meaning with OVER.
const WINDOW_FUNCTIONS: [&str; 9] = [
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "LAG",
    "LEAD",
    "NTILE",
    "PERCENT_RANK",
    "CUME_DIST",
    "NTH_VALUE",
];

/// Names of all functions that are called by their names, in capitals.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    // Others stand for signs and for clauses of their own.
    let is_called = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let all = all().map(|function| function.name).chain(aggregate::names());
    all.chain(WINDOW_FUNCTIONS).chain([CURRENT_WATERMARK, SINGLE_VALUE]).filter(is_called)
}

/// How a function is called, where that is known.
pub(crate) fn usage(name: &str) -> Option<&'static str> {
    all().find(|function| function.name == name).map(|function| function.usage)
}

/// What an aggregate takes that has another argument than those written, as a function of these.
pub(crate) fn item_of(aggregate: &str) -> Option<&'static str> {
    all().map(|f| f.name).find(|name| name.strip_suffix(ITEM) == Some(aggregate))
}

/// Ends the names of such functions, which nobody writes.
const ITEM: &str = " ITEM";

/// Binds a call of a scalar function.
pub(crate) fn bind(name: &str, args: Vec<Arg>, at: Span, span: Span) -> Result<Expr, SqlError> {
    let upper = name.to_ascii_uppercase();
    let Some(function) = all().find(|f| f.name == upper) else {
        return Err(SqlError::new(at, unknown(name, &upper)));
    };
    let mut site = Site { function, args, span };
    match &function.body {
        Body::Special(bind) => bind(&mut site),
        Body::Simple(simple) => site.simple(simple),
    }
}

/// What is of the rows of a match.
const OF_MATCHES: [&str; 10] = [
    "CLASSIFIER",
    "FINAL",
    "FIRST",
    "LAST",
    "MATCH_NUMBER",
    "MATCH_PROCTIME",
    "MATCH_ROWTIME",
    "NEXT",
    "PREV",
    "RUNNING",
];

/// What to say of a function that Flink has and that is not here; the name is in capitals. Some
/// have a syntax of their own, so that the parser asks as well.
pub(crate) fn not_here(upper: &str) -> Option<String> {
    others::flink_has(upper)
        .then(|| format!("Flink's function {upper} is not supported by Weir yet"))
}

fn unknown(name: &str, upper: &str) -> String {
    if aggregate::is_absent(upper) {
        let here: Vec<_> = aggregate::ALL.iter().map(|f| f.name()).collect();
        let (last, others) = here.split_last().unwrap_or((&"none", &[]));
        let others = others.join(", ");
        return format!("the aggregate function {upper} is not supported; {others} and {last} are");
    }
    if WINDOW_FUNCTIONS.contains(&upper) {
        return format!("{upper} needs OVER; write {upper}(…) OVER (PARTITION BY … ORDER BY …)");
    }
    if [
        "TUMBLE",
        "HOP",
        "TUMBLE_START",
        "TUMBLE_END",
        "HOP_START",
        "HOP_END",
        "SESSION",
        "TUMBLE_ROWTIME",
    ]
    .contains(&upper)
    {
        return format!(
            "{upper} belongs to a SELECT that has GROUP BY TUMBLE(ts, INTERVAL …), HOP or SESSION; or write FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL …)) and GROUP BY window_start, window_end"
        );
    }
    if upper == "UNNEST" {
        return "UNNEST stands in FROM: … CROSS JOIN UNNEST(array) AS t (element)".to_owned();
    }
    if OF_MATCHES.contains(&upper) {
        return format!("{upper} belongs to MEASURES and DEFINE of MATCH_RECOGNIZE");
    }
    if let Some(message) = not_here(upper) {
        return message;
    }
    let candidates = all().map(|f| f.name).chain(aggregate::names());
    format!("the function \"{name}\" is unknown{}", did_you_mean(upper, candidates, '"'))
}

impl Site {
    fn error<T>(&self, span: Span, message: impl Into<String>) -> Result<T, SqlError> {
        Err(SqlError::new(span, message))
    }

    /// The name that people write.
    pub(crate) fn name(&self) -> &'static str {
        let Function { name, usage, .. } = self.function;
        match name.contains(' ') {
            true => usage.split_once('(').map_or(name, |(written, _)| written),
            false => name,
        }
    }

    /// The number of arguments is wrong.
    pub(crate) fn count_error<T>(&self) -> Result<T, SqlError> {
        let given = match self.args.len() {
            1 => "1 argument".to_owned(),
            n => format!("{n} arguments"),
        };
        self.error(
            self.span,
            format!("{} does not take {given}; it is {}", self.name(), self.function.usage),
        )
    }

    pub(crate) fn expect_count(
        &self,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<(), SqlError> {
        if range.contains(&self.args.len()) { Ok(()) } else { self.count_error() }
    }

    /// Argument `i`, which must be a value.
    pub(crate) fn expr(&self, i: usize) -> Result<Expr, SqlError> {
        match &self.args[i] {
            Arg::Expr(expr) => Ok(expr.clone()),
            Arg::Unit(_, span) => self.error(
                *span,
                format!(
                    "a unit of time has no meaning here; {} is {}",
                    self.name(),
                    self.function.usage
                ),
            ),
        }
    }

    pub(crate) fn unit(&self, i: usize) -> Result<(Unit, Span), SqlError> {
        match &self.args[i] {
            Arg::Unit(unit, span) => Ok((*unit, *span)),
            Arg::Expr(expr) => self.error(
                expr.span,
                format!(
                    "{} takes a unit of time here, such as HOUR; it is {}",
                    self.name(),
                    self.function.usage
                ),
            ),
        }
    }

    /// Argument `i` is of the wrong type.
    pub(crate) fn type_error<T>(&self, i: usize, wanted: &str) -> Result<T, SqlError> {
        let expr = self.expr(i)?;
        self.error(
            expr.span,
            format!(
                "argument {} of {} is {wanted}, not {}; it is {}",
                i + 1,
                self.name(),
                expr.kind(),
                self.function.usage
            ),
        )
    }

    /// Argument `i` brought to what is wanted, without losing anything.
    pub(crate) fn want(&self, i: usize, want: Want) -> Result<Expr, SqlError> {
        let expr = self.expr(i)?;
        let kind = expr.kind();
        let (fits, to, name) = match want {
            Want::Text => (kind.is_text(), Kind::STRING, "a string"),
            Want::Int => (kind.is_integer() && kind != Kind::BigInt, Kind::Int, "an INT"),
            Want::BigInt => (kind.is_integer(), Kind::BigInt, "an integer"),
            Want::Double => (kind.is_numeric(), Kind::Double, "a number"),
            Want::Boolean => (kind == Kind::Boolean, Kind::Boolean, "a BOOLEAN"),
        };
        if !fits && kind != Kind::Null {
            return self.type_error(i, name);
        }
        self.cast(expr, to)
    }

    /// A cast that the planner puts in.
    pub(crate) fn cast(&self, expr: Expr, to: Kind) -> Result<Expr, SqlError> {
        let span = expr.span;
        cast::cast(expr, SqlType::nullable(to), Style::Hidden, false, span)
            .map_err(|message| SqlError::new(span, message))
    }

    /// The finished call.
    pub(crate) fn call(
        &self,
        args: Vec<Expr>,
        ret: SqlType,
        fallible: bool,
        run: impl Fn(&[Col], usize) -> Result<ArrayRef, EngineError> + Send + Sync + 'static,
    ) -> Result<Expr, SqlError> {
        self.named_call(self.function.name.to_owned(), args, ret, fallible, run)
    }

    pub(crate) fn named_call(
        &self,
        name: String,
        args: Vec<Expr>,
        ret: SqlType,
        fallible: bool,
        run: impl Fn(&[Col], usize) -> Result<ArrayRef, EngineError> + Send + Sync + 'static,
    ) -> Result<Expr, SqlError> {
        let call = Call {
            name,
            args,
            kind: ret.kind,
            kernel: Arc::new(move |args, rows| {
                let rows = crate::expr::col::rows_of(args, rows);
                Ok(Col::of(run(args, rows)?, args))
            }),
            fallible,
            nondeterministic: None,
            style: Style::Function,
        };
        Expr::call(call, ret, self.span).map_err(|message| SqlError::new(self.span, message))
    }

    fn simple(&self, simple: &'static Simple) -> Result<Expr, SqlError> {
        let most = if simple.variadic { usize::MAX } else { simple.wants.len() };
        self.expect_count(simple.wants.len() - simple.optional..=most)?;
        let last = simple.wants.last().copied().unwrap_or(Want::Text);
        let args = (0..self.args.len())
            .map(|i| self.want(i, simple.wants.get(i).copied().unwrap_or(last)))
            .collect::<Result<Vec<_>, _>>()?;
        let nullable = simple.may_be_null || args.iter().any(|a| a.ty.nullable);
        self.call(args, SqlType { kind: simple.ret, nullable }, simple.fallible, simple.run)
    }
}

/// A function with fixed argument types that gives NULL exactly for NULL.
const fn simple(
    name: &'static str,
    usage: &'static str,
    wants: &'static [Want],
    ret: Kind,
    run: fn(&[Col], usize) -> Result<ArrayRef, EngineError>,
) -> Function {
    Function {
        name,
        usage,
        body: Body::Simple(Simple {
            wants,
            optional: 0,
            variadic: false,
            ret,
            may_be_null: false,
            fallible: false,
            run,
        }),
    }
}

/// As [`simple`], with optional arguments; the answer may be NULL.
const fn optional(
    name: &'static str,
    usage: &'static str,
    wants: &'static [Want],
    optional: usize,
    ret: Kind,
    run: fn(&[Col], usize) -> Result<ArrayRef, EngineError>,
) -> Function {
    Function {
        name,
        usage,
        body: Body::Simple(Simple {
            wants,
            optional,
            variadic: false,
            ret,
            may_be_null: true,
            fallible: false,
            run,
        }),
    }
}

/// A function that binds itself.
const fn special(
    name: &'static str,
    usage: &'static str,
    bind: fn(&mut Site) -> Result<Expr, SqlError>,
) -> Function {
    Function { name, usage, body: Body::Special(bind) }
}
