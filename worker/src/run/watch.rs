//! Watches the manifest: saving it with another parallelism rescales the running job.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use weir_crds::StreamJob;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What an edit asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Edit {
    /// Run at another parallelism.
    Rescale(u32),
    /// Something that takes a restart, or that is wrong: to be shown.
    Say(String),
}

/// Decides what an edited manifest asks of the running job.
#[must_use]
pub(crate) fn decide_edit(running: &StreamJob, edited: &StreamJob) -> Vec<Edit> {
    let changed = edited.changed_fields(running);
    let mut edits = Vec::new();
    if changed.contains(&"spec.parallelism") {
        edits.push(Edit::Rescale(edited.spec.parallelism));
    }
    let others: Vec<_> = changed.into_iter().filter(|f| *f != "spec.parallelism").collect();
    if !others.is_empty() {
        edits.push(Edit::Say(format!(
            "{} changed: stop with Ctrl-C and run again to take it over; state is kept",
            others.join(", ")
        )));
    }
    edits
}

/// Follows the file until the receiver is gone.
pub(crate) async fn follow(path: &Path, mut running: StreamJob, edits: mpsc::Sender<Edit>) {
    let name = path.display().to_string();
    let mut known = tokio::fs::read_to_string(path).await.unwrap_or_default();
    loop {
        tokio::time::sleep(LOOK).await;
        // An editor may have the file open half-written or gone for a moment: look again.
        let Ok(text) = tokio::fs::read_to_string(path).await else { continue };
        if text == known || text.trim().is_empty() {
            continue;
        }
        let found = match StreamJob::from_yaml(&text, &name) {
            Ok(edited) => {
                let found = decide_edit(&running, &edited);
                running.spec.parallelism = edited.spec.parallelism;
                found
            }
            Err(errors) => errors.iter().map(|e| Edit::Say(e.to_string())).collect(),
        };
        known = text;
        for edit in found {
            if edits.send(edit).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(parallelism: u32, sql: &str) -> StreamJob {
        let text = format!(
            "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {{name: a}}\nspec:\n  parallelism: {parallelism}\n  sql: |\n    {sql}\n"
        );
        StreamJob::from_yaml(&text, "job.yaml").expect("a valid manifest")
    }

    #[test]
    fn another_parallelism_rescales_and_nothing_else_does() {
        assert_eq!(decide_edit(&job(2, "a;"), &job(4, "a;")), [Edit::Rescale(4)]);
        assert_eq!(decide_edit(&job(2, "a;"), &job(2, "a;")), []);
        let both = decide_edit(&job(2, "a;"), &job(3, "b;"));
        assert_eq!(both[0], Edit::Rescale(3));
        assert!(matches!(&both[1], Edit::Say(text) if text.starts_with("spec.sql changed")));
    }
}
