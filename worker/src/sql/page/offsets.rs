//! Places in a text as a browser counts them: in UTF-16 code units from its beginning.

use weir_sql::Span;

/// A text with its lines.
pub(super) struct Offsets<'a> {
    text: &'a str,
    /// Where each line begins: in bytes, and in code units.
    lines: Vec<(usize, usize)>,
}

impl<'a> Offsets<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (mut byte, mut unit) = (0, 0);
        let mut lines = vec![(0, 0)];
        for line in text.split_inclusive('\n') {
            byte += line.len();
            unit += units(line);
            lines.push((byte, unit));
        }
        Self { text, lines }
    }

    /// The first character of a stretch, and behind its last.
    pub(super) fn stretch(&self, span: Span) -> (usize, usize) {
        let from = self.unit(span.line, span.column.saturating_sub(1));
        (from, self.unit(span.end_line, span.end_column).max(from))
    }

    /// Behind so many characters of a line, which counts from 1.
    fn unit(&self, line: u32, characters: u32) -> usize {
        let at = (line as usize).saturating_sub(1).min(self.lines.len() - 1);
        let (byte, unit) = self.lines[at];
        let rest = self.text[byte..].split('\n').next().unwrap_or_default();
        unit + rest.chars().take(characters as usize).map(char::len_utf16).sum::<usize>()
    }

    /// The byte at so many code units; the end of the text where it has not so many.
    pub(super) fn byte(&self, offset: usize) -> usize {
        let at = self.lines.partition_point(|(_, unit)| *unit <= offset).saturating_sub(1);
        let (mut byte, mut unit) = self.lines[at];
        for c in self.text[byte..].chars() {
            if unit + c.len_utf16() > offset {
                break;
            }
            unit += c.len_utf16();
            byte += c.len_utf8();
        }
        byte
    }
}

/// How many code units a text has.
pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_behind_signs_of_any_width() {
        let text = "-- 𝄞 é\nSELECT a\r\nFROM b";
        let offsets = Offsets::of(text);
        let line: Vec<u16> = text.encode_utf16().collect();
        let span = Span { line: 2, column: 8, end_line: 3, end_column: 6 };
        let (from, to) = offsets.stretch(span);
        assert_eq!(String::from_utf16_lossy(&line[from..to]), "a\r\nFROM b");
        for (unit, _) in line.iter().enumerate() {
            let byte = offsets.byte(unit);
            // The second half of a pair is not a place of its own.
            assert!(units(&text[..byte]) == unit || units(&text[..byte]) + 1 == unit, "{unit}");
        }
        assert_eq!(offsets.byte(line.len()), text.len());
        assert_eq!(offsets.byte(10_000), text.len());
        let behind = Span { line: 9, column: 1, end_line: 9, end_column: 1 };
        assert_eq!(offsets.stretch(behind), (line.len(), line.len()));
    }
}
