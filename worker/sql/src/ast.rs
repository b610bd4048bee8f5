//! What a program says, with the place of every part; nothing is resolved yet.

use crate::error::Span;
use crate::rel::JoinKind;
use crate::types::SqlType;

/// A name as written. Names of tables and columns are case-sensitive, as in Flink.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ident {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A statement.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Statement {
    CreateTable(CreateTable),
    CreateView(CreateView),
    Insert(Insert),
    /// A query on its own, whose rows are shown.
    Query(Query),
    Set {
        key: String,
        value: String,
        span: Span,
    },
    /// Without a key: all of them.
    Reset {
        key: Option<(String, Span)>,
    },
    Drop {
        is_view: bool,
        name: Ident,
        if_exists: bool,
    },
    Alter(Alter),
    /// What only tells something, such as `EXPLAIN`: these are checked, and nothing is done.
    Told {
        what: &'static str,
        span: Span,
        of: Vec<Statement>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: Ident,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) watermark: Option<WatermarkDef>,
    pub(crate) primary_key: Vec<Ident>,
    pub(crate) partitioned_by: Vec<Ident>,
    pub(crate) options: Vec<OptionDef>,
    /// `LIKE`, until it is resolved.
    pub(crate) like: Option<Like>,
    /// `AS SELECT`.
    pub(crate) query: Option<Query>,
}

impl CreateTable {
    /// A table of which only the name is known.
    pub(crate) fn named(name: Ident) -> Self {
        Self {
            name,
            if_not_exists: false,
            columns: Vec::new(),
            watermark: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: Vec::new(),
            like: None,
            query: None,
        }
    }
}

/// `LIKE` of `CREATE TABLE`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Like {
    pub(crate) of: Ident,
    pub(crate) rules: Vec<LikeRule>,
}

/// How a part of a table is taken over from another one.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LikeRule {
    pub(crate) merging: Merging,
    pub(crate) feature: Feature,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merging {
    /// Taken over; what both have is an error.
    Including,
    Excluding,
    /// Taken over; what the new table says counts.
    Overwriting,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feature {
    All,
    Constraints,
    Distribution,
    Partitions,
    Options,
    /// Computed columns.
    Generated,
    Metadata,
    Watermarks,
}

/// `ALTER TABLE` and `ALTER VIEW`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Alter {
    pub(crate) is_view: bool,
    pub(crate) name: Ident,
    pub(crate) if_exists: bool,
    pub(crate) change: Change,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Change {
    Rename(Ident),
    /// Of a view.
    Query(Query),
    SetOptions(Vec<OptionDef>),
    ResetOptions(Vec<(String, Span)>),
    /// Columns, key and watermark that a part of a declaration says, and where columns go.
    Add {
        part: CreateTable,
        places: Vec<(Ident, Place)>,
    },
    Modify {
        part: CreateTable,
        places: Vec<(Ident, Place)>,
    },
    DropColumns(Vec<Ident>),
    DropPrimaryKey(Span),
    DropWatermark(Span),
    RenameColumn {
        from: Ident,
        to: Ident,
    },
}

/// Where a column is put.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Place {
    First,
    After(Ident),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OptionDef {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) key_span: Span,
    pub(crate) value_span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ColumnDef {
    pub(crate) name: Ident,
    pub(crate) kind: ColumnKind,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ColumnKind {
    Physical(SqlType),
    Computed(Expr),
    Metadata {
        ty: SqlType,
        key: Option<String>,
        is_virtual: bool,
    },
    /// The query's column of this name, of `CREATE TABLE (a, b) … AS SELECT`.
    OfQuery,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WatermarkDef {
    pub(crate) column: Ident,
    pub(crate) expr: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CreateView {
    pub(crate) name: Ident,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Insert {
    pub(crate) table: Ident,
    /// `/*+ OPTIONS(…) */` behind the table's name.
    pub(crate) options: Vec<OptionDef>,
    /// `PARTITION (column = value, …)`: values that all rows have.
    pub(crate) partition: Vec<(Ident, Expr)>,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Query {
    pub(crate) ctes: Vec<Cte>,
    pub(crate) body: Body,
    pub(crate) tail: Tail,
    pub(crate) span: Span,
}

/// `ORDER BY`, `LIMIT` and `OFFSET` of a query.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) order: Vec<OrderItem>,
    pub(crate) limit: Option<(u32, Span)>,
    pub(crate) offset: Option<(u32, Span)>,
    pub(crate) span: Span,
}

impl Tail {
    /// Whether the query has none of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.limit.is_none() && self.offset.is_none()
    }
}

/// What rows are sorted by.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OrderItem {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    /// Not said: first if ascending.
    pub(crate) nulls_first: Option<bool>,
}

/// What stands behind `OVER`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Over {
    Named(Ident),
    Spec(Box<WindowSpec>),
}

impl Over {
    /// The expressions of the window that it defines.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let spec = match self {
            Self::Named(_) => None,
            Self::Spec(spec) => Some(spec),
        };
        spec.into_iter()
            .flat_map(|spec| spec.partition.iter().chain(spec.order.iter().map(|item| &item.expr)))
    }
}

/// A window of the `WINDOW` clause.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NamedWindow {
    pub(crate) name: Ident,
    pub(crate) spec: WindowSpec,
}

/// `(base PARTITION BY … ORDER BY … ROWS …)`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WindowSpec {
    pub(crate) base: Option<Ident>,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<OrderItem>,
    pub(crate) frame: Option<Frame>,
    pub(crate) span: Span,
}

/// `ROWS BETWEEN … AND …`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Frame {
    /// Of rows; else of the range of the order's values.
    pub(crate) rows: bool,
    pub(crate) from: FrameBound,
    pub(crate) to: FrameBound,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Cte {
    pub(crate) name: Ident,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Body {
    Select(Box<Select>),
    Values {
        rows: Vec<Vec<Expr>>,
        span: Span,
    },
    /// `UNION ALL` of two or more.
    Union(Vec<Query>),
    /// The other ways to combine two queries.
    Set {
        op: SetOp,
        /// Rows as often as they are there, instead of each once.
        all: bool,
        left: Box<Query>,
        right: Box<Query>,
        span: Span,
    },
    Nested(Box<Query>),
}

impl Call {
    /// A function of these arguments, with nothing else said.
    pub(crate) fn of(name: Ident, args: Vec<Expr>) -> Self {
        Self { name, args, star: false, distinct: false, filter: None, over: None }
    }
}

/// How two queries are combined, without ALL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SetOp {
    Union,
    Intersect,
    Except,
}

impl SetOp {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Union => "UNION",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Select {
    pub(crate) distinct: Option<Span>,
    pub(crate) items: Vec<SelectItem>,
    pub(crate) from: Option<Relation>,
    pub(crate) filter: Option<Expr>,
    pub(crate) group_by: Option<GroupBy>,
    pub(crate) having: Option<Expr>,
    pub(crate) windows: Vec<NamedWindow>,
    pub(crate) qualify: Option<Expr>,
    /// `/*+ LOOKUP(…) */` behind SELECT.
    pub(crate) lookups: Vec<LookupHint>,
    pub(crate) span: Span,
}

/// How a table is asked by processing time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LookupHint {
    pub(crate) options: Vec<OptionDef>,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct GroupBy {
    pub(crate) keys: Vec<Expr>,
    /// Grouping sets, as numbers of keys; none: by all keys.
    pub(crate) sets: Vec<Vec<usize>>,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum SelectItem {
    /// `*` or `t.*`.
    Star {
        qualifier: Option<Ident>,
        span: Span,
    },
    Expr {
        expr: Expr,
        alias: Option<Ident>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Relation {
    pub(crate) kind: RelationKind,
    pub(crate) alias: Option<Ident>,
    pub(crate) columns: Vec<Ident>,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum RelationKind {
    /// A table or view, and `/*+ OPTIONS(…) */` behind its name.
    Table(Ident, Vec<OptionDef>),
    Subquery(Box<Query>),
    Window(Box<WindowCall>),
    Join(Box<JoinClause>),
    /// `t FOR SYSTEM_TIME AS OF time`, on the right of a join.
    AsOf(Box<AsOf>),
    Unnest(Box<UnnestCall>),
    /// `LATERAL (SELECT …)`: a query that may speak of what stands before it.
    Lateral(Box<Query>),
    /// `TABLE(f(x))` of a function that gives tables.
    Function(Box<Call>),
    /// `… MATCH_RECOGNIZE (…)`.
    Match(Box<MatchClause>),
}

/// A table as it was at a time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct AsOf {
    /// Without alias and columns, which stand behind.
    pub(crate) table: Relation,
    pub(crate) time: Expr,
    /// The words `FOR SYSTEM_TIME AS OF`.
    pub(crate) span: Span,
}

/// `UNNEST(value) [WITH ORDINALITY]`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct UnnestCall {
    pub(crate) value: Expr,
    pub(crate) ordinality: bool,
}

/// `MATCH_RECOGNIZE (…)`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MatchClause {
    pub(crate) data: Relation,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<OrderItem>,
    pub(crate) measures: Vec<(Expr, Ident)>,
    pub(crate) all_rows: bool,
    /// Absent: to the next row, as in Flink.
    pub(crate) skip: Option<MatchSkip>,
    pub(crate) pattern: MatchShape,
    pub(crate) within: Option<Expr>,
    pub(crate) subsets: Vec<(Ident, Vec<Ident>)>,
    pub(crate) define: Vec<(Ident, Expr)>,
    /// The word.
    pub(crate) span: Span,
}

/// `AFTER MATCH SKIP …`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum MatchSkip {
    PastLastRow,
    ToNextRow,
    ToFirst(Ident),
    ToLast(Ident),
}

/// What stands in `PATTERN (…)`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum MatchShape {
    Variable(Ident),
    Sequence(Vec<MatchShape>),
    Choice(Vec<MatchShape>),
    /// `PERMUTE(…)`.
    Permute(Vec<MatchShape>, Span),
    /// `{- … -}`.
    Exclude(Box<MatchShape>),
    Repeat {
        of: Box<MatchShape>,
        least: u32,
        most: Option<u32>,
        reluctant: bool,
        span: Span,
    },
}

/// `a JOIN b ON …`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct JoinClause {
    pub(crate) kind: JoinKind,
    pub(crate) left: Relation,
    pub(crate) right: Relation,
    pub(crate) on: JoinOn,
    /// The word JOIN and what belongs to it, or the comma.
    pub(crate) span: Span,
}

/// What rows of a join have in common.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum JoinOn {
    Nothing,
    Condition(Expr),
    Using(Vec<Ident>),
    /// All columns of equal names.
    Natural,
}

/// `TABLE(TUMBLE(…))`: the arguments by name, whichever way they were written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WindowCall {
    pub(crate) function: Ident,
    pub(crate) kind: WindowKind,
    pub(crate) data: Relation,
    /// Columns by which sessions are told apart.
    pub(crate) partition: Vec<Ident>,
    pub(crate) time: Ident,
    /// The size, of SESSION the gap.
    pub(crate) size: Expr,
    /// The slide of HOP, the step of CUMULATE.
    pub(crate) step: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WindowKind {
    Tumble,
    Hop,
    Cumulate,
    Session,
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
