//! Mirrors of objects as sparse files: what was not read yet is a hole.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

/// Stands for `/` in a file's name. No object of `data/` has it.
const SLASH: char = '~';

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, or finds what is in it: objects, and the bytes that each takes up.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<(String, u64)>)> {
        std::fs::create_dir_all(path)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if metadata.is_file() {
                // A block of a sparse file is 512 bytes, whatever the file system's is.
                found.push((name.replace(SLASH, "/"), metadata.blocks() * 512));
            }
        }
        Ok((Self(path.to_path_buf()), found))
    }

    fn path(&self, object: &str) -> PathBuf {
        self.0.join(object.replace('/', &SLASH.to_string()))
    }

    /// Not synced: what a power loss tears is not believed.
    pub(super) fn write(&self, object: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(object);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(bytes, offset)
    }

    /// Pieces that the file reaches to; a hole reads as zeros.
    pub(super) fn get(&self, object: &str, pieces: &[Range<u64>]) -> Vec<Option<Bytes>> {
        let Ok(file) = File::open(self.path(object)) else { return vec![None; pieces.len()] };
        let piece = |wanted: &Range<u64>| {
            let len = usize::try_from(wanted.end.checked_sub(wanted.start)?).ok()?;
            let mut bytes = BytesMut::zeroed(len);
            file.read_exact_at(&mut bytes, wanted.start).ok()?;
            Some(bytes.freeze())
        };
        pieces.iter().map(piece).collect()
    }

    pub(super) fn remove(&self, object: &str) {
        match std::fs::remove_file(self.path(object)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, object, "a cached segment cannot be removed");
            }
            _ => {}
        }
    }
}
