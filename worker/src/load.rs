//! From a manifest on disk to a planned job, with every error at its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_connectors::registry;
use weir_connectors::table::{Place, Problem, SinkParts, SourceParts, Table};
use weir_crds::{SqlPosition, StreamJob};
use weir_protocol::JobName;
use weir_sql::{Parts, PlanOptions, Planned, SqlError};

/// A job that can run.
pub struct Loaded {
    /// What the user wrote.
    pub job: StreamJob,
    /// What it becomes.
    pub planned: Planned,
}

impl Loaded {
    /// The job's name in stores and messages.
    #[must_use]
    pub fn name(&self) -> JobName {
        JobName(format!("{}/{}", self.job.metadata.namespace, self.job.metadata.name))
    }
}

/// What is wrong, as many lines as it takes, ready for standard error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Reads and plans a manifest.
///
/// # Errors
/// Everything that is wrong with the manifest, or with its program.
pub fn load(path: &Path) -> Result<Loaded, Refused> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Refused(format!("{file}: cannot be read: {error}; give the path of a StreamJob manifest"))
    })?;
    let job = StreamJob::from_yaml(&text, &file).map_err(|errors| {
        Refused(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    // A bare file name has an empty parent, which joined with a path would not be this folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let base = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let options = PlanOptions {
        job: format!("{}/{}", job.metadata.namespace, job.metadata.name),
        max_parallelism: job.spec.max_parallelism,
        base,
        env: Box::new(|name| std::env::var(name).ok()),
        parts: Arc::new(Connectors),
    };
    match weir_sql::plan(&job.spec.sql, &options) {
        Ok(planned) => Ok(Loaded { job, planned }),
        Err(errors) => Err(Refused(
            errors
                .iter()
                .map(|e| sql_error(&job.sql_position, &job.spec.sql, e))
                .collect::<Vec<_>>()
                .join("\n"),
        )),
    }
}

/// The connectors that this program was built with.
struct Connectors;

impl Parts for Connectors {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        registry::source(table, projection, place)
    }

    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
        registry::sink(table, place)
    }
}

/// `job.yaml:17: sql:9:14: column …` with the line and a mark below it.
fn sql_error(at: &SqlPosition, sql: &str, error: &SqlError) -> String {
    let (line, _) = at.locate(error.line() as usize, error.column() as usize);
    format!("{}:{line}: {}", at.file, error.render(sql))
}
