//! What is printed: data on standard output, progress on standard error; colours only on a
//! terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use weir_page::words::{in_lines, on_one_line};

use crate::kubectl;

/// Between two looks.
const EACH: Duration = Duration::from_secs(2);

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Whether standard output takes them.
    pub(crate) fn is_on(self) -> bool {
        match self {
            Self::Auto => std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Prints. Whoever reads no further (`head`) has what it wanted.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => kubectl::exit(0),
        other => Ok(other?),
    }
}

/// Prints what `look` finds now and from then on, until Ctrl-C: on a terminal in place, elsewhere
/// below what was there, whenever it is other than before. What cannot be looked at from the first is
/// an error; later it is told, and tried again.
pub(crate) fn keep(mut look: impl FnMut() -> anyhow::Result<String>) -> anyhow::Result<u8> {
    let in_place = std::io::stdout().is_terminal();
    let mut shown = look()?;
    let mut silent = String::new();
    let on_screen = |text: &str| match in_place {
        // To the corner, and nothing of before behind it.
        true => print(&format!("\x1b[H\x1b[2J{text}")),
        false => print(text),
    };
    on_screen(&shown)?;
    loop {
        std::thread::sleep(EACH);
        match look() {
            Ok(text) => {
                if in_place || text != shown {
                    on_screen(&text)?;
                }
                shown = text;
                silent.clear();
            }
            Err(why) => {
                let why = in_lines(&format!("{why:#}"), "\n");
                if in_place {
                    on_screen(&format!("{shown}\nit is as it was: {why}\n"))?;
                } else if why != silent {
                    tell(&format!("it is as it was: {why}"));
                }
                silent = why;
            }
        }
    }
}

/// Prints a value for programs.
pub(crate) fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    print(&format!("{}\n", in_json(&serde_json::to_string_pretty(value)?)))
}

/// The same JSON, which has no effect on a terminal: what JSON lets stand in its strings and
/// terminals act upon is escaped.
pub(crate) fn in_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A text in a colour of a terminal, such as 31, if they are on.
pub(crate) fn coloured(text: &str, colour: u8, is_on: bool) -> String {
    if is_on && colour > 0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Tells, on standard error, what may be others' words.
pub(crate) fn tell(text: &str) {
    // Whoever has closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "{}", in_lines(text, "\n"));
}

/// Cells of others' words, each safe; further lines of the last are set in.
pub(crate) fn safe(row: &[String]) -> Vec<String> {
    let last = row.len().saturating_sub(1);
    let cell = |(at, cell): (usize, &String)| match at == last {
        true => in_lines(cell, "\n    "),
        false => on_one_line(cell),
    };
    row.iter().enumerate().map(cell).collect()
}

/// Rows under a head, in columns three blanks apart; the last column is as long as it is.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| safe(row)).collect();
    let all = || std::iter::once(&head).chain(&rows);
    let wide = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let wide: Vec<usize> = (0..head.len()).map(wide).collect();
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(&wide) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide - cell.chars().count() + 3));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The first line of a text, of at most so many characters, safe.
pub(crate) fn first_line(text: &str, most: usize) -> String {
    let line = on_one_line(text.lines().next().unwrap_or_default());
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            [vec!["a".to_owned(), "2 → 4".to_owned()], vec!["delays".to_owned(), "1".into()]];
        let expected = "NAME     PARALLELISM\na        2 → 4\ndelays   1\n";
        assert_eq!(table(&["NAME", "PARALLELISM"], &rows), expected);
        assert_eq!(first_line("no column \"a\"\n  9 | SELECT", 9), "no colum…");
    }
}
