//! LIKE, SIMILAR TO and regular expressions.

use std::collections::HashMap;
use std::sync::Arc;

use ::regex::{Regex, RegexBuilder};
use arrow::array::{Array as _, ArrayRef, AsArray, BooleanArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use weir_engine::EngineError;

use super::regex::JavaRegex;
use super::{Function, Site, Want, similar, special};
use crate::error::{Span, SqlError};
use crate::expr::col::{Prims, Texts};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};

type Array = Result<ArrayRef, EngineError>;

pub(super) const FUNCTIONS: &[Function] = &[
    special("LIKE", "string LIKE pattern [ESCAPE character]", like),
    special("SIMILAR", "string SIMILAR TO pattern [ESCAPE character]", similar_to),
    special("REGEXP", "REGEXP(string, regular expression)", regexp),
    special(
        "REGEXP_REPLACE",
        "REGEXP_REPLACE(string, regular expression, replacement)",
        regexp_replace,
    ),
    special(
        "REGEXP_EXTRACT",
        "REGEXP_EXTRACT(string, regular expression [, group])",
        regexp_extract,
    ),
    special("REGEXP_COUNT", "REGEXP_COUNT(string, regular expression)", |site| {
        places(site, |regex, text| {
            let mut count = 0;
            regex.each(text, |_| count += 1);
            count
        })
    }),
    special("REGEXP_INSTR", "REGEXP_INSTR(string, regular expression)", |site| {
        places(site, |regex, text| {
            let found = regex.find_at(text, 0);
            found.map_or(0, |found| text[..found.start].chars().count() as i32 + 1)
        })
    }),
    special("REGEXP_SUBSTR", "REGEXP_SUBSTR(string, regular expression)", |site| {
        site.expect_count(2..=2)?;
        regexp_extract(site)
    }),
];

/// Patterns kept of a column that holds patterns.
const MAX_CACHED: usize = 64;

/// Reads a pattern.
pub(super) type Compile<P> = Arc<dyn Fn(&str) -> Result<P, String> + Send + Sync>;

/// The compiled patterns of a column.
pub(super) struct Patterns<'a, P> {
    texts: Texts<'a>,
    known: HashMap<String, P>,
    compile: &'a Compile<P>,
}

impl<'a, P> Patterns<'a, P> {
    pub(super) fn of(col: &'a Col, compile: &'a Compile<P>) -> Self {
        Self { texts: Texts::of(col), known: HashMap::new(), compile }
    }

    /// The pattern of a row; one that cannot be read stops the job, as its answer would be a
    /// guess. Flink gives FALSE or NULL for some, and stops for others.
    pub(super) fn get(&mut self, row: usize) -> Result<Option<&P>, EngineError> {
        let Some(text) = self.texts.get(row) else {
            return Ok(None);
        };
        if !self.known.contains_key(text) {
            if self.known.len() >= MAX_CACHED {
                self.known.clear();
            }
            let compiled = (self.compile)(text)
                .map_err(|reason| EngineError::user(cannot_be_read(text, &reason)))?;
            self.known.insert(text.to_owned(), compiled);
        }
        Ok(self.known.get(text))
    }
}

fn cannot_be_read(pattern: &str, reason: &str) -> String {
    format!("the pattern '{pattern}' cannot be read: {reason}")
}

/// A literal pattern that cannot be read is an error of the program. Answers whether there are
/// other patterns, which only the data tells.
pub(super) fn check<P>(expr: &Expr, compile: &Compile<P>, span: Span) -> Result<bool, SqlError> {
    let Some(value) = expr.as_literal() else {
        return Ok(true);
    };
    if value.is_null(0) || !expr.kind().is_text() {
        return Ok(false);
    }
    let pattern = value.as_string::<i32>().value(0);
    match compile(pattern) {
        Ok(_) => Ok(false),
        Err(reason) => Err(SqlError::new(span, cannot_be_read(pattern, &reason))),
    }
}

fn escape_of(site: &Site) -> Result<Option<char>, SqlError> {
    if site.args.len() < 3 {
        return Ok(None);
    }
    let expr = site.expr(2)?;
    let text =
        expr.as_literal().map(|v| v.as_string::<i32>().value(0).to_owned()).unwrap_or_default();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Some(c)),
        _ => Err(SqlError::new(expr.span, "ESCAPE is one character")),
    }
}

fn matcher<P: 'static>(
    site: &Site,
    compile: Compile<P>,
    escape: Option<char>,
    is_match: fn(&P, &str) -> bool,
) -> Result<Expr, SqlError> {
    let (text, pattern) = (site.want(0, Want::Text)?, site.want(1, Want::Text)?);
    let span = site.expr(1)?.span;
    let fallible = check(&pattern, &compile, span)?;
    let ty = SqlType { kind: Kind::Boolean, nullable: text.ty.nullable || pattern.ty.nullable };
    let name = match escape {
        Some(c) => format!("{} ESCAPE '{c}'", site.function.name),
        None => site.function.name.to_owned(),
    };
    site.named_call(name, vec![text, pattern], ty, fallible, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let mut patterns = Patterns::of(&args[1], &compile);
        let one = |r: usize| match texts.get(r) {
            Some(text) => Ok(patterns.get(r)?.map(|pattern| is_match(pattern, text))),
            None => Ok(None),
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<BooleanArray, EngineError>>()?))
    })
}

fn like(site: &mut Site) -> Result<Expr, SqlError> {
    let escape = escape_of(site)?;
    matcher(site, Arc::new(move |p| compile_like(p, escape)), escape, Regex::is_match)
}

/// `%` takes line ends, `_` does not, as Java's `.`.
fn compile_like(pattern: &str, escape: Option<char>) -> Result<Regex, String> {
    let mut result = r"\A".to_owned();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => {
                    result.push_str(&::regex::escape(&next.to_string()));
                }
                _ => {
                    return Err(
                        "the escape character stands before neither %, _ nor itself".to_owned()
                    );
                }
            },
            '%' => result.push_str("(?s:.*)"),
            '_' => result.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            c => result.push_str(&::regex::escape(&c.to_string())),
        }
    }
    result.push_str(r"\z");
    let compiled = RegexBuilder::new(&result).size_limit(super::regex::MAX_COMPILED).build();
    compiled.map_err(|_| "it is too large".to_owned())
}

fn similar_to(site: &mut Site) -> Result<Expr, SqlError> {
    let escape = escape_of(site)?;
    let compile = move |p: &str| JavaRegex::whole(&similar::translate(p, escape)?);
    matcher(site, Arc::new(compile), escape, JavaRegex::is_match)
}

pub(super) fn java() -> Compile<JavaRegex> {
    Arc::new(JavaRegex::find)
}

/// The empty expression is found in no string.
fn regexp(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let compile: Compile<Option<JavaRegex>> = Arc::new(|pattern| match pattern {
        "" => Ok(None),
        pattern => JavaRegex::find(pattern).map(Some),
    });
    matcher(site, compile, None, |regex, text| regex.as_ref().is_some_and(|r| r.is_match(text)))
}

/// The replacement is taken as it stands: `$1` means nothing in it, as in Flink.
fn regexp_replace(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let args = (0..3).map(|i| site.want(i, Want::Text)).collect::<Result<Vec<_>, _>>()?;
    let compile = java();
    let fallible = check(&args[1], &compile, site.expr(1)?.span)?;
    site.call(args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| -> Array {
        let (texts, with) = (Texts::of(&args[0]), Texts::of(&args[2]));
        let mut patterns = Patterns::of(&args[1], &compile);
        let one = |r: usize| match (texts.get(r), with.get(r)) {
            (Some(text), Some(with)) => {
                Ok(patterns.get(r)?.map(|pattern| pattern.replace_all(text, with)))
            }
            _ => Ok(None),
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

fn regexp_extract(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=3)?;
    let mut args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    if site.args.len() == 3 {
        args.push(site.want(2, Want::Int)?);
    }
    let compile = java();
    let fallible = check(&args[1], &compile, site.expr(1)?.span)?;
    site.call(args, SqlType::nullable(Kind::STRING), fallible, move |args, rows| -> Array {
        let texts = Texts::of(&args[0]);
        let groups = args.get(2).map(Prims::<Int32Type>::of);
        let mut patterns = Patterns::of(&args[1], &compile);
        let one = |r: usize| {
            let group = match &groups {
                Some(groups) => groups.get(r).and_then(|group| usize::try_from(group).ok()),
                None => Some(0),
            };
            let (Some(text), Some(group), Some(pattern)) = (texts.get(r), group, patterns.get(r)?)
            else {
                return Ok(None);
            };
            let found = pattern.find_at(text, 0).and_then(|found| found.group(group));
            Ok(found.map(|(start, end)| &text[start..end]))
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// A number for each text, of where a pattern is found in it.
fn places(site: &mut Site, of: fn(&JavaRegex, &str) -> i32) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    let compile = java();
    let fallible = check(&args[1], &compile, site.expr(1)?.span)?;
    site.call(args, SqlType::nullable(Kind::Int), fallible, move |args, rows| -> Array {
        let texts = Texts::of(&args[0]);
        let mut patterns = Patterns::of(&args[1], &compile);
        let one = |r: usize| match texts.get(r) {
            Some(text) => Ok(patterns.get(r)?.map(|pattern| of(pattern, text))),
            None => Ok(None),
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<Int32Array, EngineError>>()?))
    })
}
