//! Who a VM process was running when it died, readable after any death.
//!
//! A file without a name, in memory, which is the process's standard output: it writes there before each slice whose it
//! is, and its parent reads that when the process is gone. One page a thread would be quicker to write to, but mapping it takes `unsafe`; this is one
//! system call for each slice.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::uio::pwrite;

use crate::ids::{GuildId, ThreadId};
use crate::template::{MAX_NAME_BYTES, TemplateName};

/// Bytes for each thread: the guild's id, the length of the template's name, the name.
const PLACE: usize = 9 + MAX_NAME_BYTES;
/// As many as a process can have threads.
const PLACES: usize = 512;

/// The file, as the parent holds it.
#[derive(Debug)]
pub(in crate::vm) struct MarkerFile(File);

/// The end of the process.
#[derive(Debug)]
pub(in crate::vm) struct Marker<F = io::Stdout>(F);

impl MarkerFile {
    /// A fresh file of a fixed size, and the end for the process.
    ///
    /// # Errors
    /// When the operating system has none.
    pub(in crate::vm) fn create() -> io::Result<(Self, OwnedFd)> {
        let file = memfd_create(c"marker", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let file = File::from(file);
        file.set_len((PLACE * PLACES) as u64)?;
        let fixed = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(fixed))?;
        let theirs = OwnedFd::from(file.try_clone()?);
        Ok((Self(file), theirs))
    }

    /// What its threads were running. The process wrote it, which may have been taken over: what
    /// makes no sense is left out.
    pub(in crate::vm) fn read(&self) -> Vec<(GuildId, TemplateName)> {
        (0..PLACES).filter_map(|place| self.read_one(place)).collect()
    }

    fn read_one(&self, place: usize) -> Option<(GuildId, TemplateName)> {
        let mut bytes = [0; PLACE];
        self.0.read_exact_at(&mut bytes, (place * PLACE) as u64).ok()?;
        let guild = GuildId::new(u64::from_le_bytes(bytes.first_chunk::<8>().copied()?))?;
        let name = bytes.get(9..9 + usize::from(bytes[8]))?;
        Some((guild, std::str::from_utf8(name).ok()?.parse().ok()?))
    }
}

impl Marker {
    /// That of this process. No other descriptor than the one that it has: a locked process has no use for more.
    pub(in crate::vm) fn of_this_process() -> Self {
        Self(io::stdout())
    }
}

impl<F: AsFd> Marker<F> {
    /// The thread is about to run a template of `guild`.
    pub(in crate::vm) fn runs(&self, thread: ThreadId, guild: GuildId, template: &str) {
        let mut bytes = [0; PLACE];
        let name = template.as_bytes();
        let end = 9 + name.len();
        let (Some(text), Ok(length)) = (bytes.get_mut(9..end), u8::try_from(name.len())) else { return };
        text.copy_from_slice(name);
        bytes[..8].copy_from_slice(&guild.get().to_le_bytes());
        bytes[8] = length;
        self.write(thread, bytes.get(..end).unwrap_or_default());
    }

    /// The thread runs nothing.
    pub(in crate::vm) fn rests(&self, thread: ThreadId) {
        self.write(thread, &[0; 8]);
    }

    /// Threads that follow on others have numbers of their own, and take the places of those in turn.
    fn write(&self, thread: ThreadId, bytes: &[u8]) {
        let place = usize::try_from(thread.0).unwrap_or_default() % PLACES;
        // It cannot fail; and if it did, nobody would be blamed.
        let _ = pwrite(&self.0, bytes, (place * PLACE) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_wrote_last_the_other_reads_whatever_was_written() {
        let (ours, theirs) = MarkerFile::create().unwrap();
        let theirs = Marker(File::from(theirs));
        let guild = |index: u64| GuildId::new(818_880_986_845_679_757 + index).unwrap();
        assert_eq!(ours.read(), []);
        let long: TemplateName = "n".repeat(MAX_NAME_BYTES).parse().unwrap();
        let short: TemplateName = "short".parse().unwrap();
        theirs.runs(ThreadId(0), guild(0), long.as_str());
        theirs.runs(ThreadId(3), guild(3), short.as_str());
        assert_eq!(ours.read(), [(guild(0), long), (guild(3), short.clone())]);
        theirs.runs(ThreadId(512), guild(9), short.as_str());
        assert_eq!(ours.read()[0], (guild(9), short));
        theirs.rests(ThreadId(0));
        assert_eq!(ours.read().len(), 1);
        theirs.0.write_all_at(&[0xff; PLACE], 0).unwrap();
        theirs.0.write_all_at(&[1, 0, 0, 0, 0, 0, 0, 0, 4, b'.', b'.', b'/', 0xc3], PLACE as u64).unwrap();
        theirs.rests(ThreadId(3));
        assert_eq!(ours.read(), [], "nonsense is nobody's");
        assert!(theirs.0.set_len(1 << 30).is_err(), "it can neither grow nor shrink");
        assert!(theirs.0.set_len(0).is_err());
    }
}
