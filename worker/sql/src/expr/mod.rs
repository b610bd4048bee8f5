//! Bound expressions: typed, resolved to column numbers, ready to compile.

pub(crate) mod arith;
pub(crate) mod cast;
pub(crate) mod col;
pub(crate) mod compare;
pub(crate) mod format;
pub(crate) mod nested;
pub(crate) mod program;
pub(crate) mod render;
pub(crate) mod time;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use weir_engine::EngineError;

pub(crate) use col::Col;

use crate::error::Span;
use crate::types::{Kind, SqlType};

/// What a function does: columns (or single values) of one batch to a column.
pub(crate) type Kernel = Arc<dyn Fn(&[Col], usize) -> Result<Col, EngineError> + Send + Sync>;

/// A bound expression.
#[derive(Clone)]
pub(crate) struct Expr {
    pub(crate) node: Arc<Node>,
    pub(crate) ty: SqlType,
    pub(crate) span: Span,
}

/// What an expression is made of.
pub(crate) enum Node {
    Column(usize),
    /// One value, as an array of length 1.
    Literal(ArrayRef),
    /// Flink evaluates the right side only where the left leaves the answer open.
    And(Expr, Expr),
    Or(Expr, Expr),
    /// Branches are evaluated only for the rows that take them.
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Expr,
    },
    Call(Call),
}

/// A function applied to arguments.
pub(crate) struct Call {
    /// Name and everything else that distinguishes it from other calls of the same arguments.
    pub(crate) name: String,
    pub(crate) args: Vec<Expr>,
    /// What the kernel gives. The expression's own kind may be a wider one that holds the same
    /// values, such as STRING for a VARCHAR(2).
    pub(crate) kind: Kind,
    pub(crate) kernel: Kernel,
    /// Whether data can make it fail.
    pub(crate) fallible: bool,
    /// Why its result does not depend on its arguments alone.
    pub(crate) nondeterministic: Option<&'static str>,
    /// How people write it, for names and plans.
    pub(crate) style: Style,
}

/// How a call is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// `NAME(a, b)`.
    Function,
    /// `a + b`.
    Infix,
    /// `NOT a`, `-a`.
    Prefix,
    /// `a IS NULL`.
    Postfix,
    /// Put in by the planner; only the argument is shown.
    Hidden,
    /// `CAST(a AS t)`.
    Cast,
}

impl Expr {
    pub(crate) fn new(node: Node, ty: SqlType, span: Span) -> Self {
        Self { node: Arc::new(node), ty, span }
    }

    pub(crate) fn column(index: usize, ty: SqlType, span: Span) -> Self {
        Self::new(Node::Column(index), ty, span)
    }

    pub(crate) fn literal(value: ArrayRef, kind: Kind, span: Span) -> Self {
        let nullable = value.is_null(0) || kind == Kind::Null;
        Self::new(Node::Literal(value), SqlType { kind, nullable }, span)
    }

    pub(crate) fn null(kind: Kind, span: Span) -> Self {
        Self::literal(new_null_array(&kind.arrow(), 1), kind, span)
    }

    /// A call that is replaced by its value when all of its arguments are values.
    pub(crate) fn call(call: Call, ty: SqlType, span: Span) -> Result<Self, String> {
        let foldable = call.nondeterministic.is_none()
            && call.args.iter().all(|arg| matches!(*arg.node, Node::Literal(_)));
        if foldable {
            let values: Vec<Col> = call
                .args
                .iter()
                .filter_map(|arg| arg.as_literal().map(|v| Col::Scalar(v.clone())))
                .collect();
            let value = (call.kernel)(&values, 1).map_err(|e| e.message)?.into_array(1)?;
            return Ok(Self::new(
                Node::Literal(value.slice(0, 1)),
                SqlType { nullable: ty.nullable, ..ty },
                span,
            ));
        }
        Ok(Self::new(Node::Call(call), ty, span))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.ty.kind
    }

    pub(crate) fn as_literal(&self) -> Option<&ArrayRef> {
        match &*self.node {
            Node::Literal(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_column(&self) -> Option<usize> {
        match *self.node {
            Node::Column(index) => Some(index),
            _ => None,
        }
    }

    pub(crate) fn children(&self) -> Vec<&Expr> {
        match &*self.node {
            Node::Column(_) | Node::Literal(_) => Vec::new(),
            Node::And(a, b) | Node::Or(a, b) => vec![a, b],
            Node::Case { whens, otherwise } => {
                whens.iter().flat_map(|(w, t)| [w, t]).chain([otherwise]).collect()
            }
            Node::Call(call) => call.args.iter().collect(),
        }
    }

    /// Adds the columns that it reads.
    pub(crate) fn columns(&self, into: &mut BTreeSet<usize>) {
        if let Node::Column(index) = *self.node {
            into.insert(index);
        }
        for child in self.children() {
            child.columns(into);
        }
    }

    /// The expression with every column replaced by what `columns` holds for it.
    pub(crate) fn substitute(&self, columns: &impl Fn(usize) -> Expr) -> Self {
        let node = match &*self.node {
            Node::Column(index) => {
                let found = columns(*index);
                return Self {
                    ty: self.ty,
                    span: if self.span.line > 0 { self.span } else { found.span },
                    node: found.node,
                };
            }
            Node::Literal(_) => return self.clone(),
            Node::And(a, b) => Node::And(a.substitute(columns), b.substitute(columns)),
            Node::Or(a, b) => Node::Or(a.substitute(columns), b.substitute(columns)),
            Node::Case { whens, otherwise } => Node::Case {
                whens: whens
                    .iter()
                    .map(|(w, t)| (w.substitute(columns), t.substitute(columns)))
                    .collect(),
                otherwise: otherwise.substitute(columns),
            },
            Node::Call(call) => Node::Call(Call {
                name: call.name.clone(),
                args: call.args.iter().map(|a| a.substitute(columns)).collect(),
                kernel: call.kernel.clone(),
                ..*call
            }),
        };
        Self::new(node, self.ty, self.span)
    }

    /// The same expression over columns with other numbers.
    pub(crate) fn renumber(&self, number: &impl Fn(usize) -> usize) -> Self {
        self.substitute(&|index| Expr::column(number(index), self.ty, Span::default()))
    }

    /// Whether data can make it fail.
    pub(crate) fn fallible(&self) -> bool {
        matches!(&*self.node, Node::Call(call) if call.fallible)
            || self.children().into_iter().any(Self::fallible)
    }

    /// Why it does not depend on the row alone; the first reason found.
    pub(crate) fn nondeterministic(&self) -> Option<&'static str> {
        if let Node::Call(call) = &*self.node
            && let Some(reason) = call.nondeterministic
        {
            return Some(reason);
        }
        self.children().into_iter().find_map(Self::nondeterministic)
    }

    /// Text that is equal exactly for expressions that mean the same; `column` names columns.
    pub(crate) fn canonical(&self, column: &impl Fn(usize) -> String) -> String {
        let mut text = String::new();
        self.write_canonical(&mut text, column);
        text
    }

    fn write_canonical(&self, out: &mut String, column: &impl Fn(usize) -> String) {
        let name = match &*self.node {
            Node::Column(index) => {
                out.push_str(&column(*index));
                return;
            }
            Node::Literal(value) => {
                let _ = write!(out, "{}:{}", self.kind(), exact_literal(value, self.kind()));
                return;
            }
            Node::And(..) => "AND",
            Node::Or(..) => "OR",
            Node::Case { .. } => "CASE",
            Node::Call(call) => &call.name,
        };
        // Two casts to different lengths may both be passed on as STRING.
        let kind = match &*self.node {
            Node::Call(call) => call.kind,
            _ => self.kind(),
        };
        let _ = write!(out, "{name}(");
        for (i, child) in self.children().into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            child.write_canonical(out, column);
        }
        let _ = write!(out, "):{kind}");
    }
}

/// A literal's text, different for values that are: people do not see that NULL is not 'NULL', nor
/// the milliseconds of a TIME.
fn exact_literal(value: &ArrayRef, kind: Kind) -> String {
    use arrow::array::AsArray;
    use arrow::datatypes::Time32MillisecondType;
    let text = format!("{:?}", render::literal(value, kind));
    if value.is_null(0) || kind == Kind::Null {
        return text;
    }
    match kind {
        // Which of its parts are NULL is not seen in their text.
        Kind::Nested(_) => format!("{value:?}"),
        kind if kind.is_text() && text == "\"NULL\"" => format!("text {text}"),
        Kind::Time(_) => match value.as_primitive::<Time32MillisecondType>().value(0) % 1000 {
            0 => text,
            ms => format!("{text}+{ms} ms"),
        },
        _ => text,
    }
}
