//! Who a VM process was running when it died, readable after any death.
//!
//! A file without a name, in memory: the process writes into it before each slice whose it is, and its parent reads it
//! when the process is gone. One page a thread would be quicker to write to, but mapping it takes `unsafe`; this is one
//! system call for each slice.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use crate::ids::GuildId;
use crate::template::{MAX_NAME_BYTES, TemplateName};

/// Bytes for each thread: the guild's id, the length of the template's name, the name.
const PLACE: usize = 9 + MAX_NAME_BYTES;
/// The most threads that a process can have.
pub(in crate::vm) const MOST_THREADS: usize = 512;

/// The file, at either end.
#[derive(Debug)]
pub(in crate::vm) struct Marker(File);

impl Marker {
    /// A fresh file of a fixed size, and the end for the process.
    ///
    /// # Errors
    /// When the operating system has none.
    pub(in crate::vm) fn create() -> io::Result<(Self, OwnedFd)> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
        let file = memfd_create("marker", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, (PLACE * MOST_THREADS) as u64)?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let theirs = file.try_clone()?;
        Ok((Self(File::from(file)), theirs))
    }

    /// The end that a process has got.
    pub(in crate::vm) fn of(file: OwnedFd) -> Self {
        Self(File::from(file))
    }

    /// The thread in `place` is about to run a template of `guild`.
    pub(in crate::vm) fn runs(&self, place: usize, guild: GuildId, template: &TemplateName) {
        let mut bytes = [0; PLACE];
        let name = template.as_str().as_bytes();
        let end = 9 + name.len();
        let (Some(text), Ok(length)) = (bytes.get_mut(9..end), u8::try_from(name.len())) else { return };
        text.copy_from_slice(name);
        bytes[..8].copy_from_slice(&guild.get().to_le_bytes());
        bytes[8] = length;
        self.write(place, bytes.get(..end).unwrap_or_default());
    }

    /// The thread in `place` runs nothing.
    pub(in crate::vm) fn rests(&self, place: usize) {
        self.write(place, &[0; 8]);
    }

    fn write(&self, place: usize, bytes: &[u8]) {
        if place < MOST_THREADS {
            // It cannot fail; and if it did, nobody would be blamed.
            let _ = self.0.write_all_at(bytes, (place * PLACE) as u64);
        }
    }

    /// What the threads in the first `places` were running. The process wrote it, which may have been taken over: what
    /// makes no sense is left out.
    pub(in crate::vm) fn read(&self, places: usize) -> Vec<(GuildId, TemplateName)> {
        (0..places.min(MOST_THREADS)).filter_map(|place| self.read_one(place)).collect()
    }

    fn read_one(&self, place: usize) -> Option<(GuildId, TemplateName)> {
        let mut bytes = [0; PLACE];
        self.0.read_exact_at(&mut bytes, (place * PLACE) as u64).ok()?;
        let guild = GuildId::new(u64::from_le_bytes(bytes.first_chunk::<8>().copied()?)).ok()?;
        let name = bytes.get(9..9 + usize::from(bytes[8]))?;
        Some((guild, std::str::from_utf8(name).ok()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_wrote_last_the_other_reads_whatever_was_written() {
        let (ours, theirs) = Marker::create().unwrap();
        let theirs = Marker::of(theirs);
        let guild = |index| GuildId::new(818_880_986_845_679_757 + index).unwrap();
        assert_eq!(ours.read(4), []);
        let long: TemplateName = "n".repeat(MAX_NAME_BYTES).parse().unwrap();
        theirs.runs(0, guild(0), &long);
        theirs.runs(3, guild(3), &"short".parse().unwrap());
        theirs.runs(MOST_THREADS, guild(9), &long);
        assert_eq!(ours.read(4), [(guild(0), long), (guild(3), "short".parse().unwrap())]);
        theirs.rests(0);
        assert_eq!(ours.read(4).len(), 1);
        theirs.0.write_all_at(&[0xff; PLACE], 0).unwrap();
        theirs.0.write_all_at(&[1, 0, 0, 0, 0, 0, 0, 0, 4, b'.', b'.', b'/', 0xc3], PLACE as u64).unwrap();
        assert_eq!(ours.read(3), [], "nonsense is nobody's");
        assert!(theirs.0.set_len(1 << 30).is_err(), "it can neither grow nor shrink");
        assert!(theirs.0.set_len(0).is_err());
    }
}
