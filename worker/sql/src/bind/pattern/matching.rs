//! What names and functions mean in MEASURES and DEFINE: values of a match's rows.

use weir_engine::aggregate::{AggregateCall, Function, functions as aggregates};
use weir_engine::operators::pattern::spec::{Of, Place, Value, What};

use super::super::aggregate::name_of_call;
use super::super::below::{Below, literal};
use super::super::expr::ExprBinder;
use super::super::query::short_name;
use crate::ast::{self, ExprKind, Ident};
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::Expr;
use crate::rel::Field;
use crate::types::{Kind, SqlType};

type Bound = Result<Expr, SqlError>;

fn fail<T>(span: Span, message: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::new(span, message))
}

/// What an expression of MEASURES or DEFINE is about. Its columns become values of the match.
pub(crate) struct Matching {
    pub(super) variables: Vec<String>,
    pub(super) subsets: Vec<(String, Vec<usize>)>,
    /// What FROM gives, and where its event time is.
    pub(super) fields: Vec<Field>,
    pub(super) time: usize,
    /// What is computed of rows below the operator.
    pub(super) below: Below,
    /// The values of what is being bound.
    pub(super) values: Vec<Value>,
    /// The variable that is being defined; none in MEASURES.
    pub(super) defined: Option<usize>,
    /// FIRST, LAST, PREV and NEXT around what is being bound.
    around: Option<Around>,
    /// Set while an aggregate's argument is bound: whose rows it is over.
    argument: Option<Option<Of>>,
    /// FINAL around it.
    whole: bool,
}

#[derive(Clone, Default)]
struct Around {
    /// LAST or FIRST, and how many rows from there.
    logical: Option<(bool, u32)>,
    /// PREV and NEXT.
    shift: Option<i64>,
    /// Whose rows the columns are of.
    of: Option<Of>,
}

impl Matching {
    pub(super) fn new(
        variables: Vec<String>,
        subsets: Vec<(String, Vec<usize>)>,
        fields: Vec<Field>,
        time: usize,
    ) -> Self {
        Self {
            variables,
            subsets,
            fields,
            time,
            below: Below::default(),
            values: Vec::new(),
            defined: None,
            around: None,
            argument: None,
            whole: false,
        }
    }

    /// The rows that a variable or subset names.
    pub(super) fn named(&self, name: &Ident) -> Result<Vec<usize>, SqlError> {
        if let Some(variable) = self.variables.iter().position(|known| *known == name.text) {
            return Ok(vec![variable]);
        }
        if let Some((_, of)) = self.subsets.iter().find(|(known, _)| *known == name.text) {
            return Ok(of.clone());
        }
        let subsets = self.subsets.iter().map(|(name, _)| name);
        let known: Vec<&str> = self.variables.iter().chain(subsets).map(String::as_str).collect();
        let hint = match did_you_mean(&name.text, known.iter().copied(), '"') {
            hint if hint.is_empty() => format!("; it has {}", known.join(", ")),
            hint => hint,
        };
        fail(name.span, format!("\"{}\" is no variable of PATTERN{hint}", name.text))
    }

    /// `column` or `variable.column`.
    pub(crate) fn column(
        &mut self,
        parts: &[Ident],
        span: Span,
        lacks: &dyn Fn(&Ident) -> SqlError,
    ) -> Bound {
        let (of, name) = match parts {
            [name] => (Of::All, name),
            [variable, name] => (Of::Variables(self.named(variable)?), name),
            _ => return fail(span, "a column is named as column or variable.column"),
        };
        let mut found = self.fields.iter().enumerate().filter(|(_, f)| f.name == name.text);
        let Some((index, field)) = found.next() else {
            return Err(lacks(name));
        };
        if found.next().is_some() {
            return fail(
                name.span,
                format!(
                    "column \"{}\" is ambiguous: there are several of this name; give them different names with AS",
                    name.text
                ),
            );
        }
        let field = field.clone();
        if let Some(argument) = &mut self.argument {
            if argument.as_ref().is_some_and(|other| *other != of) {
                return fail(
                    span,
                    "an aggregate is over the rows of one variable; SUBSET gives several of them a name",
                );
            }
            *argument = Some(of);
            return Ok(Expr::column(index, field.ty, span));
        }
        let defined = self.defined;
        let is_current = |of: &Of| match (of, defined) {
            (Of::All, _) => true,
            (Of::Variables(of), Some(defined)) => of.contains(&defined),
            (Of::Variables(_), None) => false,
        };
        let column = Expr::column(index, field.ty, span);
        let below = self.below.place(&column, || field.name.clone());
        let place = self.place(of, span)?;
        let is_there = place.last && (place.offset, place.shift) == (0, 0) && is_current(&place.of);
        let ty = SqlType { nullable: field.ty.nullable || !is_there, ..field.ty };
        Ok(self.value(Value::Row { what: What::Column(below), place }, ty, span))
    }

    /// Where a value is taken from, by what stands around it.
    fn place(&mut self, of: Of, span: Span) -> Result<Place, SqlError> {
        if let Some(around) = &mut self.around {
            if around.of.as_ref().is_some_and(|other| *other != of) {
                return fail(
                    span,
                    "FIRST, LAST, PREV and NEXT are of one variable's row; write them around each column",
                );
            }
            around.of = Some(of.clone());
        }
        let around = self.around.clone().unwrap_or_default();
        let (last, offset) = around.logical.unwrap_or((true, 0));
        Ok(Place { of, last, offset, shift: around.shift.unwrap_or(0), whole: self.whole })
    }

    fn value(&mut self, value: Value, ty: SqlType, span: Span) -> Expr {
        let known = self.values.iter().position(|known| *known == value);
        let at = known.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        Expr::column(at, ty, span)
    }
}

impl ExprBinder<'_> {
    fn matching(&mut self) -> Result<&mut Matching, SqlError> {
        self.matching
            .as_deref_mut()
            .ok_or_else(|| SqlError::new(Span::default(), "there is no match here"))
    }

    /// A function that is one of a match's rows.
    pub(crate) fn of_match(
        &mut self,
        call: &ast::Call,
        span: Span,
    ) -> Result<Option<Expr>, SqlError> {
        let name = call.name.text.to_ascii_uppercase();
        let value = match name.as_str() {
            "FIRST" | "LAST" | "PREV" | "NEXT" => self.navigation(&name, call, span)?,
            "FINAL" | "RUNNING" => self.seen(&name, call, span)?,
            "CLASSIFIER" | "MATCH_NUMBER" => {
                no_arguments(&name, call, span)?;
                let matching = self.matching()?;
                if matching.argument.is_some() {
                    return fail(span, format!("{name}() has no place in an aggregate"));
                }
                if name == "MATCH_NUMBER" {
                    let ty = SqlType::not_null(Kind::BigInt);
                    matching.value(Value::MatchNumber, ty, span)
                } else {
                    let place = matching.place(Of::All, span)?;
                    let ty = SqlType::nullable(Kind::STRING);
                    matching.value(Value::Row { what: What::Classifier, place }, ty, span)
                }
            }
            "MATCH_ROWTIME" => self.rowtime(call, span)?,
            "MATCH_PROCTIME" => {
                return fail(
                    span,
                    "MATCH_PROCTIME() is a processing time, and this match is ordered by event time; write MATCH_ROWTIME()",
                );
            }
            _ => match aggregates::find(&name) {
                Some(function) => self.aggregate_of_match(function, &name, call, span)?,
                None => return Ok(None),
            },
        };
        Ok(Some(value))
    }

    /// FIRST and LAST count a variable's rows, PREV and NEXT those of the partition.
    fn navigation(&mut self, name: &str, call: &ast::Call, span: Span) -> Bound {
        let is_logical = matches!(name, "FIRST" | "LAST");
        let (Some(of), true) = (call.args.first(), call.args.len() <= 2) else {
            return fail(
                span,
                format!("{name} takes a value and how many rows away it is, as in {name}(A.x, 1)"),
            );
        };
        let rows = match call.args.get(1) {
            None => u32::from(!is_logical),
            Some(rows) => {
                let bound = self.bind(rows)?;
                match literal(&bound).and_then(|rows| u32::try_from(rows).ok()) {
                    Some(rows) => rows,
                    None => {
                        return fail(
                            rows.span,
                            format!("the second argument of {name} is a number of rows, such as 1"),
                        );
                    }
                }
            }
        };
        let matching = self.matching()?;
        if matching.argument.is_some() {
            return fail(
                span,
                format!("{name} has no place in an aggregate; aggregate the column itself"),
            );
        }
        let before = matching.around.take();
        let mut around = before.clone().unwrap_or_default();
        if is_logical && around.logical.is_some() || !is_logical && around.shift.is_some() {
            let other = if is_logical { "FIRST and LAST" } else { "PREV and NEXT" };
            return fail(
                span,
                format!("{other} do not stand inside of each other; count the rows in one of them"),
            );
        }
        if !is_logical && around.logical.is_some() {
            return fail(
                span,
                format!("{name} stands around FIRST and LAST, not inside; write {name}(LAST(…))"),
            );
        }
        match name {
            "FIRST" | "LAST" => around.logical = Some((name == "LAST", rows)),
            "PREV" => around.shift = Some(-i64::from(rows)),
            _ => around.shift = Some(i64::from(rows)),
        }
        matching.around = Some(around);
        let bound = self.bind(of)?;
        let matching = self.matching()?;
        let of_rows = matching.around.take().and_then(|around| around.of);
        if of_rows.is_none() {
            return fail(of.span, format!("{name} needs a column of a row"));
        }
        matching.around = before.map(|around| Around { of: of_rows, ..around });
        Ok(bound)
    }

    /// `FINAL LAST(…)`.
    fn seen(&mut self, name: &str, call: &ast::Call, span: Span) -> Bound {
        let [of] = call.args.as_slice() else {
            return fail(span, format!("{name} stands before FIRST, LAST or an aggregate"));
        };
        let is_whole = name == "FINAL";
        let is_fit = matches!(&of.kind, ExprKind::Call(of)
            if matches!(of.name.text.to_ascii_uppercase().as_str(), "FIRST" | "LAST" | "CLASSIFIER")
                || aggregates::find(&of.name.text.to_ascii_uppercase()).is_some());
        if !is_fit {
            return fail(span, format!("{name} stands before FIRST, LAST or an aggregate"));
        }
        let matching = self.matching()?;
        if is_whole && matching.defined.is_some() {
            return fail(
                span,
                "FINAL has no place in DEFINE: the end of the match is not known while its rows are looked for; leave it out",
            );
        }
        let before = std::mem::replace(&mut matching.whole, is_whole);
        let bound = self.bind(of);
        self.matching()?.whole = before;
        bound
    }

    fn rowtime(&mut self, call: &ast::Call, span: Span) -> Bound {
        let matching = self.matching()?;
        if matching.defined.is_some() || matching.around.is_some() || matching.argument.is_some() {
            return fail(
                span,
                "MATCH_ROWTIME() is the time of a whole match, and has its place in MEASURES, by itself or in an expression; use the event-time column here",
            );
        }
        let (time, field) = (matching.time, matching.fields[matching.time].clone());
        let is_time = |arg: &ast::Expr| match &arg.kind {
            ExprKind::Column(parts) => parts.last().is_some_and(|name| name.text == field.name),
            _ => false,
        };
        if call.star || call.args.len() > 1 || !call.args.iter().all(is_time) {
            return fail(
                span,
                format!(
                    "MATCH_ROWTIME takes nothing, or the event time \"{}\" that the match is ordered by",
                    field.name
                ),
            );
        }
        let column = Expr::column(time, field.ty, span);
        let below = matching.below.place(&column, || field.name.clone());
        let place = Place { whole: true, ..Place::current() };
        Ok(matching.value(Value::Row { what: What::Column(below), place }, field.ty, span))
    }

    fn aggregate_of_match(
        &mut self,
        function: Function,
        name: &str,
        call: &ast::Call,
        span: Span,
    ) -> Bound {
        let matching = self.matching()?;
        if matching.around.is_some() {
            return fail(
                span,
                format!(
                    "{name} has no place in FIRST, LAST, PREV or NEXT, which take a row's value"
                ),
            );
        }
        if matching.argument.is_some() {
            return fail(
                span,
                format!("{name} is an aggregate, which cannot stand inside another"),
            );
        }
        if let Some(filter) = &call.filter {
            return fail(
                filter.span,
                "FILTER has no place in MATCH_RECOGNIZE; a variable of its own says which rows count",
            );
        }
        if call.distinct && matching.defined.is_some() {
            return fail(
                span,
                format!(
                    "{name}(DISTINCT …) is not supported in DEFINE: the values would have to be kept for every way that is tried; it is in MEASURES"
                ),
            );
        }
        let mut call = call.clone();
        let mut of = None;
        if call.star
            && let Some(ast::Expr { kind: ExprKind::Column(parts), .. }) = call.args.pop()
        {
            let [variable] = parts.as_slice() else {
                return fail(span, format!("{name} of a variable's rows is {name}(A.*)"));
            };
            of = Some(Of::Variables(matching.named(variable)?));
        }
        matching.argument = Some(of);
        let found = self.aggregate_call(function, name, &call, span);
        let matching = self.matching()?;
        let of = matching.argument.take().flatten().unwrap_or(Of::All);
        let found = found?;
        if let Some(arg) = &found.arg {
            if arg.fallible() {
                return fail(
                    arg.span,
                    "this argument can fail, and would for rows that are in no match; compute it in a query that MATCH_RECOGNIZE stands behind",
                );
            }
            if let Some(reason) = arg.nondeterministic() {
                return fail(arg.span, format!("this argument {reason}; compute it below"));
            }
        }
        let text = |expr: &Expr| short_name(expr, &matching.fields);
        let label =
            name_of_call(function, found.distinct, found.arg.as_ref().map(text).as_deref(), None);
        let input = found.arg.map(|arg| {
            let name = short_name(&arg, &matching.fields);
            matching.below.place(&arg, || name)
        });
        let (distinct, whole) = (found.distinct, matching.whole);
        let call = AggregateCall { function, input, filter: None, distinct, name: label };
        let ty = SqlType { kind: found.kind, nullable: function.is_nullable() };
        Ok(matching.value(Value::Aggregate { call, of, whole }, ty, span))
    }
}

fn no_arguments(name: &str, call: &ast::Call, span: Span) -> Result<(), SqlError> {
    match call.args.is_empty() && !call.star {
        true => Ok(()),
        false => fail(span, format!("{name} takes no arguments")),
    }
}
