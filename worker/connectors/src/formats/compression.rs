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
}

impl Compression {
    /// By the extension of the path's last part, whatever its case.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref()
        {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            Some("deflate") => Self::Deflate,
            _ => Self::None,
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
    }
}
