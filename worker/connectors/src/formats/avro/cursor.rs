//! Avro's binary encoding, byte by byte; never beyond the bytes that are there.

/// What takes no bytes, in one piece of data at most.
const MOST_EMPTY: u32 = 1 << 20;

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Fail {
    /// The data ends in the middle of it.
    End,
    /// It is none.
    Wrong(String),
}

impl Fail {
    pub(super) fn message(self) -> String {
        match self {
            Self::End => "the data ends in the middle of a record".to_owned(),
            Self::Wrong(message) => message,
        }
    }
}

pub(super) fn wrong<T>(message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::Wrong(message.into()))
}

/// A place in some data.
pub(super) struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    /// How much more may take no bytes.
    empty: u32,
    /// How many more values may be passed over: types that hold each other are as many as they like
    /// in a short schema.
    steps: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let steps = (1 << 20) + 16 * data.len() as u64;
        Self { data, at: 0, empty: MOST_EMPTY, steps }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a place where it was.
    pub(super) fn set(&mut self, at: usize) {
        self.at = at.min(self.data.len());
    }

    pub(super) fn left(&self) -> usize {
        self.data.len() - self.at
    }

    /// Counts what began at `before`, if it took no bytes.
    pub(super) fn count_empty(&mut self, before: usize) -> Result<(), Fail> {
        if self.at > before {
            return Ok(());
        }
        let Some(empty) = self.empty.checked_sub(1) else {
            return wrong(format!(
                "more than {MOST_EMPTY} records or elements take no bytes; are the bytes damaged?"
            ));
        };
        self.empty = empty;
        Ok(())
    }

    /// Counts a value that is passed over.
    pub(super) fn step(&mut self) -> Result<(), Fail> {
        let Some(steps) = self.steps.checked_sub(1) else {
            return wrong("far more values than bytes; are the bytes damaged?");
        };
        self.steps = steps;
        Ok(())
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Fail> {
        let byte = *self.data.get(self.at).ok_or(Fail::End)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fail> {
        let end = self.at.checked_add(bytes).ok_or(Fail::End)?;
        let taken = self.data.get(self.at..end).ok_or(Fail::End)?;
        self.at = end;
        Ok(taken)
    }

    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, Fail> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x7f);
        let mut byte = first;
        let mut shift = 7;
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return wrong("a number with more than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(super) fn int(&mut self) -> Result<i32, Fail> {
        let value = self.long()?;
        i32::try_from(value).or_else(|_| wrong(format!("{value} is beyond the 32 bits of an int")))
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Fail> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => wrong(format!("the byte {other} is no boolean")),
        }
    }

    pub(super) fn float(&mut self) -> Result<f32, Fail> {
        let bytes = self.take(4)?.first_chunk().copied().unwrap_or_default();
        Ok(f32::from_le_bytes(bytes))
    }

    pub(super) fn double(&mut self) -> Result<f64, Fail> {
        let bytes = self.take(8)?.first_chunk().copied().unwrap_or_default();
        Ok(f64::from_le_bytes(bytes))
    }

    /// A length and so many bytes.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Fail> {
        let length = self.long()?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => wrong(format!("a value of {length} bytes")),
        }
    }

    /// The number of elements in the next block of an array or map, 0 at its end; and how many
    /// bytes they have, where that is told.
    pub(super) fn block(&mut self) -> Result<(u64, Option<usize>), Fail> {
        let count = self.long()?;
        if count >= 0 {
            return Ok((count.unsigned_abs(), None));
        }
        let size = self.long()?;
        match usize::try_from(size) {
            Ok(size) if size <= self.left() => Ok((count.unsigned_abs(), Some(size))),
            Ok(_) => Err(Fail::End),
            Err(_) => wrong(format!("elements of {size} bytes")),
        }
    }
}

/// Appends a number.
#[inline]
pub(super) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a length and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for value in [0, -1, 1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_long(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.long().unwrap(), value);
            assert_eq!(cursor.left(), 0);
            assert!(matches!(Cursor::new(&bytes[..bytes.len() - 1]).long(), Err(Fail::End)));
        }
        let mut too_long = vec![0xff; 9];
        too_long.push(2);
        assert!(matches!(Cursor::new(&too_long).long(), Err(Fail::Wrong(_))));
        assert!(matches!(Cursor::new(&[0x80; 20]).long(), Err(Fail::Wrong(_))));
    }
}
