//! A text as the manifest of a job: written, read back, planned.

use weir_crds::StreamJob;
use weir_engine::veil;
use weir_page::sql::view::{Diagnostic, ManifestAsked};
use weir_sql::PlanOptions;

use super::offsets::Offsets;

/// The manifest of a job that runs `before` and the text that is asked for.
///
/// # Errors
/// Everything that is wrong with either, or with the job's name.
pub(super) fn manifest(
    asked: &ManifestAsked,
    before: &str,
    options: impl FnOnce(String) -> PlanOptions,
) -> Result<String, Vec<Diagnostic>> {
    let mut sql = before.to_owned();
    if !sql.is_empty() && !sql.ends_with('\n') {
        sql.push('\n');
    }
    let lines_before = sql.lines().count() as u32;
    sql.push_str(asked.text.trim_end());
    sql.push('\n');
    let (text, job) = written(&asked.name, asked.parallelism, &sql)?;
    let offsets = Offsets::of(&asked.text);
    let job_name = format!("{}/{}", job.metadata.namespace, job.metadata.name);
    let errors = match weir_sql::plan(&job.spec.sql, &options(job_name)) {
        Ok(_) => return Ok(text),
        Err(errors) => errors,
    };
    let diagnostic = |error: weir_sql::SqlError| {
        let mut span = error.span;
        let (from, to) = match span.line > lines_before {
            true => {
                span.line -= lines_before;
                span.end_line = span.end_line.saturating_sub(lines_before).max(span.line);
                offsets.stretch(span)
            }
            false => (0, 0),
        };
        let message = format!("line {}: {}", span.line, error.message);
        let message = veil::hide(&message).into_owned();
        Diagnostic { from, to, severity: "error", message }
    };
    Err(errors.into_iter().map(diagnostic).collect())
}

/// The text of a manifest and what it is read as. Texts that YAML would take for something else are
/// written in quotes: whichever form is read back as it was meant is the right one.
fn written(
    name: &str,
    parallelism: u32,
    sql: &str,
) -> Result<(String, StreamJob), Vec<Diagnostic>> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let block: String = sql
        .split_inclusive('\n')
        .map(|line| if line.trim().is_empty() { "\n".to_owned() } else { format!("    {line}") })
        .collect();
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !name.is_empty();
    let names = [is_plain.then(|| name.to_owned()), Some(quoted(name))];
    let texts = [format!("|\n{block}"), format!("{}\n", quoted(sql))];
    let mut wrong = Vec::new();
    for name_text in names.iter().flatten() {
        for sql_text in &texts {
            let text = format!(
                "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata:\n  name: {name_text}\nspec:\n  parallelism: {parallelism}\n  sql: {sql_text}"
            );
            match StreamJob::from_yaml(&text, "manifest") {
                Ok(job) if job.metadata.name == name && job.spec.sql == sql => {
                    return Ok((text, job));
                }
                Ok(_) => {}
                Err(errors) => wrong = errors,
            }
        }
    }
    let mut messages: Vec<String> =
        wrong.iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
    if messages.is_empty() {
        let why = "this text cannot stand in a manifest; leave out characters that cannot be seen";
        messages.push(why.to_owned());
    }
    let diagnostic = |message: String| {
        let message = veil::hide(&message).into_owned();
        Diagnostic { from: 0, to: 0, severity: "error", message }
    };
    Err(messages.into_iter().map(diagnostic).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, before: &str, text: &str) -> Result<StreamJob, Vec<Diagnostic>> {
        let asked = ManifestAsked { text: text.into(), name: name.into(), parallelism: 2 };
        let text = manifest(&asked, before, |job| PlanOptions::new(job, 720, "."))?;
        Ok(StreamJob::from_yaml(&text, "job.yaml").unwrap())
    }

    const TABLE: &str = "CREATE TABLE t (a INT) WITH ('connector' = 'datagen');";

    #[test]
    fn a_text_becomes_a_manifest_that_means_the_same() {
        let text = "-- 'quotes', # and: colons\n\nSELECT a  -- why\n  FROM t;\n\n";
        let job = made("my-job", TABLE, text).unwrap();
        assert_eq!(job.metadata.name, "my-job");
        assert_eq!(job.spec.parallelism, 2);
        assert_eq!(job.spec.sql, format!("{TABLE}\n{}\n", text.trim_end()));
        // Words of YAML, and texts that a block cannot hold, are quoted.
        let odd = format!("  {TABLE}\n\tSELECT a, 'x\u{85}' FROM t;");
        assert_eq!(made("null", "", &odd).unwrap().spec.sql, format!("{odd}\n"));
    }

    #[test]
    fn what_cannot_run_becomes_none() {
        let wrong = made("my-job", TABLE, "\nSELECT b FROM t;").unwrap_err();
        assert_eq!((wrong[0].from, wrong[0].to), (8, 9));
        assert!(wrong[0].message.starts_with("line 2: column \"b\" not found"), "{wrong:?}");
        for name in ["", "My Job", "a: b\n  labels: {c: d}", "-x"] {
            let wrong = made(name, TABLE, "SELECT a FROM t;").unwrap_err();
            assert!(wrong[0].message.starts_with("metadata"), "{name}: {wrong:?}");
        }
        assert!(made("my-job", "", TABLE).unwrap_err()[0].message.contains("no INSERT INTO"));
    }

    #[test]
    fn what_is_said_of_a_manifest_covers_values_that_are_covered_elsewhere() {
        veil::cover("PAGE_TOKEN", "s3cret-of-the-page");
        let wrong = made("my-job", TABLE, "SELECT `s3cret-of-the-page` FROM t;").unwrap_err();
        assert!(wrong.iter().any(|d| d.message.contains("PAGE_TOKEN")), "{wrong:?}");
        assert!(!wrong.iter().any(|d| d.message.contains("s3cret-of-the-page")), "{wrong:?}");
    }
}
