//! What the commands talk to, and how they end: texts, errors with a hint, exit codes.
//!
//! Owns the form of an error on the terminal. Every command writes to the handles given here, so that a test can read
//! what a user would.

use std::error::Error;
use std::io::{Read, Write};
use std::iter;
use std::process::ExitCode;

/// The terminal, or what stands in for it.
pub struct Console<'a> {
    /// Where `-` reads from.
    pub input: &'a mut dyn Read,
    /// Takes what was asked for.
    pub out: &'a mut dyn Write,
    /// Takes everything else: progress, warnings, errors.
    pub err: &'a mut dyn Write,
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Console(..)")
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well: 0.
    Success,
    /// It failed, and said why: 1.
    Failure,
    /// The command line is wrong: 2.
    Usage,
    /// A template failed: 3.
    TemplateFailed,
    /// A second signal of this number ended it at once: 128 and the number, as shells have it.
    Signal(u8),
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::TemplateFailed => 3,
            Self::Signal(number) => 128 | number,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Something that failed, and what its reader can do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Failure {
    what: String,
    hint: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), source: None }
    }

    pub(super) fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

impl Console<'_> {
    /// One line with the whole chain of causes, and one with the hint, where there is one.
    pub(super) fn show_error(&mut self, error: &anyhow::Error) -> Exit {
        let hint =
            error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map(|failure| &failure.hint);
        let shown = writeln!(self.err, "error: {}", chain(error.as_ref())).and_then(|()| match hint {
            Some(hint) => writeln!(self.err, "hint: {hint}"),
            None => Ok(()),
        });
        // Where stderr is closed, the exit code is all that is left to say.
        drop(shown);
        Exit::Failure
    }

    /// Help and version, which were asked for, or what is wrong with the command line.
    pub(super) fn show_usage(&mut self, usage: &clap::Error) -> Exit {
        let (to, exit): (&mut dyn Write, _) =
            if usage.use_stderr() { (self.err, Exit::Usage) } else { (self.out, Exit::Success) };
        match writeln!(to, "{}", usage.render().to_string().trim_end()) {
            Ok(()) => exit,
            Err(_) => Exit::Failure,
        }
    }
}

/// The causes from the outermost to the innermost. A cause that the one before it has already told is left out: some
/// libraries repeat theirs.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in iter::successors(Some(error), |error| Error::source(*error)).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// `text` without what a terminal would take for a command; lines and tabs stay. Templates and names of tokens come
/// from strangers.
pub(super) fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() && !matches!(c, '\n' | '\t'), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &anyhow::Error) -> String {
        let mut err = Vec::new();
        let mut console = Console { input: &mut std::io::empty(), out: &mut std::io::sink(), err: &mut err };
        assert_eq!(console.show_error(error), Exit::Failure);
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn an_error_is_one_line_and_its_hint_another() {
        let source = std::io::Error::other("the port is taken");
        let failure = Failure::new("failed to listen", "take another port").because(source);
        let error = anyhow::Error::new(failure).context("failed to start");
        assert_eq!(
            shown(&error),
            "error: failed to start: failed to listen: the port is taken\nhint: take another port\n"
        );
    }

    #[test]
    fn a_cause_that_was_told_already_is_not_told_again() {
        let error = anyhow::anyhow!("no disk").context("failed to write: no disk").context("failed to save");
        assert_eq!(shown(&error), "error: failed to save: failed to write: no disk\n");
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [Exit::Success, Exit::Failure, Exit::Usage, Exit::TemplateFailed].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3]);
        assert_eq!((Exit::Signal(2).code(), Exit::Signal(15).code()), (130, 143));
    }

    #[test]
    fn a_text_from_a_stranger_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n\tc\u{9b}d\r"), "a\u{fffd}[2Jb\n\tc\u{fffd}d\u{fffd}");
    }
}
