//! From a manifest on disk to a planned job, with every error at its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_connectors::print::Taker;
use weir_crds::{ManifestError, SqlPosition, StreamJob};
use weir_protocol::JobName;
use weir_sql::{Environment, PlanOptions, Planned, SqlError, Variable};

use crate::printing::Printing;

/// A job that can run.
pub struct Loaded {
    /// What the user wrote.
    pub job: StreamJob,
    /// What it becomes.
    pub planned: Planned,
    /// Who takes what it prints.
    pub printed: Taker,
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
#[error("{}", faults.iter().map(|f| f.text.as_str()).collect::<Vec<_>>().join("\n"))]
pub struct Refused {
    /// Never empty.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong; its fields are part of the output of `weir plan -o json`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Fault {
    /// The manifest.
    pub file: String,
    /// Line of the file, from 1; 0 where there is none.
    pub line: usize,
    /// Column of the file, from 1, where it is known.
    pub column: Option<usize>,
    /// Cause and fix.
    pub message: String,
    /// Where it is in the SQL text itself, when it is in there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlPlace>,
    /// All of it as people see it.
    #[serde(skip)]
    pub text: String,
}

/// A place in `spec.sql` as its author wrote it, whichever file it was read from.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct SqlPlace {
    /// Line of the SQL text, from 1.
    pub line: u32,
    /// Column of that line, from 1.
    pub column: u32,
    /// `sql:9:14: column …` with the line and a mark below it.
    pub excerpt: String,
}

impl Fault {
    fn of_manifest(error: &ManifestError) -> Self {
        let message = match error.path.as_str() {
            "" => error.message.clone(),
            path => format!("{path}: {}", error.message),
        };
        let (file, line) = (error.file.clone(), error.line);
        let text = if is_mounted(&file) { message.clone() } else { error.to_string() };
        Self { file, line, column: None, message, sql: None, text }
    }

    /// `job.yaml:17: sql:9:14: column …` with the line and a mark below it.
    fn of_sql(at: &SqlPosition, sql: &str, error: &SqlError) -> Self {
        let (line, column) = at.locate(error.line() as usize, error.column() as usize);
        let excerpt = error.render(sql);
        let text = match is_mounted(&at.file) {
            true => excerpt.clone(),
            false => format!("{}:{line}: {excerpt}", at.file),
        };
        let place = SqlPlace { line: error.line(), column: error.column(), excerpt };
        let (file, message) = (at.file.clone(), error.message.clone());
        Self { file, line, column, message, sql: Some(place), text }
    }
}

/// Whether the operator wrote the manifest: nobody else has a file with its lines.
fn is_mounted(file: &str) -> bool {
    file == weir_crds::MOUNTED_MANIFEST
}

/// What a program learns of `${env:NAME}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Variables {
    /// The values of this process's environment.
    Process,
    /// Nothing but whether a variable is set: these are, and what the manifest sets for its
    /// workers. Such a plan is for looking at, it cannot run.
    Withheld(BTreeSet<String>),
}

impl Variables {
    fn environment(self, job: &StreamJob) -> Environment {
        let mut set = match self {
            Self::Process => return weir_sql::environment(),
            Self::Withheld(set) => set,
        };
        let workers = &job.spec.workers;
        let named = workers.env.iter().filter_map(|entry| entry["name"].as_str());
        set.extend(named.map(str::to_owned));
        // Which variables a Secret holds is not known here.
        let any = !workers.env_from.is_empty();
        Box::new(move |name| (any || set.contains(name)).then_some(Variable::Withheld))
    }
}

/// Reads and plans a manifest, to run it.
///
/// # Errors
/// Everything that is wrong with the manifest, or with its program.
pub fn load(path: &Path) -> Result<Loaded, Refused> {
    load_with(path, Variables::Process)
}

/// Reads and plans a manifest.
///
/// # Errors
/// Everything that is wrong with the manifest, or with its program.
pub fn load_with(path: &Path, variables: Variables) -> Result<Loaded, Refused> {
    let file = path.display().to_string();
    let whole = |message: String| {
        let text = format!("{file}: {message}");
        let (line, column, sql) = (0, None, None);
        Refused { faults: vec![Fault { file: file.clone(), line, column, message, sql, text }] }
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        whole(format!("cannot be read: {error}; give the path of a StreamJob manifest"))
    })?;
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("sql")) {
        return Err(whole(format!(
            "is a script and no manifest; run it with `weir sql -f {file}`, or put it under spec.sql of a StreamJob"
        )));
    }
    let job = StreamJob::from_yaml(&text, &file)
        .map_err(|errors| Refused { faults: errors.iter().map(Fault::of_manifest).collect() })?;
    // A bare file name has an empty parent, which joined with a path would not be this folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let base = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let printed = Taker::default();
    let options = PlanOptions {
        job: format!("{}/{}", job.metadata.namespace, job.metadata.name),
        max_parallelism: job.spec.max_parallelism,
        base,
        env: variables.environment(&job),
        parts: Arc::new(Printing(printed.clone())),
    };
    match weir_sql::plan(&job.spec.sql, &options) {
        Ok(planned) => Ok(Loaded { job, planned, printed }),
        Err(errors) => Err(Refused {
            faults: errors
                .iter()
                .map(|e| Fault::of_sql(&job.sql_position, &job.spec.sql, e))
                .collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a wrong program in a manifest at `path`.
    fn fault(file: &str, sql: &str) -> Fault {
        let head = "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: a}\nspec:\n";
        let text = format!("{head}  sql: |\n    {}\n", sql.replace('\n', "\n    "));
        let job = StreamJob::from_yaml(&text, file).unwrap();
        let options = PlanOptions::new("default/a", 720, ".");
        let errors = weir_sql::plan(&job.spec.sql, &options).map(|_| ()).unwrap_err();
        Fault::of_sql(&job.sql_position, &job.spec.sql, &errors[0])
    }

    const WRONG: &str =
        "CREATE TABLE o (a INT) WITH ('connector' = 'print');\nINSERT INTO o\nSELECT b";

    #[test]
    fn an_error_of_sql_names_the_file_that_its_author_has() {
        let found = fault("job.yaml", WRONG);
        assert_eq!((found.line, found.column), (8, Some(12)));
        assert!(found.text.starts_with("job.yaml:8: sql:3:8: column"), "{}", found.text);
    }

    #[test]
    fn in_the_operators_manifest_it_names_the_place_in_the_sql_alone() {
        let found = fault(weir_crds::MOUNTED_MANIFEST, WRONG);
        assert!(found.text.starts_with("sql:3:8: column"), "{}", found.text);
        let place = found.sql.unwrap();
        assert_eq!((place.line, place.column), (3, 8));
        assert_eq!(place.excerpt, found.text);
    }
}
