//! Where files are: a local path or a place in a bucket, with `*` and `?`.
//!
//! A location is parsed once, from the `path` option; nothing here touches a disk or a store.

use std::path::{Component, Path, PathBuf};

/// What the `path` option names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Location {
    pub(crate) root: Root,
    /// Names below the root that are wanted, one per directory level; empty: all of them.
    pub(crate) pattern: Vec<String>,
}

/// The part of a location that holds no pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Root {
    /// An absolute path.
    Local(PathBuf),
    /// A bucket and a key or the beginning of one, without slashes at its ends.
    Remote { bucket: String, key: String },
}

impl Location {
    /// Reads a path, relative to `base` when it is local.
    ///
    /// # Errors
    /// Cause and fix.
    pub(crate) fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rest) = ["s3://", "s3a://"].iter().find_map(|scheme| text.strip_prefix(scheme))
        {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() || bucket.contains(['*', '?']) {
                return Err(format!("'{text}' names no bucket; write 's3://bucket/folder'"));
            }
            let (key, pattern) = split_pattern(key.split('/').filter(|part| !part.is_empty()));
            let root = Root::Remote { bucket: bucket.to_owned(), key: key.join("/") };
            return Ok(Self { root, pattern });
        }
        let path = match text.split_once("://") {
            None => text,
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => {
                return Err(format!("'{text}' names a host; write 'file:///folder'"));
            }
            Some((scheme, _)) => {
                return Err(format!(
                    "'{scheme}://' is not supported; use a local path, 'file://' or 's3://'"
                ));
            }
        };
        // A relative base first of all: above a "." there is something.
        let base = match base.as_os_str().is_empty() {
            true => PathBuf::from("/"),
            false => std::path::absolute(base)
                .map_err(|error| format!("'{text}' cannot be made absolute: {error}"))?,
        };
        let mut root = PathBuf::from("/");
        parts_of(&base).iter().for_each(|part| go(&mut root, part));
        let parts = parts_of(Path::new(path));
        let (fixed, pattern) = split_pattern(parts.iter().map(String::as_str));
        fixed.iter().for_each(|part| go(&mut root, part));
        Ok(Self { root: Root::Local(root), pattern })
    }

    /// Whether all that is here is also there: a folder is within itself.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Root::Local(here), Root::Local(there)) => here.starts_with(there),
            (Root::Remote { bucket, key }, Root::Remote { bucket: of, key: folder }) => {
                let rest = key.strip_prefix(folder.as_str());
                bucket == of
                    && (folder.is_empty()
                        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
            }
            _ => false,
        }
    }

    /// Whether a file is wanted, given its name relative to the root.
    pub(crate) fn wants(&self, relative: &str) -> bool {
        let names: Vec<&str> = relative.split('/').filter(|name| !name.is_empty()).collect();
        // As in Flink: names that begin so belong to somebody who is still writing.
        !names.iter().any(|name| name.starts_with(['.', '_'])) && matches(&self.pattern, &names)
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.root {
            Root::Local(path) => write!(f, "{}", path.display())?,
            Root::Remote { bucket, key } if key.is_empty() => write!(f, "s3://{bucket}")?,
            Root::Remote { bucket, key } => write!(f, "s3://{bucket}/{key}")?,
        }
        self.pattern.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

fn parts_of(path: &Path) -> Vec<String> {
    let part = |part| match part {
        Component::RootDir | Component::Prefix(_) => "/".to_owned(),
        part => part.as_os_str().to_string_lossy().into_owned(),
    };
    path.components().map(part).collect()
}

/// Takes one part of a path.
fn go(at: &mut PathBuf, part: &str) {
    match part {
        "/" => *at = PathBuf::from("/"),
        "." => {}
        ".." => {
            at.pop();
        }
        part => at.push(part),
    }
}

fn split_pattern<'a>(parts: impl Iterator<Item = &'a str>) -> (Vec<String>, Vec<String>) {
    let mut fixed: Vec<String> = parts.map(str::to_owned).collect();
    let wild = fixed.iter().position(|part| part.contains(['*', '?'])).unwrap_or(fixed.len());
    let pattern = fixed.split_off(wild);
    (fixed, pattern)
}

/// Whether the names fit the patterns level by level; a pattern that ends early means
/// everything below. `**` stands for any number of levels.
fn matches(pattern: &[String], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, _) => true,
        (Some((first, rest)), _) if first == "**" => {
            matches(rest, names)
                || names.split_first().is_some_and(|(_, names)| matches(pattern, names))
        }
        (Some(_), None) => false,
        (Some((first, rest)), Some((name, names))) => {
            name_matches(first.as_bytes(), name.as_bytes()) && matches(rest, names)
        }
    }
}

/// `*`: any characters; `?`: one. Goes back to the last star only, so it is never exponential.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// A value as part of a directory's name, as Hive and Flink escape it.
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        let special = c.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(c);
        if special {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    // "." and ".." would be other directories, and a leading dot hides a file.
    if out.starts_with('.') {
        out.replace_range(0..1, "%2E");
    }
    out
}

/// Undoes [`escape`]. Bytes that other writers escape are those of UTF-8, or else characters as
/// Hive and Flink count them, of which each stays another one.
pub(crate) fn unescape(text: &str) -> String {
    let (mut bytes, mut characters) = (Vec::with_capacity(text.len()), String::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let code =
            rest.strip_prefix('%').and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        let read = code.map_or(next.len_utf8(), |_| 3);
        match code {
            Some(code) => bytes.push(code),
            None => bytes.extend_from_slice(&rest.as_bytes()[..read]),
        }
        characters.push(code.map_or(next, char::from));
        rest = &rest[read..];
    }
    String::from_utf8(bytes).unwrap_or(characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        Location::parse(text, Path::new("/jobs/a")).map(|l| format!("{:?} {:?}", l.root, l.pattern))
    }

    #[test]
    fn paths_are_local_or_in_a_bucket() {
        assert_eq!(parse("in/x.json").unwrap(), r#"Local("/jobs/a/in/x.json") []"#);
        assert_eq!(parse("../b/./*.json").unwrap(), r#"Local("/jobs/b") ["*.json"]"#);
        assert_eq!(parse("/data/*/x").unwrap(), r#"Local("/data") ["*", "x"]"#);
        assert_eq!(parse("file:///data").unwrap(), r#"Local("/data") []"#);
        assert_eq!(parse("s3://b/k/l/").unwrap(), r#"Remote { bucket: "b", key: "k/l" } []"#);
        assert_eq!(parse("s3://b/k/*.gz").unwrap(), r#"Remote { bucket: "b", key: "k" } ["*.gz"]"#);
        assert_eq!(
            parse("s3:///k").unwrap_err(),
            "'s3:///k' names no bucket; write 's3://bucket/folder'"
        );
        assert_eq!(
            parse("gs://b/k").unwrap_err(),
            "'gs://' is not supported; use a local path, 'file://' or 's3://'"
        );
        assert_eq!(
            parse("file://host/k").unwrap_err(),
            "'file://host/k' names a host; write 'file:///folder'"
        );
    }

    #[test]
    fn a_folder_above_is_one_wherever_a_path_begins() {
        let here = std::env::current_dir().unwrap();
        let above = here.parent().unwrap();
        for (base, path, expected) in [
            (".", "../in.csv", above.join("in.csv")),
            ("./", "../in.csv", above.join("in.csv")),
            ("here", "../../in.csv", above.join("in.csv")),
            ("..", "../in.csv", above.parent().unwrap().join("in.csv")),
            ("../jobs", "../../in.csv", above.parent().unwrap().join("in.csv")),
            ("../jobs", "in.csv", above.join("jobs/in.csv")),
        ] {
            let location = Location::parse(path, Path::new(base)).unwrap();
            let found = format!("{:?} {:?}", location.root, location.pattern);
            assert_eq!(found, format!("Local({expected:?}) []"), "{base}: {path}");
        }
    }

    #[test]
    fn patterns_match_level_by_level() {
        let wants = |pattern: &str, name: &str| {
            Location::parse(&format!("/r/{pattern}"), Path::new("/")).unwrap().wants(name)
        };
        assert!(
            wants("*.json", "a.json") && !wants("*.json", "a.csv") && !wants("*.json", "d/a.json")
        );
        assert!(wants("d?/*", "d1/x") && !wants("d?/*", "d12/x"));
        assert!(wants("d*", "d1/deep/x"), "a directory stands for what is in it");
        assert!(wants("**/x*z", "a/b/xyz") && wants("**/x*z", "xz") && !wants("**/x*z", "a/xy"));
        assert!(!wants("*", ".staging") && !wants("*", "_SUCCESS") && !wants("**/*", "a/.tmp/b"));
    }

    #[test]
    fn partition_values_survive_as_directory_names() {
        for value in
            ["a", "a/b", "..", "x=y%z", "ü", "12:30", ".hidden", "100%", "\u{7f}", "\u{85}", "a\tb"]
        {
            let escaped = escape(value);
            assert!(!escaped.contains('/') && !escaped.starts_with('.'), "{escaped}");
            assert_eq!(unescape(&escaped), value);
        }
        assert_eq!(escape("12:30\u{7f}\u{85}"), "12%3A30%7F\u{85}", "as Flink: ASCII only");
        assert_eq!(unescape("50%"), "50%");
        assert_eq!(unescape("%C3%BC"), "ü");
        assert_eq!((unescape("a%FF"), unescape("a%FE")), ("aÿ".into(), "aþ".into()));
        assert_eq!(unescape("ü%FF"), "üÿ");
    }
}
