//! The mark that some producers put in front of a text to say how it is encoded.

const UTF_8: &[u8] = b"\xef\xbb\xbf";

/// Marks of encodings that are not read, the longer before those that they begin with.
const OTHERS: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
];

const UTF_16: &str = "the byte order mark of UTF-16; only UTF-8 can be read: convert the data, for \
                      example with `iconv -f UTF-16 -t UTF-8`";
const UTF_32: &str = "the byte order mark of UTF-32; only UTF-8 can be read: convert the data, for \
                      example with `iconv -f UTF-32 -t UTF-8`";

/// Length of the UTF-8 mark at the beginning of a file or message; 0 where there is none.
///
/// # Errors
/// When the mark is that of UTF-16 or UTF-32; the message names cause and fix.
pub(crate) fn mark(data: &[u8]) -> Result<usize, &'static str> {
    if let Some((_, refused)) = OTHERS.into_iter().find(|(mark, _)| data.starts_with(mark)) {
        return Err(refused);
    }
    Ok(if data.starts_with(UTF_8) { UTF_8.len() } else { 0 })
}

/// Whether more bytes can turn the data into something that begins with a mark.
pub(crate) fn may_become_mark(data: &[u8]) -> bool {
    let marks = OTHERS.into_iter().map(|(mark, _)| mark).chain([UTF_8]);
    marks.into_iter().any(|mark| mark.len() > data.len() && mark.starts_with(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_utf_8_is_passed_and_any_other_refused() {
        assert_eq!(mark(b"\xef\xbb\xbfa,1\n"), Ok(3));
        assert_eq!(mark(b"\xef\xbb"), Ok(0));
        assert_eq!(mark(b""), Ok(0));
        assert_eq!(mark(b"{}"), Ok(0));
        for (data, name) in [
            (&b"\xff\xfe{\0"[..], "UTF-16;"),
            (b"\xfe\xff\0{", "UTF-16;"),
            (b"\xff\xfe\0\0", "UTF-32;"),
            (b"\0\0\xfe\xff", "UTF-32;"),
        ] {
            let refused = mark(data).unwrap_err();
            assert!(refused.contains(name) && refused.contains("iconv"), "{refused}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_mark_needs_more_bytes() {
        assert!(may_become_mark(b"\xef\xbb"));
        assert!(may_become_mark(b""));
        assert!(!may_become_mark(b"1\n"));
        assert!(!may_become_mark(b"\xef\xbb\xbf"));
    }
}
