//! The first row of a file, read before anything else of it.

use arrow::array::RecordBatch;
use weir_engine::EngineError;

use super::fetch::head;
use super::parquet;
use super::position::FileInfo;
use super::reader::ReadPlan;
use crate::formats::encoding;

/// The first row with all columns of the projection; `None` when no row is at the beginning.
///
/// # Errors
/// Those that whoever reads the file meets too.
pub(crate) async fn first_row(
    plan: &ReadPlan,
    file: &FileInfo,
) -> Result<Option<RecordBatch>, EngineError> {
    let store = plan.store.as_ref();
    let content = if plan.format.is_parquet() {
        parquet::first_row(file, store, &plan.format).await?
    } else {
        let (bytes, whole) = head(file, store).await?;
        // Of a file that may grow, a line without its end is no row yet.
        let whole = whole && (!plan.watched || file.is_remote());
        first_record(plan, &bytes, whole).map_err(|error| error.at(&file.path))?
    };
    content.map(|content| plan.complete(file, &content.slice(0, 1))).transpose()
}

fn first_record(
    plan: &ReadPlan,
    bytes: &[u8],
    whole: bool,
) -> Result<Option<RecordBatch>, EngineError> {
    let Some(mut decoder) = plan.format.decoder()? else { return Ok(None) };
    let mark = if decoder.has_mark() { encoding::mark(bytes) } else { Ok(0) };
    let mark = mark.map_err(|what| EngineError::user(format!("the file begins with {what}")))?;
    decoder.decode(&bytes[mark..], 1, whole).map_err(|error| EngineError::user(error.message))?;
    if decoder.rows() == 0 {
        return Ok(None);
    }
    decoder.finish().map(Some).map_err(|error| EngineError::internal(error.message))
}
