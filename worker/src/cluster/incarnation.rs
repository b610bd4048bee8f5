//! What a pod remembers while its processes come and go: empty files in its local directory,
//! which is made with the pod and goes with it.

use std::path::{Path, PathBuf};

/// The pod's memory. Without a directory nothing is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Incarnation(Option<PathBuf>);

/// A process of this pod was fenced: none coordinates any more.
pub(crate) const FENCED: &str = "fenced";
/// A process of this pod has taken the role on its own account.
pub(crate) const STARTED: &str = "started";

impl Incarnation {
    pub(crate) fn of(directory: Option<&Path>) -> Self {
        Self(directory.filter(|d| d.is_dir()).map(Path::to_path_buf))
    }

    pub(crate) fn has(&self, what: &str) -> bool {
        self.0.as_ref().is_some_and(|d| d.join(what).exists())
    }

    /// Remembers. A directory that cannot be written costs progress at most, never safety.
    pub(crate) fn remember(&self, what: &str) {
        if let Some(directory) = &self.0
            && let Err(error) = std::fs::write(directory.join(what), b"")
        {
            tracing::warn!(%error, directory = %directory.display(), "nothing can be remembered");
        }
    }
}
