//! Calls of the host that a VM process makes, and the way of their replies to whoever writes to it.
//!
//! Owns how many may be served at a time. Whose a call is, is checked in `hearing`; whether it may, by the host.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::wire::ToProcess;
use crate::host::{Answer, Caller, HostCall, HostLine, HostReply};
use crate::ids::GuildId;
use crate::places::{GuildPlaces, Place};

/// Calls of one guild, or of one process, that may be served at the same time. An honest guild has fewer: each of them is a
/// Luau thread that waits.
const MOST_OF_A_GUILD: usize = 1_024;
const MOST: usize = 16_384;

const GUILD_IS_FULL: &str = "this guild has too many calls of the host open; wait for some of them";
const PROCESS_IS_FULL: &str =
    "too many calls of the host are open right now, of all guilds together: try again in a few seconds";

/// Replies that are to be written, with the places that their calls hold until then.
pub(super) type Replies = mpsc::Receiver<(ToProcess, Option<Places>)>;

/// What a call holds while it is served.
#[derive(Debug)]
pub(super) struct Places {
    _of_process: OwnedSemaphorePermit,
    _of_guild: Place,
}

/// The calls of one process.
#[derive(Debug)]
pub(super) struct Calls {
    replies: mpsc::Sender<(ToProcess, Option<Places>)>,
    places: Arc<Semaphore>,
    guilds: GuildPlaces,
}

/// Calls of a process that has made none yet, and where their replies come out.
pub(super) fn calls() -> (Calls, Replies) {
    let (replies, written) = mpsc::channel(2 * MOST);
    (
        Calls { replies, places: Arc::new(Semaphore::new(MOST)), guilds: GuildPlaces::new(MOST_OF_A_GUILD) },
        written,
    )
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
        let places = match self.places(caller.guild) {
            Ok(places) => places,
            Err(full) => {
                let reply = HostReply::Failed(full.to_owned());
                // Where there is no room even for that, no honest process is at the other end.
                let _ = self.replies.try_send((ToProcess::Reply { number, reply }, None));
                return false;
            }
        };
        let replies = self.replies.clone();
        let answer = Answer::new(move |reply| {
            // There is a place in it for each call; an error means that the process is gone.
            let _ = replies.try_send((ToProcess::Reply { number, reply }, Some(places)));
        });
        host.call(caller, call, answer);
        true
    }

    /// Places for a call of `guild`; or what to say where there are none.
    fn places(&self, guild: GuildId) -> Result<Places, &'static str> {
        let of_guild = self.guilds.try_take(guild).ok_or(GUILD_IS_FULL)?;
        let of_process = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PROCESS_IS_FULL)?;
        Ok(Places { _of_process: of_process, _of_guild: of_guild })
    }
}

/// A reply that is too long for the wire, in words that are not.
pub(super) fn instead(number: u64, why: &str) -> ToProcess {
    ToProcess::Reply {
        number,
        reply: HostReply::Failed(format!("the answer cannot be sent to the guild's process: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_is_told_whether_it_is_the_guilds_own_calls_that_are_too_many() {
        let (calls, _replies) = calls();
        let guild = |id: usize| GuildId::new(id as u64).unwrap();
        let of_one: Vec<_> = (0..MOST_OF_A_GUILD).map(|_| calls.places(guild(1)).unwrap()).collect();
        assert_eq!(calls.places(guild(1)).unwrap_err(), GUILD_IS_FULL);
        let of_others: Vec<_> = (MOST_OF_A_GUILD..MOST).map(|id| calls.places(guild(id)).unwrap()).collect();
        assert_eq!(calls.places(guild(MOST)).unwrap_err(), PROCESS_IS_FULL);
        drop((of_one, of_others));
        calls.places(guild(1)).unwrap();
    }
}
