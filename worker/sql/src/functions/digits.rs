//! Decimal digits of a double: the fewest that tell it, rounded half up, as Java prints it.

/// `0.d₁d₂… × 10^point` of a number that is finite and not below zero.
#[derive(Clone, Debug)]
pub(super) struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    pub(super) fn of(value: f64) -> Self {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        Self { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 }
    }

    /// The power of ten of the first digit.
    pub(super) fn exponent(&self) -> i32 {
        self.point - 1
    }

    /// With so many digits at most.
    pub(super) fn rounded_to(&self, count: usize) -> Self {
        let mut rounded = self.clone();
        let Some(next) = self.digits.get(count).copied() else {
            return rounded;
        };
        rounded.digits.truncate(count);
        if next < 5 {
            return rounded;
        }
        for digit in rounded.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return rounded;
            }
            *digit = 0;
        }
        rounded.digits.insert(0, 1);
        rounded.point += 1;
        rounded
    }

    /// `123.450`, with so many digits behind the point.
    pub(super) fn fixed(&self, behind: usize) -> String {
        let kept = i64::from(self.point) + behind as i64;
        let rounded = match usize::try_from(kept) {
            Ok(kept) => self.rounded_to(kept),
            // All of it is too small to be seen.
            Err(_) => Self { digits: Vec::new(), point: 0 },
        };
        let digit = |at: i64| {
            let digit = usize::try_from(at).ok().and_then(|at| rounded.digits.get(at));
            char::from(b'0' + digit.copied().unwrap_or(0))
        };
        let point = i64::from(rounded.point);
        let mut text: String = (0..point).map(digit).collect();
        if text.is_empty() {
            text.push('0');
        }
        if behind > 0 {
            text.push('.');
            text.extend((point..point + behind as i64).map(digit));
        }
        text
    }

    /// `1.2345e+02`, with so many digits behind the point.
    pub(super) fn scientific(&self, behind: usize) -> String {
        let rounded = self.rounded_to(behind + 1);
        let digit = |at: usize| char::from(b'0' + rounded.digits.get(at).copied().unwrap_or(0));
        let is_zero = self.digits.iter().all(|d| *d == 0);
        let exponent = if is_zero { 0 } else { rounded.exponent() };
        let sign = if exponent < 0 { '-' } else { '+' };
        let mut text = digit(0).to_string();
        if behind > 0 {
            text.push('.');
            text.extend((1..=behind).map(digit));
        }
        format!("{text}e{sign}{:02}", exponent.abs())
    }
}

/// `1,234,567`.
pub(super) fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_rounded_half_up_over_the_shortest_that_tell_the_number() {
        let fixed = |value: f64, behind: usize| Digits::of(value).fixed(behind);
        assert_eq!(fixed(1.005, 2), "1.01");
        assert_eq!(fixed(0.05, 1), "0.1");
        assert_eq!(fixed(0.04, 1), "0.0");
        assert_eq!(fixed(0.5, 0), "1");
        assert_eq!(fixed(9.99, 1), "10.0");
        assert_eq!(fixed(1e21, 1), "1000000000000000000000.0");
        assert_eq!(fixed(1e-9, 3), "0.000");
        assert_eq!(Digits::of(0.0).scientific(2), "0.00e+00");
        assert_eq!(Digits::of(0.000_123_45).scientific(2), "1.23e-04");
        assert_eq!(Digits::of(9.996).scientific(2), "1.00e+01");
        assert_eq!(grouped("1234567"), "1,234,567");
        assert_eq!(grouped("123"), "123");
    }
}
