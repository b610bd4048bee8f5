//! A line that is an array of objects: a row of each, all of them or none.

use super::scan::{self, Broken, Kind, Token};
use super::{Failure, JsonDecoder};

/// Whether a record is an array, if anything.
pub(super) fn is_array(record: &[u8]) -> bool {
    let record = record.strip_prefix("\u{feff}".as_bytes()).unwrap_or(record);
    record.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

impl JsonDecoder {
    /// Appends the rows of an array at `at` of the window, or handles that it was broken.
    pub(super) fn take_array(
        &mut self,
        record: &[u8],
        window: &[u8],
        at: usize,
    ) -> Result<(), Failure> {
        let elements = match objects(record) {
            Ok(elements) => elements,
            Err(broken) => return self.settle(Err(broken), window, at),
        };
        let before = self.rows;
        for element in elements {
            let tokens = self.tokens.get_mut(..self.fields.slots).unwrap_or_default();
            let inside = &record[element.start..element.end];
            let walked = scan::object(inside, &self.fields.names, tokens, None).map(|()| true);
            if let Err(failure) = self.settle(walked, window, at + element.start) {
                for column in &mut self.columns {
                    column.truncate(before);
                }
                self.rows = before;
                return Err(failure);
            }
        }
        Ok(())
    }
}

/// The objects of the array, the whole of which is checked.
fn objects(record: &[u8]) -> Result<Vec<Token>, Broken> {
    if let Err(error) = std::str::from_utf8(record) {
        return Err(Broken { at: error.valid_up_to(), what: "not UTF-8" });
    }
    let array = scan::array(record)?;
    let mut objects = Vec::new();
    scan::elements(&record[array.start..array.end], |element| {
        let (start, end) = (array.start + element.start, array.start + element.end);
        if element.kind != Kind::Object {
            return Err(Broken { at: start, what: "expected an object in the array of a line" });
        }
        objects.push(Token { kind: Kind::Object, start, end });
        Ok(())
    })?;
    Ok(objects)
}
