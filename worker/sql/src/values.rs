//! `VALUES` as a source: one split with all rows.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::source::{Assignment, Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_engine::{Context, EngineError};

use crate::expr::Expr;
use crate::expr::program::Program;

/// Rows written in the program.
pub(crate) struct ValuesSource {
    records: RecordBatch,
}

impl ValuesSource {
    pub(crate) fn new(rows: &[Vec<Expr>], schema: SchemaRef) -> Result<Self, EngineError> {
        let one = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
        let empty = std::sync::Arc::new(arrow::datatypes::Schema::empty());
        let nothing = RecordBatch::try_new_with_options(empty, Vec::new(), &one)?;
        let rows = rows
            .iter()
            .map(|row| Program::new(row).evaluate(&nothing))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = (0..schema.fields().len())
            .map(|i| concat(&rows.iter().map(|row| &*row[i]).collect::<Vec<_>>()))
            .collect::<Result<Vec<_>, _>>()?;
        let count = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(Self { records: RecordBatch::try_new_with_options(schema, columns, &count)? })
    }
}

impl Source for ValuesSource {
    fn schema(&self) -> SchemaRef {
        self.records.schema()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn assignment(&self) -> Assignment {
        Assignment::Pull
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(Once {
            found: snapshot.is_some_and(|s| s.as_ref() == b"found"),
            rows: self.records.num_rows(),
        }))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(Reader { records: self.records.clone(), todo: VecDeque::new() }))
    }
}

struct Once {
    found: bool,
    rows: usize,
}

#[async_trait]
impl SplitEnumerator for Once {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if std::mem::replace(&mut self.found, true) {
            return Ok(Vec::new());
        }
        Ok(vec![Split {
            id: "values".to_owned(),
            position: Bytes::from_static(b"0"),
            watermark: None,
            lower_bound: None,
            size: self.rows as u64,
        }])
    }

    fn interval(&self) -> Option<std::time::Duration> {
        None
    }

    fn snapshot(&self) -> Bytes {
        if self.found { Bytes::from_static(b"found") } else { Bytes::new() }
    }
}

struct Reader {
    records: RecordBatch,
    /// Splits to read: index, next row, whether the end was told.
    todo: VecDeque<(usize, usize)>,
}

impl SourceReader for Reader {
    fn add(&mut self, _: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let row = std::str::from_utf8(&split.position)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| EngineError::internal("the position in VALUES is not a number"))?;
        self.todo.push_back((index, row));
        Ok(())
    }

    fn poll(&mut self, _: &mut Context) -> Result<SourcePoll, EngineError> {
        let Some((split, row)) = self.todo.front_mut() else {
            return Ok(SourcePoll::Pending);
        };
        let split = *split;
        let rows = self.records.num_rows();
        if *row >= rows {
            self.todo.pop_front();
            return Ok(SourcePoll::Finished { split });
        }
        let records = self.records.slice(*row, rows - *row);
        *row = rows;
        Ok(SourcePoll::Rows { split, records })
    }

    fn position(&self, index: usize) -> Bytes {
        let row = self
            .todo
            .iter()
            .find(|(i, _)| *i == index)
            .map_or(self.records.num_rows(), |(_, row)| *row);
        Bytes::from(row.to_string())
    }
}
