//! What a failed call on a local path means: whose fault it is, and what mends it.

use std::io;
use std::path::Path;

use weir_engine::EngineError;

/// The error of a call that failed on a local path of a table.
pub(crate) fn local_error(path: &Path, what: &str, error: &io::Error) -> EngineError {
    let place = path.display();
    match error.kind() {
        // None of these goes away by itself.
        io::ErrorKind::PermissionDenied => EngineError::user(format!(
            "{place}: cannot {what}: permission denied; let the user that the job runs as do so, or correct 'path'"
        )),
        io::ErrorKind::ReadOnlyFilesystem => EngineError::user(format!(
            "{place}: cannot {what}: the file system is mounted read-only; mount it for writing, or correct 'path'"
        )),
        io::ErrorKind::NotADirectory => EngineError::user(format!(
            "{place}: cannot {what}: a part of the path is a file; correct 'path'"
        )),
        io::ErrorKind::InvalidFilename => EngineError::user(format!(
            "{place}: cannot {what}: {error}; a partition's value, or 'path', is too long for a file name"
        )),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::external(
            format!("{place}: cannot {what}: the disk is full, or its quota is used up; make room"),
        ),
        _ => EngineError::external(format!("{place}: cannot {what}: {error}")),
    }
}

/// Refuses a directory of a sink that is a file, or that would lie below one. `root` is the
/// sink's path.
pub(crate) fn check_directory(root: &Path, directory: &Path) -> Result<(), EngineError> {
    let Some(file) = directory.ancestors().find(|path| path.is_file()) else { return Ok(()) };
    let place = root.display();
    Err(EngineError::user(if file == root {
        format!(
            "{place}: is a file, and 'path' of a sink is a directory; move the file away, or correct 'path'"
        )
    } else {
        format!(
            "{place}: {} is a file, so no directory can be below it; move the file away, or correct 'path'",
            file.display()
        )
    }))
}

#[cfg(test)]
mod tests {
    use weir_engine::Fault;

    use super::*;

    #[test]
    fn only_what_may_mend_itself_is_tried_for_ever() {
        let fault = |kind: io::ErrorKind| {
            local_error(Path::new("/out"), "create the directory", &kind.into()).fault
        };
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::NotADirectory,
            io::ErrorKind::InvalidFilename,
        ] {
            assert_eq!(fault(kind), Fault::User, "{kind}");
        }
        for kind in [
            io::ErrorKind::StorageFull,
            io::ErrorKind::NotFound,
            io::ErrorKind::StaleNetworkFileHandle,
            io::ErrorKind::Other,
        ] {
            assert_eq!(fault(kind), Fault::External, "{kind}");
        }
        assert_eq!(
            local_error(Path::new("/o"), "write", &io::ErrorKind::PermissionDenied.into()).message,
            "/o: cannot write: permission denied; let the user that the job runs as do so, or correct 'path'"
        );
    }
}
