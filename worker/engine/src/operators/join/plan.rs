//! A join, compiled: what each side keeps, and what it has to know.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_state::table::{self, Expiry, OrderField, TableSpec};

use super::spec::{Condition, Join, JoinInput, JoinKind};
use crate::OperatorError;
use crate::aggregate::InputRows;

/// The compiled join.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: JoinKind,
    pub(super) sides: [Side; 2],
    /// How many columns of each side's rows are given, the first ones.
    pub(super) widths: [usize; 2],
    pub(super) null_safe: Vec<bool>,
    pub(super) condition: Option<Condition>,
    pub(super) output: SchemaRef,
}

/// One side, and its table: by key the rows, told apart by their order columns.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) schema: SchemaRef,
    pub(super) rows: InputRows,
    /// Columns of the input that are the table's key, its order and its first columns.
    pub(super) keys: Vec<usize>,
    pub(super) order: Vec<usize>,
    pub(super) values: Vec<usize>,
    /// The table's column that counts equal rows; none where rows are told apart.
    pub(super) count: Option<usize>,
    /// The table's column that counts the matches of a row; none where that follows from
    /// whether the other side has rows of its key.
    pub(super) matches: Option<usize>,
    /// Whether rows are given by themselves.
    pub(super) alone: bool,
    pub(super) ttl: Option<u32>,
    pub(super) table: TableSpec,
}

impl Plan {
    pub(super) fn new(spec: &Join) -> Result<Self, OperatorError> {
        let types = |input: &JoinInput| {
            let key = |&k: &usize| input.schema.fields().get(k).map(|f| f.data_type().clone());
            input.keys.iter().map(key).collect::<Option<Vec<_>>>()
        };
        let (left, right) = (types(&spec.left), types(&spec.right));
        if left.is_none() || left != right || spec.null_safe.len() != spec.left.keys.len() {
            return Err(OperatorError::internal("the keys of a join do not fit together"));
        }
        let alone = spec.kind.gives_alone();
        // With a time to live, what was given for a row does not follow from what is there.
        let expires = spec.left.ttl.is_some() || spec.right.ttl.is_some();
        let counts_matches = spec.condition.is_some() || expires;
        let side = |input: &JoinInput, name: &str, alone: bool| {
            Side::new(input, name, alone, alone && counts_matches)
        };
        let sides = [side(&spec.left, "left", alone[0])?, side(&spec.right, "right", alone[1])?];
        let widths = [&spec.left, &spec.right].map(|input| input.schema.fields().len());
        let given = if spec.kind.gives_pairs() { 2 } else { 1 };
        let fields = sides.iter().take(given).flat_map(|side| side.schema.fields().iter());
        let fields: Vec<Field> =
            fields.map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
        Ok(Self {
            kind: spec.kind,
            sides,
            widths,
            null_safe: spec.null_safe.clone(),
            condition: spec.condition.clone(),
            output: Arc::new(Schema::new(fields)),
        })
    }
}

impl Side {
    fn new(
        input: &JoinInput,
        name: &str,
        alone: bool,
        counts_matches: bool,
    ) -> Result<Self, OperatorError> {
        let fields = input.schema.fields();
        let is_key = |column: &usize| input.keys.contains(column);
        let order: Vec<usize> = match &input.unique {
            Some(unique) => unique.iter().copied().filter(|c| !is_key(c)).collect(),
            None => (0..fields.len()).filter(|c| !is_key(c)).collect(),
        };
        if order.iter().any(|&c| c >= fields.len()) {
            return Err(OperatorError::internal("a unique column is not part of the input"));
        }
        let values: Vec<usize> =
            (0..fields.len()).filter(|c| !is_key(c) && !order.contains(c)).collect();
        let field =
            |&c: &usize| table::Field::new(fields[c].name(), fields[c].data_type().clone(), true);
        let mut columns: Vec<table::Field> = values.iter().map(field).collect();
        let mut counter = |name: &str| {
            columns.push(table::Field::new(name, DataType::Int64, false));
            columns.len() - 1
        };
        let count = input.unique.is_none().then(|| counter("$rows"));
        let matches = counts_matches.then(|| counter("$matches"));
        let key = input.keys.iter().map(field).collect();
        let table = if order.is_empty() {
            TableSpec::keyed(name, key, columns)
        } else {
            let by =
                |c: &usize| OrderField { field: field(c), descending: false, nulls_first: true };
            TableSpec::ordered(name, key, order.iter().map(by).collect(), columns)
        };
        Ok(Self {
            schema: Arc::clone(&input.schema),
            rows: input.rows,
            keys: input.keys.clone(),
            order,
            values,
            count,
            matches,
            alone,
            ttl: input.ttl,
            table: table.with_expiry(input.ttl.map_or(Expiry::Never, Expiry::Ttl)),
        })
    }
}
