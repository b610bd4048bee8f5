//! What is for the prompt and no statement: `.mode csv`, `.help`, QUIT.

use clap::ValueEnum;
use weir_connectors::options::did_you_mean;

use super::super::client::Client;
use crate::cli::Format;

/// What can be asked of the prompt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Help,
    Quit,
    Clear,
    Tables,
    Timer(Option<bool>),
    Mode(Option<Format>),
}

/// What comes of a command.
pub(super) enum Said {
    Nothing,
    Text(String),
    /// The same as a statement.
    Statement(&'static str),
}

const HELP: &str = "Statements end with ';' and may have many lines; HELP; lists them.

  .mode [table|csv|json|plain]   how rows are written
  .timer [on|off]                say how long each statement took
  .tables                        what is declared: SHOW TABLES
  .help                          this
  .quit                          leave; QUIT, EXIT and Ctrl-D do too
  CLEAR                          an empty screen

  Tab completes words, tables, columns, functions, options and their values
  Ctrl-C ends a query that runs, or gives up what was typed
  Ctrl-R searches what was typed before
  SET 'sql-client.execution.result-mode' = 'changelog' shows each change instead of the result";

const NAMES: [&str; 7] = [".mode", ".timer", ".tables", ".help", ".quit", ".exit", ".clear"];

/// The command that a text is, or what is wrong with it; nothing where it is a statement.
pub(super) fn read(text: &str) -> Option<Result<Command, String>> {
    let text = text.trim().trim_end_matches(';').trim();
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "quit" | "exit" => return Some(Ok(Command::Quit)),
        "clear" => return Some(Ok(Command::Clear)),
        "help" => return Some(Ok(Command::Help)),
        _ if !text.starts_with('.') => return None,
        _ => {}
    }
    let mut words = lower.split_whitespace();
    let (name, value) = (words.next().unwrap_or_default(), words.next());
    if let Some(more) = words.next() {
        return Some(Err(format!("{name} takes one word; leave '{more}' out")));
    }
    Some(match (name, value) {
        (".mode", None) => Ok(Command::Mode(None)),
        (".mode", Some(value)) => match Format::from_str(value, true) {
            Ok(format) => Ok(Command::Mode(Some(format))),
            Err(_) => Err(format!("there is no mode '{value}'; it is table, csv, json or plain")),
        },
        (".timer", None) => Ok(Command::Timer(None)),
        (".timer", Some("on")) => Ok(Command::Timer(Some(true))),
        (".timer", Some("off")) => Ok(Command::Timer(Some(false))),
        (".timer", Some(value)) => Err(format!("there is no timer '{value}'; it is on or off")),
        (".tables", None) => Ok(Command::Tables),
        (".help", None) => Ok(Command::Help),
        (".clear", None) => Ok(Command::Clear),
        (".quit" | ".exit", None) => Ok(Command::Quit),
        (name, Some(value)) if NAMES.contains(&name) => {
            Err(format!("{name} takes no word; leave '{value}' out"))
        }
        (name, _) => {
            let meant = did_you_mean(name, NAMES).map(|near| format!("did you mean {near}?"));
            let meant = meant.unwrap_or_else(|| ".help lists all".to_owned());
            Err(format!("there is no command {name}; {meant}"))
        }
    })
}

/// Does what a command says.
pub(super) fn obey(client: &mut Client, command: Command) -> Said {
    let word = |on: bool| if on { "on" } else { "off" };
    match command {
        Command::Help => return Said::Text(HELP.to_owned()),
        Command::Tables => return Said::Statement("SHOW TABLES;"),
        Command::Timer(None) => return Said::Text(format!("timer {}", word(client.timer))),
        Command::Timer(Some(on)) => client.timer = on,
        Command::Mode(None) => {
            let name = client.format.to_possible_value();
            return Said::Text(name.map_or_else(String::new, |v| format!("mode {}", v.get_name())));
        }
        Command::Mode(Some(format)) => client.format = format,
        Command::Quit | Command::Clear => {}
    }
    Said::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements_and_mistakes_are_explained() {
        assert_eq!(read("SELECT 1;"), None);
        assert_eq!(read("select .5;"), None);
        for quit in ["quit", "EXIT;", ".quit", " .exit "] {
            assert_eq!(read(quit), Some(Ok(Command::Quit)), "{quit}");
        }
        assert_eq!(read(".mode JSON"), Some(Ok(Command::Mode(Some(Format::Json)))));
        assert_eq!(read(".timer on"), Some(Ok(Command::Timer(Some(true)))));
        let why = |text| read(text).and_then(Result::err).unwrap_or_default();
        assert_eq!(why(".mod csv"), "there is no command .mod; did you mean .mode?");
        assert_eq!(why(".mode box"), "there is no mode 'box'; it is table, csv, json or plain");
        assert_eq!(why(".tables x"), ".tables takes no word; leave 'x' out");
    }
}
