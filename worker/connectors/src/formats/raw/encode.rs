//! Values of one column → their bytes.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
};

use super::{RawOptions, column};
use crate::formats::{EncodeError, RecordEncoder};

/// Writes values; see the module.
pub struct RawEncoder {
    name: String,
    options: RawOptions,
}

impl RawEncoder {
    /// An encoder of the column of `schema`.
    ///
    /// # Errors
    /// When the table has other columns than one that the format holds.
    pub fn new(schema: &SchemaRef, options: RawOptions) -> Result<Self, String> {
        let name = column(schema)?.name().clone();
        Ok(Self { name, options })
    }

    fn write(&self, values: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        match values.data_type() {
            DataType::Utf8 => {
                let charset = self.options.charset;
                charset.encode(values.as_string::<i32>().value(row), out).map_err(|letter| {
                    out.truncate(start);
                    let message = format!(
                        "column `{}`: the character '{letter}' is not in {}; set 'raw.charset' = 'UTF-8'",
                        self.name,
                        charset.name()
                    );
                    EncodeError { message }
                })?;
                // The bytes of a text stand in order.
                return Ok(());
            }
            DataType::Binary => {
                out.extend_from_slice(values.as_binary::<i32>().value(row));
                return Ok(());
            }
            DataType::Boolean => out.push(u8::from(values.as_boolean().value(row))),
            DataType::Int8 => {
                out.push(values.as_primitive::<Int8Type>().value(row).cast_unsigned())
            }
            DataType::Int16 => {
                out.extend_from_slice(&values.as_primitive::<Int16Type>().value(row).to_be_bytes());
            }
            DataType::Int32 => {
                out.extend_from_slice(&values.as_primitive::<Int32Type>().value(row).to_be_bytes());
            }
            DataType::Int64 => {
                out.extend_from_slice(&values.as_primitive::<Int64Type>().value(row).to_be_bytes());
            }
            DataType::Float32 => {
                out.extend_from_slice(
                    &values.as_primitive::<Float32Type>().value(row).to_be_bytes(),
                );
            }
            DataType::Float64 => {
                out.extend_from_slice(
                    &values.as_primitive::<Float64Type>().value(row).to_be_bytes(),
                );
            }
            other => {
                let message =
                    format!("column `{}`: {other} is no type of 'raw'; this is a bug", self.name);
                return Err(EncodeError { message });
            }
        }
        if self.options.little_endian {
            out[start..].reverse();
        }
        Ok(())
    }
}

fn only_column(batch: &RecordBatch) -> Result<&ArrayRef, EncodeError> {
    batch.columns().first().ok_or_else(|| {
        let message = "a batch of 'raw' has no column; this is a bug".to_owned();
        EncodeError { message }
    })
}

impl RecordEncoder for RawEncoder {
    fn each_row(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        end: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), EncodeError> {
        let values = only_column(batch)?;
        for row in 0..batch.num_rows() {
            if values.is_valid(row) {
                self.write(values, row, out)?;
            }
            end(out);
        }
        Ok(())
    }

    fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.there(batch).is_some_and(|there| there.null_count() > 0) {
            let message = format!(
                "column `{}`: NULL has no line in a file of 'raw'; leave such rows out (WHERE … IS NOT NULL), or write something for them (COALESCE)",
                self.name
            );
            return Err(EncodeError { message });
        }
        let values = only_column(batch)?;
        for row in 0..batch.num_rows() {
            let start = out.len();
            self.write(values, row, out)?;
            let line = &out[start..];
            if line.contains(&b'\n') || line.ends_with(b"\r") {
                let message = format!(
                    "column `{}`: a value with a line's end in it would be several lines in a file of 'raw'; take it out (REPLACE), or write the rows with 'json'",
                    self.name
                );
                return Err(EncodeError { message });
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn there(&self, batch: &RecordBatch) -> Option<NullBuffer> {
        batch.columns().first().and_then(|values| values.nulls().cloned())
    }
}
