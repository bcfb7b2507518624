//! Calls of the host that a VM process makes, and the way of their replies to whoever writes to it.
//!
//! Owns how many may be served at a time. Whose a call is, is checked in `hearing`; whether it may, by the host.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::wire::ToProcess;
use crate::host::{Answer, Caller, HostCall, HostLine, HostReply};
use crate::ids::GuildId;

/// Calls of one guild, or of one process, that may be served at the same time. An honest guild has fewer: each of them is a
/// Luau thread that waits.
const MOST_OF_A_GUILD: usize = 1_024;
const MOST: usize = 16_384;
/// Guilds after which those are forgotten that have no calls.
const SWEEP_AT: usize = 1_024;

/// Replies that are to be written, with the places that their calls hold until then.
pub(super) type Replies = mpsc::Receiver<(ToProcess, Option<Places>)>;

/// What a call holds while it is served.
#[derive(Debug)]
pub(super) struct Places {
    _of_process: OwnedSemaphorePermit,
    _of_guild: OwnedSemaphorePermit,
}

/// The calls of one process.
#[derive(Debug)]
pub(super) struct Calls {
    replies: mpsc::Sender<(ToProcess, Option<Places>)>,
    places: Arc<Semaphore>,
    guilds: HashMap<GuildId, Arc<Semaphore>>,
}

/// Calls of a process that has made none yet, and where their replies come out.
pub(super) fn calls() -> (Calls, Replies) {
    let (replies, written) = mpsc::channel(2 * MOST);
    (Calls { replies, places: Arc::new(Semaphore::new(MOST)), guilds: HashMap::new() }, written)
}

impl Calls {
    /// Has a call served. Returns whether it was; one that is too many is refused.
    pub(super) fn serve(
        &mut self,
        host: &Arc<dyn HostLine>,
        number: u64,
        caller: Caller,
        call: HostCall,
    ) -> bool {
        let Some(places) = self.places(caller.guild) else {
            let text = "this guild has too many calls of the host open; wait for some of them".to_owned();
            // Where there is no room even for that, no honest process is at the other end.
            let _ =
                self.replies.try_send((ToProcess::Reply { number, reply: HostReply::Failed(text) }, None));
            return false;
        };
        let replies = self.replies.clone();
        let answer = Answer::new(move |reply| {
            // There is a place in it for each call; an error means that the process is gone.
            let _ = replies.try_send((ToProcess::Reply { number, reply }, Some(places)));
        });
        host.call(caller, call, answer);
        true
    }

    fn places(&mut self, guild: GuildId) -> Option<Places> {
        if self.guilds.len() >= SWEEP_AT {
            self.guilds.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let of_guild = self.guilds.entry(guild).or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_A_GUILD)));
        let of_guild = Arc::clone(of_guild).try_acquire_owned().ok()?;
        let of_process = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Places { _of_process: of_process, _of_guild: of_guild })
    }
}

/// A reply that is too long for the wire, in words that are not.
pub(super) fn instead(number: u64, why: &str) -> ToProcess {
    ToProcess::Reply {
        number,
        reply: HostReply::Failed(format!("the answer cannot be sent to the guild's process: {why}")),
    }
}
