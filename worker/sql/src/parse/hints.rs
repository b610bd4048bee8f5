//! `/*+ … */`: Flink's hints. One is understood, the options of a table for this place alone;
//! every other is refused by its name, as a program that is run without it is another program.

use super::{Parsed, Parser};
use crate::ast::OptionDef;
use crate::lex::{HINT, HINT_END, Tok};

const OPTIONS_ONLY: &str = "of Flink's hints only OPTIONS('key' = 'value') is, right behind the name of a table, before its alias";

impl Parser {
    /// Options in hints behind a table's name; of a key given twice the later value counts, as in
    /// Flink.
    pub(super) fn table_hints(&mut self) -> Parsed<Vec<OptionDef>> {
        let mut options: Vec<OptionDef> = Vec::new();
        while self.eat(HINT) {
            loop {
                let token = self.peek().clone();
                match token.keyword().as_deref() {
                    Some("OPTIONS") => {
                        self.next();
                        for option in self.option_list()? {
                            options.retain(|known| known.key != option.key);
                            options.push(option);
                        }
                    }
                    _ => return self.refuse_hint(),
                }
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(HINT_END)?;
        }
        Ok(options)
    }

    /// Hints behind SELECT, which are about joins and aggregations.
    pub(super) fn refuse_query_hints<T>(&mut self) -> Parsed<T> {
        self.next();
        if self.is_word("OPTIONS") {
            let span = self.span();
            return self.error(
                span,
                "OPTIONS has no place behind SELECT; it stands right behind the name of the table that it is for, before its alias",
            );
        }
        self.refuse_hint()
    }

    fn refuse_hint<T>(&mut self) -> Parsed<T> {
        let token = self.peek();
        let message = match &token.tok {
            Tok::Word { text, .. } => format!("the hint {text} is not supported; {OPTIONS_ONLY}"),
            _ => format!("expected the name of a hint, found {}; {OPTIONS_ONLY}", token.describe()),
        };
        self.error(token.span, message)
    }
}
