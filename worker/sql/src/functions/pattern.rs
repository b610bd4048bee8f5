//! LIKE, SIMILAR TO and regular expressions.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::Int32Type;
use regex::Regex;
use weir_engine::EngineError;

use super::{Function, Site, Want, special};
use crate::error::{Span, SqlError};
use crate::expr::col::{Prims, Texts};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};

type Array = Result<ArrayRef, EngineError>;

pub(super) const FUNCTIONS: &[Function] = &[
    special("LIKE", "string LIKE pattern [ESCAPE character]", like),
    special("SIMILAR", "string SIMILAR TO pattern [ESCAPE character]", similar),
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
];

/// Largest compiled expression, so that a pattern cannot exhaust the memory.
const MAX_COMPILED: usize = 1 << 20;
/// Patterns kept of a column that holds patterns.
const MAX_CACHED: usize = 64;

fn compile(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            error => error
                .to_string()
                .lines()
                .last()
                .unwrap_or("it cannot be read")
                .trim()
                .trim_start_matches("error: ")
                .to_owned(),
        },
    )
}

/// How a pattern becomes a regular expression.
type Translate = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// The compiled patterns of a column.
struct Patterns<'a> {
    texts: Texts<'a>,
    known: HashMap<String, Option<Regex>>,
    translate: &'a Translate,
}

impl<'a> Patterns<'a> {
    fn of(col: &'a Col, translate: &'a Translate) -> Self {
        Self { texts: Texts::of(col), known: HashMap::new(), translate }
    }

    /// The pattern of a row; `Some(None)` when it is none.
    fn get(&mut self, row: usize) -> Option<Option<&Regex>> {
        let text = self.texts.get(row)?;
        if !self.known.contains_key(text) {
            if self.known.len() >= MAX_CACHED {
                self.known.clear();
            }
            let compiled = (self.translate)(text).and_then(|p| compile(&p)).ok();
            self.known.insert(text.to_owned(), compiled);
        }
        self.known.get(text).map(Option::as_ref)
    }
}

/// A literal pattern that cannot be read is an error of the program; Flink runs it, and gives
/// FALSE or NULL for every row.
fn check(expr: &Expr, translate: &Translate, span: Span) -> Result<(), SqlError> {
    let Some(value) = expr.as_literal().filter(|v| v.is_valid(0) && expr.kind().is_text()) else {
        return Ok(());
    };
    let pattern = value.as_string::<i32>().value(0);
    translate(pattern).and_then(|p| compile(&p)).map(|_| ()).map_err(|reason| {
        SqlError::new(span, format!("the pattern '{pattern}' cannot be read: {reason}"))
    })
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

fn matcher(site: &Site, translate: Translate, escape: Option<char>) -> Result<Expr, SqlError> {
    let (text, pattern) = (site.want(0, Want::Text)?, site.want(1, Want::Text)?);
    let span = site.expr(1)?.span;
    check(&pattern, &translate, span)?;
    let ty = SqlType { kind: Kind::Boolean, nullable: text.ty.nullable || pattern.ty.nullable };
    let name = match escape {
        Some(c) => format!("{} ESCAPE '{c}'", site.function.name),
        None => site.function.name.to_owned(),
    };
    site.named_call(name, vec![text, pattern], ty, false, move |args, rows| {
        let texts = Texts::of(&args[0]);
        let mut patterns = Patterns::of(&args[1], &translate);
        let result: BooleanArray = (0..rows)
            .map(|r| {
                let text = texts.get(r)?;
                Some(patterns.get(r)?.is_some_and(|p| p.is_match(text)))
            })
            .collect();
        Ok(Arc::new(result))
    })
}

fn like(site: &mut Site) -> Result<Expr, SqlError> {
    let escape = escape_of(site)?;
    matcher(site, Arc::new(move |p| translate_like(p, escape)), escape)
}

fn translate_like(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut result = "(?s)^".to_owned();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => {
                    result.push_str(&regex::escape(&next.to_string()));
                }
                _ => {
                    return Err(
                        "the escape character stands before neither %, _ nor itself".to_owned()
                    );
                }
            },
            '%' => result.push_str(".*"),
            '_' => result.push('.'),
            c => result.push_str(&regex::escape(&c.to_string())),
        }
    }
    result.push('$');
    Ok(result)
}

fn similar(site: &mut Site) -> Result<Expr, SqlError> {
    let escape = escape_of(site)?;
    matcher(site, Arc::new(move |p| translate_similar(p, escape)), escape)
}

fn translate_similar(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut result = "(?s)^(?:".to_owned();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => result.push_str(&regex::escape(&next.to_string())),
                None => return Err("it ends with the escape character".to_owned()),
            },
            '%' => result.push_str(".*"),
            '_' => result.push('.'),
            // Characters that SIMILAR TO gives no meaning to, but regular expressions do.
            '.' | '^' | '$' | '\\' => {
                result.push('\\');
                result.push(c);
            }
            c => result.push(c),
        }
    }
    result.push_str(")$");
    Ok(result)
}

fn plain() -> Translate {
    Arc::new(|pattern| Ok(pattern.to_owned()))
}

fn regexp(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    matcher(site, plain(), None)
}

/// The replacement is taken as it stands: `$1` means nothing in it, as in Flink.
fn regexp_replace(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let args = (0..3).map(|i| site.want(i, Want::Text)).collect::<Result<Vec<_>, _>>()?;
    let translate = plain();
    check(&args[1], &translate, site.expr(1)?.span)?;
    site.call(args, SqlType::nullable(Kind::STRING), false, move |args, rows| -> Array {
        let (texts, with) = (Texts::of(&args[0]), Texts::of(&args[2]));
        let mut patterns = Patterns::of(&args[1], &translate);
        let result: StringArray = (0..rows)
            .map(|r| {
                let (text, with) = (texts.get(r)?, with.get(r)?);
                let pattern = patterns.get(r)??;
                Some(pattern.replace_all(text, regex::NoExpand(with)).into_owned())
            })
            .collect();
        Ok(Arc::new(result))
    })
}

fn regexp_extract(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=3)?;
    let mut args = vec![site.want(0, Want::Text)?, site.want(1, Want::Text)?];
    if site.args.len() == 3 {
        args.push(site.want(2, Want::Int)?);
    }
    let translate = plain();
    check(&args[1], &translate, site.expr(1)?.span)?;
    site.call(args, SqlType::nullable(Kind::STRING), false, move |args, rows| -> Array {
        let texts = Texts::of(&args[0]);
        let groups = args.get(2).map(Prims::<Int32Type>::of);
        let mut patterns = Patterns::of(&args[1], &translate);
        let result: StringArray = (0..rows)
            .map(|r| {
                let text = texts.get(r)?;
                let group = match &groups {
                    Some(groups) => usize::try_from(groups.get(r)?).ok()?,
                    None => 0,
                };
                let pattern = patterns.get(r)??;
                Some(pattern.captures(text)?.get(group)?.as_str().to_owned())
            })
            .collect();
        Ok(Arc::new(result))
    })
}
