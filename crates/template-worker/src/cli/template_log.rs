//! What templates print and how they fail, as lines of the service's own log, for operators who ask for it.
//!
//! Owns nothing but the way from the one to the other. Nobody waits for it: what comes too fast is counted.

use khronos::LogLevel;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::execution::LogEntry;

/// The part of the program that the lines are from, for `log.level`. Their level is `debug`, whatever the template's own
/// is: authors write them, and may write very many.
const TARGET: &str = "template_worker::template_log";

/// Whether `log.level` asks for the lines.
pub(super) fn wanted() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// Writes every entry, until there is nobody who could send one.
pub(super) async fn write(mut entries: Receiver<LogEntry>) {
    loop {
        match entries.recv().await {
            Ok(entry) => write_one(&entry),
            Err(RecvError::Lagged(lines)) => tracing::debug!(target: TARGET, "{lines} lines were dropped"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn write_one(entry: &LogEntry) {
    let level = match entry.level {
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    tracing::debug!(
        target: TARGET,
        guild = %entry.guild,
        template = &*entry.template,
        event = entry.event.as_ref().map(tracing::field::display),
        level,
        // A field and not the message: as such it is escaped, and cannot pass for other lines.
        text = entry.text,
        "a template wrote"
    );
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use time::OffsetDateTime;
    use tokio::sync::broadcast;

    use super::*;
    use crate::ids::{EventId, GuildId};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn entry(text: &str) -> LogEntry {
        LogEntry {
            at: OffsetDateTime::UNIX_EPOCH,
            guild: GuildId::new(42).unwrap(),
            template: "greet".into(),
            event: Some(EventId::fresh()),
            level: LogLevel::Error,
            text: text.to_owned(),
        }
    }

    #[tokio::test]
    async fn what_templates_write_is_logged_and_what_came_too_fast_is_counted() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("warn,template_worker::template_log=debug")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        assert!(wanted());
        let (sender, entries) = broadcast::channel(2);
        for text in ["lost", "lost too", "init.luau:3: oh", "two\nlines"] {
            sender.send(entry(text)).unwrap();
        }
        drop(sender);
        write(entries).await;
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        for part in [
            "2 lines were dropped",
            "guild=42",
            "template=\"greet\"",
            "level=\"error\"",
            "event=",
            "init.luau:3: oh",
            "two\\nlines",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}
