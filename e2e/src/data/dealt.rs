//! Lines dealt out in turn to the files of a folder, so that all files cover the same time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Writes lines into `files` files, `NAME-0.json` and on. Returns the bytes.
///
/// # Errors
/// Those of the lines, and of the file system.
pub(super) fn write_dealt(
    folder: &Path,
    name: &str,
    files: usize,
    lines: impl Iterator<Item = Result<String>>,
) -> Result<u64> {
    let mut to = (0..files)
        .map(|i| {
            let path = folder.join(format!("{name}-{i}.json"));
            let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
            Ok(BufWriter::with_capacity(1 << 20, file))
        })
        .collect::<Result<Vec<_>>>()?;
    for (line, file) in lines.zip((0..files).cycle()) {
        writeln!(to[file], "{}", line?)?;
    }
    let mut bytes = 0;
    for mut file in to {
        file.flush()?;
        bytes += file.get_ref().metadata()?.len();
    }
    Ok(bytes)
}
