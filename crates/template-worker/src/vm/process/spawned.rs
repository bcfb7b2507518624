//! A VM process as its parent holds it: how it is started, with what, and how it ended.
//!
//! It gets an empty environment, the folder `/`, a process group of its own (a terminal's Ctrl-C is the parent's
//! business), and three descriptors: the socket, the marker, and a pipe for what it has to say when it cannot say it in
//! any other way.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};

use super::marker::MarkerFile;
use crate::ids::ThreadId;

/// Bytes of a line of its last words.
const LINE: u64 = 2_048;
/// Lines that are passed on from one process; a process that has more to say is not in order.
const LINES: usize = 200;

/// A process, and the ends of what connects it.
pub(super) struct Spawned {
    child: Child,
    socket: Option<UnixStream>,
    pub(super) marker: MarkerFile,
}

impl Spawned {
    /// Starts `program` (nothing: this one) as a VM process.
    ///
    /// # Errors
    /// When the operating system has none.
    pub(super) fn start(program: &Path, worker: ThreadId) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (marker, their_marker) = MarkerFile::create()?;
        // The name stays right when the file was replaced by a newer version meanwhile.
        let this = Path::new("/proc/self/exe");
        let mut child = Command::new(if program.as_os_str().is_empty() { this } else { program })
            .arg("vm-process")
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(their_marker))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(words) = child.stderr.take() {
            tokio::spawn(pass_on(words, worker));
        }
        Ok(Self { child, socket: Some(UnixStream::from_std(ours)?), marker })
    }

    /// The connection to it. Taken once.
    pub(super) fn take_socket(&mut self) -> Option<UnixStream> {
        self.socket.take()
    }

    /// Its number in the operating system, while it is there.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> Death {
        match self.child.wait().await {
            Ok(status) => Death::of(status),
            Err(_) => Death { reason: "it is gone".to_owned(), own_doing: false, exited: false },
        }
    }

    /// Ends it, at once.
    pub(super) async fn kill(&mut self) {
        // It fails where the process has ended already.
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Death {
    /// In words.
    pub(super) reason: String,
    /// Whether what it was running may be to blame. Somebody who kills it from outside says nothing about that.
    pub(super) own_doing: bool,
    /// Whether it ended by its own call.
    pub(super) exited: bool,
}

impl Death {
    fn of(status: ExitStatus) -> Self {
        const FROM_OUTSIDE: [i32; 4] = [1, 2, 9, 15]; // SIGHUP, SIGINT, SIGKILL, SIGTERM
        match (status.signal(), status.code()) {
            (Some(signal), _) => Self {
                reason: format!("it was ended by signal {signal}"),
                own_doing: !FROM_OUTSIDE.contains(&signal),
                exited: false,
            },
            (None, code) => Self {
                reason: format!("it exited by itself with code {}", code.unwrap_or_default()),
                own_doing: code != Some(0),
                exited: true,
            },
        }
    }
}

/// Writes what the process says on its way down to the service's log.
async fn pass_on(words: ChildStderr, worker: ThreadId) {
    let mut words = BufReader::new(words);
    for _ in 0..LINES {
        let mut line = Vec::new();
        match (&mut words).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                tracing::warn!(%worker, line = line.trim_end().escape_debug().to_string(), "a VM process says");
            }
        }
    }
    tracing::warn!(%worker, "a VM process says more than is passed on");
    // Read on, so that it is not held up by that.
    let _ = tokio::io::copy(&mut words, &mut tokio::io::sink()).await;
}
