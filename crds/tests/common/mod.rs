//! What the tests of the manifest reader share.

use expect_test::Expect;
use weir_crds::StreamJob;

/// Reads `text` as `job.yaml` and compares the faults, one per line.
pub(crate) fn check(text: &str, expected: Expect) {
    let shown = match StreamJob::from_yaml(text, "job.yaml") {
        Ok(job) => format!("accepted: {job:?}\n"),
        Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    };
    expected.assert_eq(&shown);
}

/// A manifest whose spec is `sql` and the given lines.
pub(crate) fn with_spec(lines: &str) -> String {
    let mut text = "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata:\n  name: job\nspec:\n  sql: SELECT 1\n".to_owned();
    for line in lines.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}
