//! `UNNEST`: each row once for every element of one of its columns. No state.
//!
//! What enters: rows, of any kinds. What leaves, per element: the row's columns that are kept, then
//! those of the element, and its number where that is asked for. A row leaves with the kind that it
//! came with, so that one that is taken back takes all of its elements back.
//!
//! What always holds:
//! - The elements of a row leave one after the other, in their order, and rows in the order in which
//!   they came.
//! - A row without elements that count leaves nothing; where [`Unnest::outer`] says so, once with
//!   NULLs.
//! - A step gives at most [`TOGETHER`] batches of [`ROWS`] rows, however long values are.

pub mod spec;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};

use self::spec::{Elements, Unnest};
use crate::operator::OperatorFactory;
use crate::operators::join::spec::Condition;
use crate::{Batch, Context, Operator, OperatorError, Output, Progress};

type Result<T, E = OperatorError> = std::result::Result<T, E>;

/// Rows of a batch that leaves, at most.
const ROWS: usize = 8_192;
/// Batches that leave at a time, at most.
const TOGETHER: usize = 4;

/// The operator.
///
/// # Errors
/// When the column does not hold what its elements are said to be.
pub fn operator(spec: &Unnest) -> Result<Arc<dyn OperatorFactory>> {
    let plan = Arc::new(Plan::new(spec)?);
    Ok(Arc::new(move |_: &Context| {
        Ok(Box::new(Unnesting { plan: Arc::clone(&plan), todo: None }) as Box<dyn Operator>)
    }))
}

/// What the operator gives out; see [`Unnest`].
///
/// # Errors
/// When the column does not hold what its elements are said to be.
pub fn output_schema(spec: &Unnest) -> Result<SchemaRef> {
    Ok(Plan::new(spec)?.output)
}

#[derive(Debug)]
struct Plan {
    spec: Unnest,
    output: SchemaRef,
}

impl Plan {
    fn new(spec: &Unnest) -> Result<Self> {
        let field = |column: usize| {
            spec.input.fields().get(column).cloned().ok_or_else(|| {
                OperatorError::internal(format!("UNNEST reads column {column}, which is not there"))
            })
        };
        let mut types = spec.elements.types(field(spec.column)?.data_type()).ok_or_else(|| {
            OperatorError::internal("UNNEST is given values of another form than their type's")
        })?;
        if spec.ordinality {
            types.push(DataType::Int32);
        }
        if types.len() != spec.names.len() {
            return Err(OperatorError::internal(
                "the columns of UNNEST are not those of its elements",
            ));
        }
        let kept = spec.kept.iter().map(|&column| field(column));
        let mut output = kept.collect::<Result<Vec<_>>>()?;
        let named = spec.names.iter().zip(types);
        output.extend(named.map(|(name, of)| Arc::new(Field::new(name, of, true))));
        Ok(Self { spec: spec.clone(), output: Arc::new(Schema::new(output)) })
    }
}

/// A batch whose rows are on their way.
#[derive(Debug)]
struct Todo {
    /// The columns that are kept.
    kept: Batch,
    /// The columns of all elements.
    elements: Vec<ArrayRef>,
    /// Which elements are there, if not all.
    there: Option<NullBuffer>,
    /// Of each row where its elements lie.
    ranges: Vec<Range<usize>>,
    /// How often each element counts, where that is said.
    counts: Option<Int64Array>,
    next: Place,
    /// Whether an element of the row counts, of those that were looked at.
    matched: bool,
}

/// Where the next row is.
#[derive(Clone, Copy, Default, Debug)]
struct Place {
    row: usize,
    element: usize,
    /// How often the element has left.
    times: i64,
    /// How many elements of the row were looked at.
    number: i32,
}

/// Rows that may leave: of each the row that it was, and its element and that one's number. Where rows
/// without elements leave, one more ends each row, without an element.
#[derive(Default)]
struct Chunk {
    rows: Vec<u32>,
    elements: Vec<Option<u32>>,
    numbers: Vec<Option<i32>>,
}

impl Chunk {
    fn push(&mut self, place: Place, element: Option<usize>) {
        self.rows.push(place.row as u32);
        self.elements.push(element.map(|element| element as u32));
        self.numbers.push(element.map(|_| place.number));
    }
}

/// What elements are: where they lie row by row, their columns, which are there, how often.
type Parts<'a> = (&'a [i32], Vec<ArrayRef>, Option<NullBuffer>, Option<Int64Array>);

fn parts(elements: Elements, column: &ArrayRef) -> Result<Parts<'_>> {
    let malformed = || OperatorError::internal("UNNEST is given a column of another type");
    Ok(match elements {
        Elements::Items { flat } => {
            let list = column.as_list_opt::<i32>().ok_or_else(malformed)?;
            let (columns, there) = columns_of(list.values(), flat);
            (list.value_offsets(), columns, there, None)
        }
        Elements::Entries => {
            let map = column.as_map_opt().ok_or_else(malformed)?;
            (map.value_offsets(), vec![map.keys().clone(), map.values().clone()], None, None)
        }
        Elements::Counted { flat } => {
            let map = column.as_map_opt().ok_or_else(malformed)?;
            let counts = map.values().as_primitive_opt::<Int32Type>().ok_or_else(malformed)?;
            let counts = counts.iter().map(|count| count.map(i64::from)).collect();
            let (columns, there) = columns_of(map.keys(), flat);
            (map.value_offsets(), columns, there, Some(counts))
        }
        Elements::Times => {
            let counts = column.as_primitive_opt::<Int64Type>().ok_or_else(malformed)?;
            (&[], Vec::new(), None, Some(counts.clone()))
        }
    })
}

/// An element's columns, and which elements are there: a ROW's fields, where these are asked for.
fn columns_of(values: &ArrayRef, flat: bool) -> (Vec<ArrayRef>, Option<NullBuffer>) {
    match values.as_struct_opt() {
        Some(rows) if flat => {
            let there = rows.nulls().filter(|nulls| nulls.null_count() > 0);
            (rows.columns().to_vec(), there.cloned())
        }
        _ => (vec![Arc::clone(values)], None),
    }
}

impl Todo {
    fn new(spec: &Unnest, batch: &Batch) -> Result<Self> {
        let column = batch.records().column(spec.column);
        let (offsets, elements, there, counts) = parts(spec.elements, column)?;
        let range = |row: usize| match offsets.get(row..row + 2) {
            _ if column.is_null(row) => 0..0,
            Some(ends) => ends[0] as usize..ends[1] as usize,
            None => row..row + 1,
        };
        let ranges: Vec<Range<usize>> = (0..batch.num_rows()).map(range).collect();
        let kept = Batch::new(batch.records().project(&spec.kept)?)
            .with_kinds(batch.kinds().cloned())
            .with_behind(batch.behind().cloned());
        let (next, matched) = (Place::default(), false);
        let mut todo = Self { kept, elements, there, ranges, counts, next, matched };
        todo.begin(0);
        Ok(todo)
    }

    fn begin(&mut self, row: usize) {
        let element = self.ranges.get(row).map_or(0, |range| range.start);
        self.next = Place { row, element, times: 0, number: 0 };
    }

    fn is_done(&self) -> bool {
        self.next.row >= self.ranges.len()
    }

    fn is_absent(&self, element: usize) -> bool {
        self.there.as_ref().is_some_and(|there| there.is_null(element))
    }

    /// How often an element is there.
    fn times(&self, element: usize) -> i64 {
        match &self.counts {
            _ if self.is_absent(element) => 0,
            Some(counts) => counts.value(element),
            None => 1,
        }
    }

    /// The next rows, at most [`ROWS`].
    fn chunk(&mut self, outer: bool) -> Chunk {
        let mut chunk = Chunk::default();
        while chunk.rows.len() < ROWS && !self.is_done() {
            let Place { row, element, times, .. } = self.next;
            if element >= self.ranges[row].end {
                if outer {
                    chunk.push(self.next, None);
                }
                self.begin(row + 1);
            } else if times < self.times(element) {
                self.next.times += 1;
                self.next.number += 1;
                chunk.push(self.next, Some(element));
            } else {
                // What is no element has its number all the same.
                self.next.number += i32::from(self.is_absent(element));
                self.next.element += 1;
                self.next.times = 0;
            }
        }
        chunk
    }

    /// The batch that leaves of these rows.
    fn batch(&mut self, plan: &Plan, chunk: Chunk) -> Result<Batch> {
        let rows = UInt32Array::from(chunk.rows);
        let kept = self.kept.take(&rows)?;
        let mut columns = kept.records().columns().to_vec();
        let elements = UInt32Array::from(chunk.elements);
        for column in &self.elements {
            columns.push(take(column, &elements, None)?);
        }
        if plan.spec.ordinality {
            columns.push(Arc::new(Int32Array::from(chunk.numbers)));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = Arc::clone(&plan.output);
        let records = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let batch = kept.with_records(records)?;
        if !plan.spec.outer && plan.spec.condition.is_none() {
            return Ok(batch);
        }
        let counts = match &plan.spec.condition {
            Some(Condition { columns, test }) => Some(test(&batch.records().project(columns)?)?),
            None => None,
        };
        let counts = |row: usize| counts.as_ref().is_none_or(|c| c.is_valid(row) && c.value(row));
        let leaves = (0..rows.len()).map(|row| match elements.is_valid(row) {
            true => {
                let counts = counts(row);
                self.matched |= counts;
                counts
            }
            false => !std::mem::take(&mut self.matched),
        });
        let leaves = leaves.collect();
        Ok(batch.filter(&leaves)?)
    }
}

/// The operator, of one subtask.
struct Unnesting {
    plan: Arc<Plan>,
    todo: Option<Todo>,
}

impl Operator for Unnesting {
    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress> {
        self.todo = Some(Todo::new(&self.plan.spec, &batch)?);
        self.resume(cx, out)
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress> {
        let Some(todo) = &mut self.todo else { return Ok(Progress::Done) };
        for _ in 0..TOGETHER {
            let chunk = todo.chunk(self.plan.spec.outer);
            out.push(todo.batch(&self.plan, chunk)?);
            if todo.is_done() {
                self.todo = None;
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::More)
    }

    fn state_bytes(&self) -> usize {
        self.todo.as_ref().map_or(0, |todo| todo.ranges.capacity() * size_of::<Range<usize>>())
    }
}
