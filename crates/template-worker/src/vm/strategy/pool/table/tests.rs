//! The table alone, where a worker is no more than its entry.

use super::*;
use crate::vm::action::LuaVmAction;

fn guild(index: u64) -> GuildId {
    GuildId::new(index + 1).unwrap()
}

/// A table with one worker, and its queue of two.
fn with_worker(placing: Placing, slot: Slot) -> (Table, ThreadId, tokio::sync::mpsc::Receiver<Message>) {
    let mut table = Table::new(placing);
    let id = table.next_id();
    let (entry, queue) = ThreadEntry::new(id, 2, 0);
    table.enter(slot, entry, watch::channel(None).0);
    (table, id, queue)
}

fn command(index: u64) -> Command {
    Command::new(guild(index), LuaVmAction::GetStatus, Vec::new())
}

#[test]
fn short_lives_make_pauses_that_grow_to_a_bound_and_are_forgotten_after_a_long_one() {
    let mut table = Table::new(Placing::LeastLoaded { workers: 2 });
    let mut pause =
        |slot, lived_ms| table.pause_after(Slot::Shared(slot), Duration::from_millis(lived_ms)).as_millis();
    let pauses: Vec<u128> = (0..10).map(|_| pause(0, 5)).collect();
    assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    for _ in 0..100 {
        assert_eq!(pause(0, 5), 5_000, "also after very many");
    }
    assert_eq!((pause(1, 5), pause(1, 5)), (0, 50), "another place has its own count");
    assert_eq!((pause(0, 1_000), pause(0, 5), pause(0, 5)), (0, 0, 50), "it lived long enough");
}

#[test]
fn a_pause_before_a_life_is_no_part_of_it() {
    let mut table = Table::new(Placing::LeastLoaded { workers: 1 });
    let id = table.next_id();
    let (entry, _queue) = ThreadEntry::new(id, 2, 0);
    table.enter(Slot::Shared(0), entry.after(Duration::from_secs(5)), watch::channel(None).0);
    assert_eq!(table.forget(id).unwrap().lived, Duration::ZERO);
}

#[test]
fn a_late_clean_up_never_takes_the_place_that_came_after() {
    let (mut table, old, _queue) = with_worker(Placing::LeastLoaded { workers: 2 }, Slot::Shared(0));
    assert!(table.settle(guild(0), old));
    table.put(command(0)).unwrap();
    table.put(command(0)).unwrap();
    assert!(!table.vacate(old, guild(0), 1), "a later command is on its way");
    assert!(table.vacate(old, guild(0), 2));
    assert!(!table.vacate(old, guild(0), 2), "once");

    let new = table.next_id();
    let (entry, _new_queue) = ThreadEntry::new(new, 2, 1);
    table.enter(Slot::Shared(1), entry, watch::channel(None).0);
    assert!(table.settle(guild(0), new));
    table.put(command(0)).unwrap();
    assert!(!table.vacate(old, guild(0), u64::MAX), "it lives elsewhere");
    assert!(table.forget(old).is_some());
    assert!(table.forget(old).is_none(), "once");
    assert_eq!(table.routes[&guild(0)].worker, new);
}

#[test]
fn a_command_that_was_refused_is_not_on_its_way() {
    let (mut table, id, _queue) = with_worker(Placing::LeastLoaded { workers: 1 }, Slot::Shared(0));
    assert!(table.settle(guild(0), id));
    table.put(command(0)).unwrap();
    table.put(command(0)).unwrap();
    assert!(matches!(table.put(command(0)), Err(NotTaken::Full(_))));
    assert!(table.vacate(id, guild(0), 2), "nothing that the worker has not seen keeps the guild there");
}

#[test]
fn a_worker_that_is_drained_gives_its_slot_away_once_and_takes_nobody() {
    let (mut table, id, _queue) = with_worker(Placing::LeastLoaded { workers: 1 }, Slot::Shared(0));
    assert!(table.settle(guild(0), id));
    assert_eq!(table.start_draining(id), Some((Some(Slot::Shared(0)), vec![guild(0)])));
    assert_eq!(table.start_draining(id), Some((None, vec![guild(0)])));
    assert!(!table.settle(guild(1), id) && !table.serves(id));
    assert!(!table.forget(id).unwrap().is_kept, "somebody else has its slot");
}

#[test]
fn a_slot_that_the_system_gave_no_worker_for_is_tried_again() {
    let (mut table, id, _queue) = with_worker(Placing::LeastLoaded { workers: 2 }, Slot::Shared(0));
    assert_eq!(table.place_for(guild(0), Room::Needed), Err(Some(Slot::Shared(1))));
    assert_eq!(table.stand_in(), Some(id), "meanwhile the others do its work");
    table.placing = Placing::ById { workers: 1, apart: [guild(7)].into() };
    assert_eq!(table.place_for(guild(0), Room::Needed), Ok(id));
    assert_eq!(table.place_for(guild(7), Room::Needed), Err(Some(Slot::Own(guild(7)))));
    assert_eq!(table.stand_in(), None, "a guild by id has one place only");
    table.placing = Placing::OneEach { most: 1 };
    assert_eq!(table.place_for(guild(0), Room::Needed), Err(None));
    assert_eq!(table.place_for(guild(0), Room::Kept), Err(Some(Slot::Own(guild(0)))));
}
