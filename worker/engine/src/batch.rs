//! The unit of data: an Arrow record batch and what is known about its rows.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;

/// How a row changes the result that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RowKind {
    /// `+I`: a new row.
    Insert = 0,
    /// `-U`: the former value of a row that changes.
    UpdateBefore = 1,
    /// `+U`: the new value of a row that changes.
    UpdateAfter = 2,
    /// `-D`: a row that goes.
    Delete = 3,
}

impl RowKind {
    /// Whether the row is taken back: `-U` and `-D`.
    #[must_use]
    pub fn goes(self) -> bool {
        matches!(self, Self::UpdateBefore | Self::Delete)
    }

    /// As Flink writes it: `+I`, `-U`, `+U`, `-D`.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}

/// An Arrow record batch plus metadata that is computed once and carried along.
///
/// All columns of metadata have one value per row of `records`; [`Batch::filter`],
/// [`Batch::take`] and [`Batch::slice`] keep them together. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Batch {
    records: RecordBatch,
    /// Absent: every row is an insert.
    kinds: Option<Arc<[RowKind]>>,
    /// Canonical key hashes (`weir_state::hash`), present after a key-by.
    hashes: Option<UInt64Array>,
    /// For rows that were behind their own split's watermark when they were read: that
    /// watermark in milliseconds; null for all others. Absent: no row was behind. A window
    /// operator drops a row from every window with `end <= behind`, which makes lateness a
    /// property of the data, not of the speed of its neighbours.
    behind: Option<Int64Array>,
}

impl Batch {
    /// A batch of inserts.
    #[must_use]
    pub fn new(records: RecordBatch) -> Self {
        Self { records, kinds: None, hashes: None, behind: None }
    }

    /// The same metadata over other columns of the same rows, such as a projection's result.
    ///
    /// # Errors
    /// When the number of rows differs.
    pub fn with_records(self, records: RecordBatch) -> Result<Self, ArrowError> {
        if records.num_rows() != self.records.num_rows() {
            return Err(ArrowError::InvalidArgumentError(format!(
                "a batch of {} rows cannot take the columns of {} rows",
                self.records.num_rows(),
                records.num_rows()
            )));
        }
        Ok(Self { records, ..self })
    }

    /// Attaches canonical key hashes, one per row.
    #[must_use]
    pub fn with_hashes(mut self, hashes: UInt64Array) -> Self {
        debug_assert_eq!(hashes.len(), self.num_rows());
        self.hashes = Some(hashes);
        self
    }

    /// Attaches the watermarks of rows that were read behind them; see the field's description.
    #[must_use]
    pub fn with_behind(mut self, behind: Option<Int64Array>) -> Self {
        debug_assert!(behind.as_ref().is_none_or(|b| b.len() == self.num_rows()));
        self.behind = behind.filter(|b| b.null_count() < b.len());
        self
    }

    /// Attaches row kinds, one per row.
    #[must_use]
    pub fn with_kinds(mut self, kinds: Option<Arc<[RowKind]>>) -> Self {
        debug_assert!(kinds.as_ref().is_none_or(|k| k.len() == self.num_rows()));
        self.kinds = kinds;
        self
    }

    /// The columns.
    #[must_use]
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// The columns, without the metadata.
    #[must_use]
    pub fn into_records(self) -> RecordBatch {
        self.records
    }

    /// Number of rows.
    #[must_use]
    pub fn num_rows(&self) -> usize {
        self.records.num_rows()
    }

    /// Row kinds; `None` when every row is an insert.
    #[must_use]
    pub fn kinds(&self) -> Option<&Arc<[RowKind]>> {
        self.kinds.as_ref()
    }

    /// The kind of a row.
    #[must_use]
    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.as_ref().and_then(|kinds| kinds.get(row)).map_or(RowKind::Insert, |kind| *kind)
    }

    /// Canonical key hashes, present after a key-by.
    #[must_use]
    pub fn hashes(&self) -> Option<&UInt64Array> {
        self.hashes.as_ref()
    }

    /// Watermarks of rows that were read behind them.
    #[must_use]
    pub fn behind(&self) -> Option<&Int64Array> {
        self.behind.as_ref()
    }

    /// Memory held by the batch, in bytes; what budgets and credits count.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records.get_array_memory_size()
            + self.kinds.as_ref().map_or(0, |k| k.len())
            + self.hashes.as_ref().map_or(0, |h| h.len() * 8)
            + self.behind.as_ref().map_or(0, |b| b.len() * 8)
    }

    /// Rows `offset .. offset + length`, without copying.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            records: self.records.slice(offset, length),
            kinds: self.kinds.as_ref().map(|k| k[offset..offset + length].into()),
            hashes: self.hashes.as_ref().map(|h| h.slice(offset, length)),
            behind: None,
        }
        .with_behind(self.behind.as_ref().map(|b| b.slice(offset, length)))
    }

    /// The rows whose bit is set.
    ///
    /// # Errors
    /// When the mask's length differs from the number of rows.
    pub fn filter(&self, mask: &BooleanBuffer) -> Result<Self, ArrowError> {
        if mask.count_set_bits() == self.num_rows() && mask.len() == self.num_rows() {
            return Ok(self.clone());
        }
        let indices: UInt32Array = mask.set_indices_u32().collect::<Vec<_>>().into();
        self.take(&indices)
    }

    /// The rows at `indices`, in that order.
    ///
    /// # Errors
    /// When an index is out of range.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, ArrowError> {
        use arrow::array::AsArray;
        use arrow::compute::take;
        use arrow::datatypes::{Int64Type, UInt64Type};
        let columns = self.records.columns().iter().map(|column| take(column, indices, None));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        // Rows may have no columns.
        let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
        let schema = self.records.schema();
        Ok(Self {
            records: RecordBatch::try_new_with_options(schema, columns, &options)?,
            kinds: self
                .kinds
                .as_ref()
                .map(|k| indices.values().iter().map(|&i| k[i as usize]).collect()),
            hashes: match &self.hashes {
                Some(h) => Some(take(h, indices, None)?.as_primitive::<UInt64Type>().clone()),
                None => None,
            },
            behind: None,
        }
        .with_behind(match &self.behind {
            Some(b) => Some(take(b, indices, None)?.as_primitive::<Int64Type>().clone()),
            None => None,
        }))
    }
}
