//! What is wrong with a manifest, in the words its author sees.

/// One fault of a manifest: the place, the cause and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line} {}{message}", prefix(path))]
pub struct ManifestError {
    /// The file as the caller named it.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// Path of the field, such as `spec.state.checkpoint.interval`; empty for the file as a whole.
    pub path: String,
    /// Cause and fix.
    pub message: String,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}
