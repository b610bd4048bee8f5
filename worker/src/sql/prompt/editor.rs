//! The line editor: colours, completion, history, and when a statement is whole.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use reedline::{
    Color, ColumnarMenu, Completer, CompletionResult, EditCommand, Emacs, FileBackedHistory,
    Highlighter, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch,
    Reedline, ReedlineEvent, ReedlineMenu, Span, StyledText, Suggestion, ValidationResult,
    Validator, default_emacs_keybindings,
};
use weir_sql::session::{Scope, TokenKind, is_complete, tokens};

use super::commands;

/// Statements that are remembered.
const REMEMBERED: usize = 10_000;
/// The menu of what could be completed.
const MENU: &str = "completion";

/// An editor for statements over these names.
pub(super) fn editor(scope: Arc<Mutex<Scope>>, colours: bool) -> Reedline {
    let menu = ColumnarMenu::default().with_name(MENU).with_columns(4).with_column_padding(2);
    let mut keys = default_emacs_keybindings();
    let next = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(next));
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    let line = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
    keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, line);
    let editor = Reedline::create()
        .with_validator(Box::new(Whole))
        .with_completer(Box::new(Names(scope)))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .use_bracketed_paste(true)
        .with_ansi_colors(colours);
    let editor = if colours { editor.with_highlighter(Box::new(Colours)) } else { editor };
    match history() {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// What was typed in earlier sessions; a file that cannot be used only costs memory of them.
fn history() -> Option<FileBackedHistory> {
    let file = history_file()?;
    match FileBackedHistory::with_file(REMEMBERED, file.clone()) {
        Ok(history) => Some(history),
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "what is typed is not remembered");
            None
        }
    }
}

/// `$XDG_STATE_HOME/weir/sql-history`, by default under `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("weir/sql-history"))
}

/// A statement is given once it is whole; until then Enter begins another line.
struct Whole;

impl Validator for Whole {
    fn validate(&self, text: &str) -> ValidationResult {
        match commands::read(text).is_some() || is_complete(text) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

struct Names(Arc<Mutex<Scope>>);

impl Completer for Names {
    fn complete(&mut self, line: &str, at: usize) -> CompletionResult {
        let at = line.floor_char_boundary(at);
        let completion = self.0.lock().complete(&line[..at], &line[at..]);
        let span = Span::new(completion.start, at);
        let suggestion = |candidate: weir_sql::session::Candidate| Suggestion {
            value: candidate.text,
            display_override: None,
            description: None,
            style: None,
            extra: None,
            span,
            append_whitespace: false,
            match_indices: None,
        };
        let found: Vec<Suggestion> = completion.candidates.into_iter().map(suggestion).collect();
        CompletionResult::fresh(found)
    }
}

struct Colours;

impl Highlighter for Colours {
    fn highlight(&self, text: &str, _: usize) -> StyledText {
        let mut styled = StyledText::new();
        let plain = || Color::Default.normal();
        let mut at = 0;
        for token in tokens(text) {
            styled.push((plain(), text[at..token.start].to_owned()));
            let style = match token.kind {
                TokenKind::Keyword => Color::Blue.bold(),
                TokenKind::Function => Color::Cyan.normal(),
                TokenKind::Text => Color::Green.normal(),
                TokenKind::Number => Color::Magenta.normal(),
                TokenKind::Comment => Color::DarkGray.normal(),
                TokenKind::Name | TokenKind::Sign => plain(),
            };
            styled.push((style, text[token.start..token.end].to_owned()));
            at = token.end;
        }
        styled.push((plain(), text[at..].to_owned()));
        styled
    }
}

/// `weir> `, and something as wide in front of further lines.
pub(super) struct Mark;

impl Prompt for Mark {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "weir".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "   > ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(search: {}) ", search.term).into()
    }
}
