//! Numbers from decimal text: integers eight digits at a time, exact decimals, floats.

/// 16 bytes from `at`, the first in the lowest place; `None` too near the end of `data`.
#[inline(always)]
pub(crate) fn load16(data: &[u8], at: usize) -> Option<u128> {
    let bytes: &[u8; 16] = data.get(at..at + 16)?.try_into().ok()?;
    Some(u128::from_le_bytes(*bytes))
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Added to a digit 0–9 it leaves the highest bit clear, to anything from 10 it sets it.
const PAST_NINE: u64 = 0x7676_7676_7676_7676;

/// Moves the first `length` of 16 bytes to the top, less `'0'`: leading zeros come in below.
#[inline(always)]
fn digits16(bytes: u128, length: usize) -> (u64, u64) {
    let zeros = u128::from(ZEROS) << 64 | u128::from(ZEROS);
    let shifted = (bytes ^ zeros) << ((16 - length) * 8);
    // Truncation on purpose: the two halves.
    (shifted as u64, (shifted >> 64) as u64)
}

#[inline(always)]
fn all_digits(low: u64, high: u64) -> bool {
    ((low | low.wrapping_add(PAST_NINE)) | (high | high.wrapping_add(PAST_NINE))) & HIGH == 0
}

/// Value of eight digits, the first in the lowest byte.
#[inline(always)]
fn eight(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// Whether the 1–16 bytes at `start` are all digits without a leading zero. `None`: cannot say
/// (longer, or too near the end of `data`).
#[inline(always)]
pub(crate) fn plain_integer(data: &[u8], start: usize, end: usize) -> Option<bool> {
    let length = end - start;
    if length == 0 || length > 16 {
        return None;
    }
    let bytes = load16(data, start)?;
    let (low, high) = digits16(bytes, length);
    Some(all_digits(low, high) && (length == 1 || bytes as u8 != b'0'))
}

/// The 1–16 digits at `start .. end` of `data`; `None` where they are not that, or `data` ends.
#[inline(always)]
pub(crate) fn unsigned16(data: &[u8], start: usize, end: usize) -> Option<u64> {
    let length = end - start;
    if length == 0 || length > 16 {
        return None;
    }
    let (low, high) = digits16(load16(data, start)?, length);
    all_digits(low, high).then(|| eight(low) * 100_000_000 + eight(high))
}

/// The text without blanks around it, as Java's `trim` does: spaces and control characters.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let inside = |&byte: &u8| byte > b' ';
    let start = text.iter().position(inside).unwrap_or(text.len());
    let end = text.iter().rposition(inside).map_or(start, |last| last + 1);
    &text[start..end]
}

/// An integer in decimal: optional sign, digits.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Counted downwards, because the negative range is the larger one.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A float in Java's notation, the suffixes `f` and `d` included, without hexadecimal forms.
pub(crate) fn parse_f64(text: &[u8]) -> Option<f64> {
    match float_text(text)? {
        Float::Digits(digits) => digits.parse().ok(),
        Float::Special(value) => Some(value),
    }
}

/// As [`parse_f64`], rounded once to single precision.
pub(crate) fn parse_f32(text: &[u8]) -> Option<f32> {
    match float_text(text)? {
        Float::Digits(digits) => digits.parse().ok(),
        // The special values are the same in both precisions.
        Float::Special(value) => Some(value as f32),
    }
}

enum Float<'a> {
    Digits(&'a str),
    Special(f64),
}

fn float_text(text: &[u8]) -> Option<Float<'_>> {
    let plain = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let text = match text {
        [.., b'0'..=b'9' | b'.', b'f' | b'F' | b'd' | b'D'] => &text[..text.len() - 1],
        _ => text,
    };
    if text.iter().all(plain) {
        return std::str::from_utf8(text).ok().map(Float::Digits);
    }
    Some(Float::Special(match text {
        b"NaN" | b"+NaN" | b"-NaN" => f64::NAN,
        b"Infinity" | b"+Infinity" => f64::INFINITY,
        b"-Infinity" => f64::NEG_INFINITY,
        _ => return None,
    }))
}

/// What became of a decimal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decimal {
    /// Unscaled value, rounded half up to the scale.
    Value(i128),
    /// A number with more digits than the precision holds.
    TooLarge,
}

/// A decimal number, exponent allowed, as the unscaled value at `scale`; `None`: not a number.
pub(crate) fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Option<Decimal> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&rest[..at], parse_i64(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let point = mantissa.iter().position(|&b| b == b'.').unwrap_or(mantissa.len());
    let whole = &mantissa[..point];
    let fraction = mantissa.get(point + 1..).unwrap_or_default();
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Digits before the decimal point of the unscaled value.
    let kept = i64::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_add(scale.into())?;
    let (mut value, mut position, mut large, mut round_up) = (0i128, 0i64, false, false);
    for &byte in whole.iter().chain(fraction) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        if position < kept {
            match value.checked_mul(10).and_then(|v| v.checked_add(digit.into())) {
                Some(next) => value = next,
                None => large = true,
            }
        } else if position == kept {
            round_up = digit >= 5;
        }
        position += 1;
    }
    // Digits that the text does not have are zeros; beyond 38 only zero itself can fit.
    if position < kept && value != 0 {
        let zeros = u32::try_from(kept - position).unwrap_or(u32::MAX);
        match 10i128.checked_pow(zeros).and_then(|p| value.checked_mul(p)) {
            Some(next) => value = next,
            None => large = true,
        }
    }
    let value = value.saturating_add(i128::from(round_up));
    if large || value >= 10i128.checked_pow(precision.into()).unwrap_or(i128::MAX) {
        return Some(Decimal::TooLarge);
    }
    Some(Decimal::Value(if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_digits_are_read_at_once_and_only_digits() {
        let mut data = b"1234567890123456,".to_vec();
        data.extend([b'x'; 32]);
        for length in 1..=16 {
            let expected = std::str::from_utf8(&data[..length]).unwrap().parse().unwrap();
            assert_eq!(unsigned16(&data, 0, length), Some(expected));
            assert_eq!(plain_integer(&data, 0, length), Some(true));
        }
        for byte in 0..=255u8 {
            for at in 0..5 {
                let mut data = *b"12345,..................";
                data[at] = byte;
                let text = &data[..5];
                let digits = text.iter().all(u8::is_ascii_digit);
                assert_eq!(unsigned16(&data, 0, 5).is_some(), digits, "{text:?}");
                let plain = digits && text[0] != b'0';
                assert_eq!(plain_integer(&data, 0, 5), Some(plain), "{text:?}");
            }
        }
        assert_eq!(plain_integer(b"0,..............", 0, 1), Some(true));
    }

    #[test]
    fn integers_cover_their_whole_range() {
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        assert_eq!(parse_i64(b"-"), None);
        assert_eq!(parse_i64(b"1_0"), None);
    }

    #[test]
    fn decimals_round_half_up_and_know_their_limits() {
        use Decimal::{TooLarge, Value};
        assert_eq!(parse_decimal(b"12.345", 10, 2), Some(Value(1235)));
        assert_eq!(parse_decimal(b"-12.344", 10, 2), Some(Value(-1234)));
        assert_eq!(parse_decimal(b"1.5e3", 10, 2), Some(Value(150_000)));
        assert_eq!(parse_decimal(b"15e-1", 10, 0), Some(Value(2)));
        assert_eq!(parse_decimal(b"5e-1", 10, 0), Some(Value(1)));
        assert_eq!(parse_decimal(b"5e-2", 10, 0), Some(Value(0)));
        assert_eq!(parse_decimal(b"999.995", 5, 2), Some(TooLarge));
        assert_eq!(parse_decimal(b"1e400", 38, 0), Some(TooLarge));
        assert_eq!(parse_decimal(b"0e400", 38, 0), Some(Value(0)));
        assert_eq!(parse_decimal(b"1.", 5, 1), Some(Value(10)));
        assert_eq!(parse_decimal(b".", 5, 1), None);
        assert_eq!(parse_decimal(b"1x", 5, 1), None);
    }
}
