//! VM processes that are not what they should be: programs that know nothing of VMs, of another version, or that were
//! taken over and say whatever they like. What they owe is answered, and says why; and they are started again with pauses.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use template_worker::config::Strategy;
use testkit::{GUILD, TestWorker};

/// It is locked in, in the words of the wire: a frame's length, the kind of message, the version, no locks.
const READY: &str = r"\003\000\000\000\000\003\000";

/// A program that runs these lines.
fn script(folder: &Path, lines: &str) -> PathBuf {
    let path = folder.join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path
}

/// What a guild hears whose VM is to live in `program`.
async fn reason(program: &Path) -> String {
    let (program, began) = (program.to_owned(), Instant::now());
    let worker = TestWorker::start_with(|config| {
        config.vm.strategy = Strategy::ProcessPool;
        config.vm.processes = 1;
        config.vm.process_program = program;
        config.vm.max_memory = 1 << 20;
        config.server.drain_time_ms = 100;
    })
    .await;
    worker.template(GUILD, "t", "return 1").await.expect(201);
    let mut reason = String::new();
    for _ in 0..3 {
        let mut result = worker.event(GUILD, &json!({})).await["t"].take();
        assert_eq!(result["status"], "vm_broken", "{result}");
        reason = result["reason"].take().as_str().unwrap().to_owned();
    }
    // Without pauses there would be hundreds in a second.
    let restarts = worker.app().dispatcher.threads()[0].restarts;
    assert!(
        u128::from(restarts) <= 4 + began.elapsed().as_millis() / 100,
        "{restarts} in {:?}",
        began.elapsed()
    );
    assert!(reason.starts_with("the process that ran this guild's VM ended: "), "{reason}");
    worker.stop().await;
    reason
}

async fn reason_of(lines: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    reason(&script(folder.path(), lines)).await
}

#[tokio::test]
async fn a_program_that_is_no_vm_process_is_started_again_with_pauses_and_says_how_it_ended() {
    for (program, says) in [
        ("/bin/true", "it exited by itself with code 0"),
        ("/bin/false", "it exited by itself with code 1"),
        ("/there/is/none", "its process could not be started"),
    ] {
        let reason = reason(Path::new(program)).await;
        assert!(reason.contains(says), "{program}: {reason}");
    }
}

#[tokio::test]
async fn a_process_that_says_what_it_must_not_is_ended_and_what_it_owes_is_answered() {
    let ready = format!("printf '{READY}' >&0");
    // An answer to the first question: done.
    let done = r"printf '\004\000\000\000\001\001\000\000' >&0";
    for (lines, says) in [
        ("echo hello, this is no message >&0".to_owned(), "it said what nobody understands"),
        (r"printf '\003\000\000\000\000\011\000' >&0".to_owned(), "restart the service"),
        (done.to_owned(), "it said something before it was ready"),
        (format!("{ready}; {ready}"), "it was ready twice"),
        (
            format!(r"{ready}; printf '\004\000\000\000\001\143\000\000' >&0"),
            "it answered what it was not asked",
        ),
        (
            format!(r"{ready}; printf '\003\000\000\000\002\005\000' >&0"),
            "it spoke for a guild that is not its own",
        ),
        (
            format!(r"{ready}; printf '\007\000\000\000\005\005\000\003why' >&0"),
            "it told of a break that cannot have been",
        ),
        (
            format!(r"{ready}; printf '\010\000\000\000\007\001\005\001t\000\000\000' >&0"),
            "it called for a template that is not its own",
        ),
        // A frame of 4 GiB is not waited for.
        (format!(r"{ready}; printf '\377\377\377\377' >&0"), "it said what nobody understands"),
    ] {
        let reason = reason_of(&format!("{lines}\nexec sleep 5")).await;
        assert!(reason.contains(says), "{lines}: {reason}");
    }
}

#[tokio::test]
async fn a_process_that_only_talks_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    // It says that it dropped a log line, a million times and more.
    let talk = folder.path().join("talk");
    std::fs::write(&talk, [2, 0, 0, 0, 4, 1].repeat(1_000_100)).unwrap();
    let program = script(folder.path(), &format!("printf '{READY}' >&0; cat {talk:?} >&0; exec sleep 5"));
    let reason = reason(&program).await;
    assert!(reason.contains("too much that nobody had asked for"), "{reason}");
}

#[tokio::test]
async fn a_process_that_takes_too_much_memory_is_ended() {
    let grow = "text=$(head -c 400000000 /dev/zero | tr '\\0' x)";
    let reason = reason_of(&format!("printf '{READY}' >&0; {grow}; exec sleep 5")).await;
    assert!(reason.contains("bytes of memory"), "{reason}");
}
