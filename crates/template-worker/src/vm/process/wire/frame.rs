//! Messages as bytes: a length (four bytes, the lowest first), and so many bytes of postcard.
//!
//! Owns lengths and borders. Reading takes memory as bytes arrive, never as a length announces them.

use std::marker::PhantomData;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ToProcess, ToService};

/// Bytes of a length.
const HEAD: usize = size_of::<u32>();
/// An event's data, a result or the body of a request, at their largest bound.
const LARGEST_PAYLOAD: usize = 64 << 20;
/// Bytes that a reader keeps for what comes next.
const KEPT: usize = 64 << 10;

/// A kind of message, and its direction.
pub(in super::super) trait Message: Serialize + DeserializeOwned {
    /// Most bytes of one.
    const MOST: usize;
}

impl Message for ToProcess {
    /// An event, and a lot more than what goes with it; a template's code is less.
    const MOST: usize = LARGEST_PAYLOAD + (1 << 20);
}

impl Message for ToService {
    /// A result, or the arguments of a call, and what goes with them. A list of VMs is less.
    const MOST: usize = LARGEST_PAYLOAD + (4 << 20);
}

/// Why a message cannot be sent. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum EncodeError {
    /// It would have more bytes than [`Message::MOST`].
    #[error("a message is longer than {most} bytes")]
    TooLong {
        /// The most.
        most: usize,
    },
    /// A part of it has no form in postcard.
    #[error("a message has a part that cannot be written")]
    Unwritable,
}

/// Why bytes are no messages. Nothing that comes after can be read any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum FrameError {
    /// A length above [`Message::MOST`].
    #[error("a message of {bytes} bytes was announced, and {most} are the most")]
    TooLong {
        /// What was announced.
        bytes: u32,
        /// The most.
        most: usize,
    },
    /// No message of this version, or one with illegal parts.
    #[error("a message of {bytes} bytes cannot be understood")]
    Garbled {
        /// Its length.
        bytes: usize,
    },
    /// A message, and more bytes before the end of its frame.
    #[error("{bytes} bytes are left over after a message")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
}

/// Appends `message` as one frame to `buffer`, so that many go out in one write.
///
/// # Errors
/// See [`EncodeError`]; `buffer` is as before.
pub(in super::super) fn encode_into<M: Message>(
    buffer: &mut Vec<u8>,
    message: &M,
) -> Result<(), EncodeError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEAD]);
    let written = postcard::serialize_with_flavor(message, Body { buffer: &mut *buffer, room: M::MOST });
    let body = buffer.len() - start - HEAD;
    let head = buffer.get_mut(start..start + HEAD).zip(u32::try_from(body).ok());
    match (written, head) {
        (Ok(()), Some((head, body))) => {
            head.copy_from_slice(&body.to_le_bytes());
            Ok(())
        }
        (written, _) => {
            buffer.truncate(start);
            let is_full = matches!(written, Err(postcard::Error::SerializeBufferFull) | Ok(()));
            Err(if is_full { EncodeError::TooLong { most: M::MOST } } else { EncodeError::Unwritable })
        }
    }
}

/// Takes what postcard writes, up to a length.
struct Body<'a> {
    buffer: &'a mut Vec<u8>,
    room: usize,
}

impl Flavor for Body<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(postcard::Error::SerializeBufferFull)?;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Makes messages of bytes, in whichever pieces they come.
#[derive(Debug)]
pub(in super::super) struct FrameReader<M> {
    buffer: Vec<u8>,
    /// Bytes at the front that are read.
    read: usize,
    _kind: PhantomData<fn() -> M>,
}

impl<M> Default for FrameReader<M> {
    fn default() -> Self {
        Self { buffer: Vec::new(), read: 0, _kind: PhantomData }
    }
}

impl<M: Message> FrameReader<M> {
    /// Takes bytes that arrived. Feed it what one read brought, and then take out all messages.
    pub(in super::super) fn feed(&mut self, bytes: &[u8]) {
        // What moves to the front is the beginning of one frame, and it moves once.
        self.buffer.drain(..self.read);
        self.read = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message; `None` until more bytes arrive.
    ///
    /// # Errors
    /// See [`FrameError`]. The same one for ever, whatever is fed: nobody knows where the next message would begin.
    pub(in super::super) fn next(&mut self) -> Result<Option<M>, FrameError> {
        let waiting = self.buffer.get(self.read..).unwrap_or_default();
        let Some((head, rest)) = waiting.split_first_chunk::<HEAD>() else { return Ok(None) };
        let announced = u32::from_le_bytes(*head);
        let bytes = usize::try_from(announced).unwrap_or(usize::MAX);
        if bytes > M::MOST {
            return Err(FrameError::TooLong { bytes: announced, most: M::MOST });
        }
        let Some(body) = rest.get(..bytes) else { return Ok(None) };
        let (message, left) =
            postcard::take_from_bytes::<M>(body).map_err(|_| FrameError::Garbled { bytes })?;
        if !left.is_empty() {
            return Err(FrameError::LeftOver { bytes: left.len() });
        }
        self.read += HEAD + bytes;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(within_ms: u64) -> ToProcess {
        ToProcess::Stop { within_ms }
    }

    fn frames(times: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        times.iter().for_each(|within_ms| encode_into(&mut bytes, &stop(*within_ms)).unwrap());
        bytes
    }

    /// All messages that can be read now.
    fn read(reader: &mut FrameReader<ToProcess>) -> Vec<u64> {
        let next = || reader.next().unwrap();
        let within = |message| match message {
            ToProcess::Stop { within_ms } => within_ms,
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(next).map(within).collect()
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let times = [1, 1 << 40, 3, 4];
        let bytes = frames(&times);
        for size in 1..=bytes.len() {
            let mut reader = FrameReader::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(size) {
                reader.feed(piece);
                got.extend(read(&mut reader));
            }
            assert_eq!(got, times, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_announced_takes_no_memory() {
        let mut reader = FrameReader::<ToService>::default();
        reader.feed(&u32::try_from(ToService::MOST).unwrap().to_le_bytes());
        reader.feed(b"and no more");
        assert!(matches!(reader.next(), Ok(None)));
        assert!(reader.buffer.capacity() < 1_000, "{} bytes", reader.buffer.capacity());

        let mut reader = FrameReader::<ToService>::default();
        reader.feed(&u32::MAX.to_le_bytes());
        let refused = FrameError::TooLong { bytes: u32::MAX, most: ToService::MOST };
        assert_eq!(reader.next().unwrap_err(), refused);
        reader.feed(&frames(&[1]));
        assert_eq!(reader.next().unwrap_err(), refused, "nothing can be read after an error");
        assert!(reader.buffer.capacity() < 1_000, "{} bytes", reader.buffer.capacity());
    }

    #[test]
    fn a_list_that_announces_more_than_there_is_is_garbled() {
        // A beat whose counts are said to be 2^63.
        let body = [6, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 7, 7, 7];
        let mut reader = FrameReader::<ToService>::default();
        reader.feed(&[14, 0, 0, 0]);
        reader.feed(&body);
        assert_eq!(reader.next().unwrap_err(), FrameError::Garbled { bytes: 14 });
    }

    #[test]
    fn a_message_that_is_too_long_leaves_what_was_written_before() {
        let mut bytes = frames(&[1]);
        let state = "x".repeat(ToService::MOST);
        let locks = vec![super::super::Lock { name: String::new(), state }];
        let error = encode_into(&mut bytes, &ToService::Ready { version: 1, locks }).unwrap_err();
        assert_eq!(error, EncodeError::TooLong { most: ToService::MOST });
        assert_eq!(bytes, frames(&[1]));
    }

    #[test]
    fn a_reader_keeps_no_room_of_a_large_message() {
        let mut reader = FrameReader::default();
        let mut bytes = Vec::new();
        let (counts, lines) = (vec![0; KEPT], 2);
        let beat =
            ToService::Beat { counts, vms: 0, idle: 0, closing: 0, warm: 0, memory: 0, load_permille: 0 };
        encode_into(&mut bytes, &beat).unwrap();
        reader.feed(&bytes);
        assert!(matches!(reader.next(), Ok(Some(ToService::Beat { .. }))));
        assert!(reader.buffer.capacity() > KEPT);
        bytes.clear();
        encode_into(&mut bytes, &ToService::LogsDropped { lines }).unwrap();
        reader.feed(&bytes);
        assert!(matches!(reader.next(), Ok(Some(ToService::LogsDropped { lines: 2 }))));
        assert!(reader.buffer.capacity() < KEPT, "{} bytes", reader.buffer.capacity());
    }
}
