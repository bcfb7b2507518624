//! The audit log: a line for each call, under the target `template_worker::audit`.
//!
//! Owns which of them an operator sees without asking: those of calls that are declared to change something, at `info`, with
//! what they name. Those of all others are at `debug`, and so are those of calls beyond a limit: a script can make any number
//! of them. No line holds contents, and nothing is written out for one that nobody sees.

use std::fmt;

use tracing::Level;

use super::calls::Declared;
use super::{Caller, HostCall};
use crate::metrics::Served;

/// What a line says of a call, which is over by then.
#[derive(Debug)]
pub(super) struct Entry {
    object: &'static str,
    declared: &'static Declared,
    names: String,
}

impl Entry {
    pub(super) fn of(call: &HostCall) -> Self {
        let declared = call.declared();
        let is_told = declared.changes && tracing::enabled!(target: "template_worker::audit", Level::INFO);
        let names = if is_told { call.names() } else { String::new() };
        Self { object: call.object(), declared, names }
    }

    /// Tells what came of the call of `caller`.
    pub(super) fn tell(&self, caller: &Caller, served: Served) {
        let (guild, template) = (caller.guild, &caller.template.name);
        if self.declared.changes && served != Served::Limited {
            tracing::info!(target: "template_worker::audit", %guild, %template, call = %self, names = self.names, ?served);
        } else {
            tracing::debug!(target: "template_worker::audit", %guild, %template, call = %self, ?served);
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.object, self.declared.function.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io;
    use std::sync::{Arc, Mutex};

    use khronos::KhronosValue;
    use tracing_subscriber::fmt::MakeWriter;

    use super::super::tests::{all, caller, every_call};
    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What an operator sees of these calls who asks for lines of `level`.
    fn told(level: Level, served: Served, calls: &[HostCall]) -> String {
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(lines.clone());
        tracing::subscriber::with_default(log.finish(), || {
            for call in calls {
                Entry::of(call).tell(&caller(all(), None), served);
            }
        });
        let lines = lines.0.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    fn call(object: &str, name: &str, arguments: Vec<KhronosValue>) -> HostCall {
        HostCall::named(object, name, arguments).unwrap()
    }

    #[test]
    fn a_change_is_told_with_what_it_names_and_without_contents() {
        let message = KhronosValue::from([("content", "a text".into())]);
        let message = KhronosValue::from([("channel_id", "42".into()), ("data", message)]);
        let long = "k".repeat(2_000);
        let lines = told(
            Level::INFO,
            Served::Answered,
            &[
                call("Discord", "create_message", vec![message]),
                call("ObjectStorage", "upload_file", vec!["dir/a\nb".into(), "the content".into()]),
                call("ObjectStorage", "delete_file", vec![long.clone().into()]),
                call("DataStores.TemplateStore", "delete", vec!["greet".into()]),
                call(
                    "HTTPClient",
                    "send",
                    vec![
                        "POST".into(),
                        "https://api.example.com/x?token=y".into(),
                        KhronosValue::Map(BTreeMap::new()),
                    ],
                ),
            ],
        );
        let lines: Vec<&str> = lines.lines().collect();
        for (line, says) in lines.iter().zip([
            r#"call=Discord.create_message names="channel_id=42" served=Answered"#,
            r#"call=ObjectStorage.upload_file names="dir/a\nb" served=Answered"#,
            "call=ObjectStorage.delete_file",
            r#"call=DataStores.TemplateStore.delete names="greet" served=Answered"#,
            r#"call=HTTPClient.send names="api.example.com" served=Answered"#,
        ]) {
            assert!(line.contains(says) && line.contains("guild=1 template=greet"), "{line}");
            assert!(!line.contains("text") && !line.contains("content") && !line.contains("token"), "{line}");
        }
        assert!(lines.len() == 5 && lines[2].len() < 400, "{lines:?}");
    }

    #[test]
    fn a_look_is_told_to_who_asks_for_it_alone() {
        let looks: Vec<HostCall> = every_call().into_iter().filter(|call| !call.declared().changes).collect();
        assert_eq!(told(Level::INFO, Served::Answered, &looks), "");
        assert_eq!(told(Level::DEBUG, Served::Answered, &looks).lines().count(), looks.len());
    }

    #[test]
    fn calls_beyond_a_limit_do_not_fill_the_log() {
        let all = every_call();
        assert_eq!(told(Level::INFO, Served::Limited, &all), "");
        assert!(!told(Level::INFO, Served::Denied, &all).is_empty());
    }

    #[test]
    fn what_changes_something_is_declared_to() {
        let changing: BTreeSet<String> =
            every_call().iter().filter(|call| call.declared().changes).map(ToString::to_string).collect();
        for call in [
            "DataStores.TemplateStore.create",
            "DataStores.TemplateStore.delete",
            "DataStores.TemplateStore.update",
            "Discord.create_guild_ban",
            "Discord.create_message",
            "Discord.delete_channel",
            "HTTPClient.send",
            "ObjectStorage.delete_file",
            "ObjectStorage.upload_file",
        ] {
            assert!(changing.contains(call), "{call}");
        }
        for call in &changing {
            let (_, name) = call.rsplit_once('.').unwrap();
            assert!(!name.starts_with("get_") && !name.starts_with("list"), "{call}");
        }
    }
}
