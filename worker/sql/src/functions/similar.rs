//! SIMILAR TO → Java's regular expressions, as Calcite translates it.

/// Signs that a pattern gives a meaning to, or that an escape may stand before.
const SPECIAL: &str = "[]()|^-+*_%?{}";

/// Named classes, in either case.
const CLASSES: [(&str, &str); 7] = [
    ("[:ALPHA:]", r"\p{Alpha}"),
    ("[:UPPER:]", r"\p{Upper}"),
    ("[:LOWER:]", r"\p{Lower}"),
    ("[:DIGIT:]", r"\d"),
    ("[:SPACE:]", " "),
    ("[:WHITESPACE:]", r"\s"),
    ("[:ALNUM:]", r"\p{Alnum}"),
];

/// A pattern as a regular expression that a whole text has to match.
///
/// # Errors
/// What is wrong with it.
pub(super) fn translate(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = pattern;
    let mut inside = false;
    while let Some(c) = rest.chars().next() {
        let named = CLASSES.iter().find(|(name, _)| {
            inside && rest.get(..name.len()).is_some_and(|r| r.eq_ignore_ascii_case(name))
        });
        if let Some((name, class)) = named {
            result.push_str(class);
            rest = &rest[name.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if Some(c) == escape {
            let Some(next) = rest.chars().next() else {
                return Err("it ends with the escape character".to_owned());
            };
            if !SPECIAL.contains(next) && Some(next) != escape {
                return Err(format!(
                    "the escape character stands before '{next}', which has no meaning to take away"
                ));
            }
            rest = &rest[next.len_utf8()..];
            if !next.is_alphanumeric() && next != '_' {
                result.push('\\');
            }
            result.push(next);
            continue;
        }
        match c {
            ']' if inside => {
                inside = false;
                result.push(']');
            }
            ']' => return Err("it has a ']' without a '[' before it".to_owned()),
            '-' | '^' if inside => result.push(c),
            c if inside && SPECIAL.contains(c) => {
                return Err(format!("'{c}' in a class needs an ESCAPE before it"));
            }
            '[' => {
                inside = true;
                result.push('[');
            }
            '%' => result.push_str("(?s:.*)"),
            '_' => result.push('.'),
            // Signs that only Java gives a meaning to.
            '$' | '\\' => {
                result.push('\\');
                result.push(c);
            }
            c => result.push(c),
        }
    }
    if inside {
        return Err("a class in it is not closed by ']'".to_owned());
    }
    Ok(result)
}
