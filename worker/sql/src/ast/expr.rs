//! Expressions.

use super::{Ident, Over, Query};
use crate::error::Span;
use crate::types::SqlType;

impl Call {
    /// A function of these arguments, with nothing else said.
    pub(crate) fn of(name: Ident, args: Vec<Expr>) -> Self {
        Self { name, args, star: false, distinct: false, filter: None, over: None }
    }
}

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
    /// Height of the tree, limited so that no program can exhaust the stack.
    pub(crate) height: u16,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ExprKind {
    Column(Vec<Ident>),
    Number(String),
    Text(String),
    Bool(bool),
    Null,
    /// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`.
    Typed {
        keyword: &'static str,
        text: String,
    },
    Interval {
        text: String,
        from: Unit,
        to: Option<Unit>,
    },
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary {
        left: Box<Expr>,
        op: BinaryOp,
        right: Box<Expr>,
    },
    IsNull {
        of: Box<Expr>,
        negated: bool,
    },
    /// `IS TRUE`, `IS FALSE`, `IS UNKNOWN`.
    IsBool {
        of: Box<Expr>,
        value: Option<bool>,
        negated: bool,
    },
    IsDistinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    Between {
        of: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
        symmetric: bool,
    },
    InList {
        of: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        of: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Exists(Box<Query>),
    /// `of op ANY (query)`, or ALL.
    Compared {
        of: Box<Expr>,
        op: BinaryOp,
        all: bool,
        query: Box<Query>,
    },
    /// A query that stands for a value.
    Scalar(Box<Query>),
    Like {
        of: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<String>,
        negated: bool,
        similar: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        of: Box<Expr>,
        ty: SqlType,
        lenient: bool,
    },
    Call(Box<Call>),
    /// A time unit where a function takes one.
    Unit(Unit),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Call {
    pub(crate) name: Ident,
    pub(crate) args: Vec<Expr>,
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<Expr>,
    pub(crate) over: Option<Over>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BinaryOp {
    Or,
    And,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Concat,
}

impl BinaryOp {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Or => "OR",
            Self::And => "AND",
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Less => "<",
            Self::LessEq => "<=",
            Self::Greater => ">",
            Self::GreaterEq => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Concat => "||",
        }
    }
}

/// A unit of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Epoch,
}

impl Unit {
    /// The unit that a keyword names, in singular or plural.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "MILLENNIUM" => Self::Millennium,
            "CENTURY" => Self::Century,
            "DECADE" => Self::Decade,
            "YEAR" | "YEARS" | "SQL_TSI_YEAR" => Self::Year,
            "QUARTER" | "QUARTERS" | "SQL_TSI_QUARTER" => Self::Quarter,
            "MONTH" | "MONTHS" | "SQL_TSI_MONTH" => Self::Month,
            "WEEK" | "WEEKS" | "SQL_TSI_WEEK" => Self::Week,
            "DAY" | "DAYS" | "SQL_TSI_DAY" => Self::Day,
            "HOUR" | "HOURS" | "SQL_TSI_HOUR" => Self::Hour,
            "MINUTE" | "MINUTES" | "SQL_TSI_MINUTE" => Self::Minute,
            "SECOND" | "SECONDS" | "SQL_TSI_SECOND" => Self::Second,
            "MILLISECOND" | "MILLISECONDS" => Self::Millisecond,
            "MICROSECOND" | "MICROSECONDS" => Self::Microsecond,
            "NANOSECOND" | "NANOSECONDS" => Self::Nanosecond,
            "DOW" => Self::DayOfWeek,
            "ISODOW" => Self::IsoDayOfWeek,
            "DOY" => Self::DayOfYear,
            "ISOYEAR" => Self::IsoYear,
            "EPOCH" => Self::Epoch,
            _ => return None,
        })
    }

    /// Milliseconds, for units of fixed length.
    pub(crate) fn millis(self) -> Option<i64> {
        Some(match self {
            Self::Week => 7 * 86_400_000,
            Self::Day => 86_400_000,
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1000,
            Self::Millisecond => 1,
            _ => return None,
        })
    }

    /// Months, for units made of months.
    pub(crate) fn months(self) -> Option<i64> {
        Some(match self {
            Self::Millennium => 12_000,
            Self::Century => 1200,
            Self::Decade => 120,
            Self::Year => 12,
            Self::Quarter => 3,
            Self::Month => 1,
            _ => return None,
        })
    }
}

/// The direct parts of an expression, but for what stands behind OVER.
pub(crate) fn children_mut(kind: &mut ExprKind) -> Vec<&mut Expr> {
    match kind {
        ExprKind::Negate(of)
        | ExprKind::Not(of)
        | ExprKind::IsNull { of, .. }
        | ExprKind::IsBool { of, .. }
        | ExprKind::InQuery { of, .. }
        | ExprKind::Compared { of, .. }
        | ExprKind::Cast { of, .. } => vec![of],
        ExprKind::Binary { left, right, .. } | ExprKind::IsDistinct { left, right, .. } => {
            vec![left, right]
        }
        ExprKind::Between { of, low, high, .. } => vec![of, low, high],
        ExprKind::InList { of, list, .. } => std::iter::once(&mut **of).chain(list).collect(),
        ExprKind::Like { of, pattern, .. } => vec![of, pattern],
        ExprKind::Case { operand, whens, otherwise } => operand
            .iter_mut()
            .map(|operand| &mut **operand)
            .chain(whens.iter_mut().flat_map(|(when, then)| [when, then]))
            .chain(otherwise.iter_mut().map(|otherwise| &mut **otherwise))
            .collect(),
        ExprKind::Call(call) => call.args.iter_mut().chain(&mut call.filter).collect(),
        ExprKind::Column(_)
        | ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Bool(_)
        | ExprKind::Null
        | ExprKind::Typed { .. }
        | ExprKind::Interval { .. }
        | ExprKind::Exists(_)
        | ExprKind::Scalar(_)
        | ExprKind::Unit(_) => Vec::new(),
    }
}
