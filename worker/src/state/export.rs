//! `weir state export`: the rows of an operator's table as a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use weir_page::words::grouped;
use weir_sql::StateAsked;

use super::pick::pick;
use super::rows::LiveRows;
use crate::cli::Format;
use crate::rows::encode::Encoder;

/// Bytes of rows that are encoded together.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes the rows that are asked for; the text is for standard output.
///
/// # Errors
/// Place, cause and fix.
pub(super) async fn export(asked: &StateAsked, to: &Path) -> anyhow::Result<String> {
    let form = Form::of(to)?;
    let picked = pick(asked).await?;
    let mut rows = LiveRows::all(Arc::clone(&picked)).await?;
    // Whoever finds the file finds all of it.
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let shown = to.display();
    let written = async {
        let file = File::create(part).with_context(|| format!("{shown}: cannot be created"))?;
        let mut writer = Writer::new(form, file, &picked.schema())?;
        let mut count = 0;
        while let Some((batch, _)) = rows.next().await? {
            count += batch.num_rows() as u64;
            writer.write(&batch).with_context(|| format!("{shown}: cannot be written"))?;
        }
        writer.finish().with_context(|| format!("{shown}: cannot be written"))?;
        std::fs::rename(part, to).with_context(|| format!("{shown}: cannot be created"))?;
        anyhow::Ok(count)
    };
    let written = written.await;
    if written.is_err() {
        std::fs::remove_file(part).ok();
    }
    Ok(format!(
        "{shown}: {} rows of table {} of {} ({}) at version {}\n",
        grouped(written?),
        picked.spec.name,
        picked.operator,
        picked.asked.operator,
        picked.asked.version.unwrap_or_default(),
    ))
}

/// What a file is, by its name.
#[derive(Clone, Copy)]
enum Form {
    Csv,
    Parquet,
}

impl Form {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => bail!(
                "{}: the name says how rows are written; end it in .parquet or .csv",
                path.display()
            ),
        }
    }
}

enum Writer {
    Csv(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

/// As `weir sql` writes rows.
const CSV: Encoder = Encoder { format: Format::Csv, changes: false };

impl Writer {
    fn new(form: Form, file: File, schema: &SchemaRef) -> anyhow::Result<Self> {
        match form {
            Form::Csv => {
                let mut file = BufWriter::new(file);
                let names = schema.fields().iter().map(|field| field.name().clone());
                let header = CSV.header(&CSV.columns(names)).unwrap_or_default();
                writeln!(file, "{header}")?;
                Ok(Self::Csv(file))
            }
            Form::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_created_by("weir".to_owned())
                    .build();
                let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))?;
                Ok(Self::Parquet(Box::new(writer)))
            }
        }
    }

    fn write(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Self::Csv(file) => {
                for line in CSV.rows(rows, None).map_err(anyhow::Error::msg)?.concat() {
                    writeln!(file, "{line}")?;
                }
            }
            Self::Parquet(writer) => {
                writer.write(rows)?;
                if writer.in_progress_size() > ROW_GROUP_BYTES {
                    writer.flush()?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let file = match self {
            Self::Csv(file) => file.into_inner().map_err(std::io::IntoInnerError::into_error)?,
            Self::Parquet(writer) => writer.into_inner()?,
        };
        Ok(file.sync_all()?)
    }
}
