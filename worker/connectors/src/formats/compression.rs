//! Which compression a file has, by its name.

/// Compression of a whole text file. Parquet files compress inside and have none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Plain bytes.
    #[default]
    None,
    /// `.gz`, `.gzip`.
    Gzip,
    /// `.zst`, `.zstd`.
    Zstd,
    /// `.deflate`: zlib's format, as Flink reads it.
    Deflate,
    /// `.bz2`.
    Bzip2,
    /// `.xz`.
    Xz,
}

/// Extensions of compressed files and archives that cannot be read.
const UNREADABLE: [&str; 12] =
    ["lz4", "snappy", "sz", "lzo", "lzma", "lz", "br", "z", "zip", "7z", "rar", "tar"];

/// The extension of the path's last part, in lower case.
fn extension(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase())
}

impl Compression {
    /// By the extension of the path's last part, whatever its case.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        match extension(path).as_deref() {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            Some("deflate") => Self::Deflate,
            Some("bz2") => Self::Bzip2,
            Some("xz") => Self::Xz,
            _ => Self::None,
        }
    }

    /// Refuses a file of lines whose name says that it is packed in a way that cannot be read:
    /// what is in it would pass for broken lines.
    ///
    /// # Errors
    /// Cause and fix.
    pub fn check(path: &str) -> Result<(), String> {
        match extension(path) {
            Some(found) if UNREADABLE.contains(&found.as_str()) => Err(format!(
                "'.{found}' files cannot be read; pack it as .gz, .bz2, .xz, .zst or .deflate, or leave it out with 'source.path.regex-pattern'"
            )),
            _ => Ok(()),
        }
    }

    /// Whether a reader can start in the middle of a file.
    #[must_use]
    pub fn is_splittable(self) -> bool {
        self == Self::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells() {
        assert_eq!(Compression::of_path("a/b.json.GZ"), Compression::Gzip);
        assert_eq!(Compression::of_path("a.gz/b.json"), Compression::None);
        assert_eq!(Compression::of_path("b.zst"), Compression::Zstd);
        assert_eq!(Compression::of_path("gz"), Compression::None);
        assert_eq!(Compression::of_path("a.csv.bz2"), Compression::Bzip2);
        assert_eq!(Compression::of_path("a.csv.XZ"), Compression::Xz);
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        assert!(Compression::check("in/a.csv.Lz4").unwrap_err().starts_with("'.lz4' files cannot"));
        for fine in ["in/a.csv", "a.zip/b.csv.xz", "zip"] {
            assert_eq!(Compression::check(fine), Ok(()));
        }
    }
}
