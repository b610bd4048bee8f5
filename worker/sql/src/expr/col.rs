//! Values of one batch: a column, or one value for all rows.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Datum, PrimitiveArray, StringArray,
    UInt32Array,
};
use arrow::error::ArrowError;
use weir_engine::EngineError;

/// A column, or one value that stands for every row.
#[derive(Clone, Debug)]
pub(crate) enum Col {
    /// One value per row.
    Array(ArrayRef),
    /// An array of length 1.
    Scalar(ArrayRef),
}

impl Datum for Col {
    fn get(&self) -> (&dyn Array, bool) {
        match self {
            Self::Array(array) => (array, false),
            Self::Scalar(array) => (array, true),
        }
    }
}

impl Col {
    /// The values, whether one or many.
    pub(crate) fn values(&self) -> &ArrayRef {
        match self {
            Self::Array(array) | Self::Scalar(array) => array,
        }
    }

    pub(crate) fn is_scalar(&self) -> bool {
        matches!(self, Self::Scalar(_))
    }

    /// One value per row.
    pub(crate) fn into_array(self, rows: usize) -> Result<ArrayRef, String> {
        match self {
            Self::Array(array) => Ok(array),
            Self::Scalar(array) if rows == 1 => Ok(array),
            Self::Scalar(array) => {
                let zeros = UInt32Array::from_value(0, rows);
                arrow::compute::take(&array, &zeros, None).map_err(|e: ArrowError| e.to_string())
            }
        }
    }

    pub(crate) fn to_rows(&self, rows: usize) -> Result<ArrayRef, EngineError> {
        self.clone().into_array(rows).map_err(EngineError::internal)
    }

    /// Wraps a result: one value when every argument was one.
    pub(crate) fn of(array: ArrayRef, args: &[Self]) -> Self {
        if !args.is_empty() && args.iter().all(Self::is_scalar) {
            Self::Scalar(array)
        } else {
            Self::Array(array)
        }
    }
}

/// Rows that a kernel has to compute: one when all arguments are single values.
pub(crate) fn rows_of(args: &[Col], rows: usize) -> usize {
    if !args.is_empty() && args.iter().all(Col::is_scalar) { 1 } else { rows }
}

/// A column of strings by row.
pub(crate) struct Texts<'a>(&'a StringArray, bool);

impl<'a> Texts<'a> {
    pub(crate) fn of(col: &'a Col) -> Self {
        Self(col.values().as_string::<i32>(), col.is_scalar())
    }

    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        let row = if self.1 { 0 } else { row };
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// A column of numbers by row.
pub(crate) struct Prims<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>, bool);

impl<'a, T: ArrowPrimitiveType> Prims<'a, T> {
    pub(crate) fn of(col: &'a Col) -> Self {
        Self(col.values().as_primitive::<T>(), col.is_scalar())
    }

    pub(crate) fn get(&self, row: usize) -> Option<T::Native> {
        let row = if self.1 { 0 } else { row };
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// A column of truth values by row.
pub(crate) struct Bools<'a>(&'a BooleanArray, bool);

impl<'a> Bools<'a> {
    pub(crate) fn of(col: &'a Col) -> Self {
        Self(col.values().as_boolean(), col.is_scalar())
    }

    pub(crate) fn get(&self, row: usize) -> Option<bool> {
        let row = if self.1 { 0 } else { row };
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

/// Combines two columns of numbers; NULL where either is NULL.
pub(crate) fn binary<A, B, O>(
    args: &[Col],
    rows: usize,
    mut f: impl FnMut(A::Native, B::Native) -> Result<O::Native, EngineError>,
) -> Result<PrimitiveArray<O>, EngineError>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    let (a, b) = (Prims::<A>::of(&args[0]), Prims::<B>::of(&args[1]));
    (0..rows_of(args, rows))
        .map(|row| match (a.get(row), b.get(row)) {
            (Some(a), Some(b)) => f(a, b).map(Some),
            _ => Ok(None),
        })
        .collect()
}
