//! Texts in the encodings that `raw.charset` names.

/// An encoding of texts. Names are Java's, in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Charset {
    /// UTF-8.
    #[default]
    Utf8,
    /// US-ASCII.
    Ascii,
    /// ISO-8859-1: a byte is the character of its number.
    Latin1,
    /// UTF-16: read by its mark, and without one with the higher byte first; written with a mark.
    Utf16,
    /// UTF-16BE: the higher byte first, without a mark.
    Utf16Be,
    /// UTF-16LE: the lower byte first, without a mark.
    Utf16Le,
}

impl Charset {
    /// All, by the names that Java knows them by.
    pub(crate) const NAMES: [(&'static str, Self); 12] = [
        ("UTF-8", Self::Utf8),
        ("UTF8", Self::Utf8),
        ("US-ASCII", Self::Ascii),
        ("ASCII", Self::Ascii),
        ("ISO-8859-1", Self::Latin1),
        ("ISO8859_1", Self::Latin1),
        ("LATIN1", Self::Latin1),
        ("UTF-16", Self::Utf16),
        ("UTF-16BE", Self::Utf16Be),
        ("UTF-16LE", Self::Utf16Le),
        ("UTF_16BE", Self::Utf16Be),
        ("UTF_16LE", Self::Utf16Le),
    ];

    /// The charset of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        known.map(|(_, charset)| *charset)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, charset)| *charset == self).map_or("", |(name, _)| name)
    }

    /// Whether a character has two bytes or more.
    pub(crate) fn is_wide(self) -> bool {
        matches!(self, Self::Utf16 | Self::Utf16Be | Self::Utf16Le)
    }

    /// Appends the text that the bytes are; otherwise, the place in them that is none.
    pub(crate) fn decode(self, bytes: &[u8], text: &mut Vec<u8>) -> Result<(), usize> {
        match self {
            Self::Utf8 => {
                std::str::from_utf8(bytes).map_err(|error| error.valid_up_to())?;
                text.extend_from_slice(bytes);
            }
            Self::Ascii => {
                if let Some(at) = bytes.iter().position(|byte| !byte.is_ascii()) {
                    return Err(at);
                }
                text.extend_from_slice(bytes);
            }
            Self::Latin1 => {
                let text_of: String = bytes.iter().map(|&byte| char::from(byte)).collect();
                text.extend_from_slice(text_of.as_bytes());
            }
            Self::Utf16 => match bytes {
                [0xfe, 0xff, rest @ ..] => {
                    wide(rest, u16::from_be_bytes, text).map_err(|at| at + 2)?
                }
                [0xff, 0xfe, rest @ ..] => {
                    wide(rest, u16::from_le_bytes, text).map_err(|at| at + 2)?
                }
                bytes => wide(bytes, u16::from_be_bytes, text)?,
            },
            Self::Utf16Be => wide(bytes, u16::from_be_bytes, text)?,
            Self::Utf16Le => wide(bytes, u16::from_le_bytes, text)?,
        }
        Ok(())
    }

    /// Appends the bytes of a text; otherwise, the character that has none.
    pub(crate) fn encode(self, text: &str, bytes: &mut Vec<u8>) -> Result<(), char> {
        match self {
            Self::Utf8 => bytes.extend_from_slice(text.as_bytes()),
            Self::Ascii => match text.chars().find(|letter| !letter.is_ascii()) {
                Some(letter) => return Err(letter),
                None => bytes.extend_from_slice(text.as_bytes()),
            },
            Self::Latin1 => {
                for letter in text.chars() {
                    bytes.push(u8::try_from(letter).map_err(|_| letter)?);
                }
            }
            Self::Utf16 => {
                if !text.is_empty() {
                    bytes.extend_from_slice(&[0xfe, 0xff]);
                }
                bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Be => bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
        Ok(())
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16, text: &mut Vec<u8>) -> Result<(), usize> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut at = 0;
    for letter in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        let letter = letter.map_err(|_| at)?;
        at += letter.len_utf16() * 2;
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    if rest.is_empty() { Ok(()) } else { Err(at) }
}
