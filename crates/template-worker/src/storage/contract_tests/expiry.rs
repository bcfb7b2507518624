//! What every backend promises about the expiry of records.

use super::kv::{NOW, at, put, quota, scopes, set, set_until, write, write_all};
use super::*;
use crate::storage::expiry::*;
use crate::storage::kv::*;

const SOON: OffsetDateTime = NOW.saturating_add(Duration::MINUTE);
const LATER: OffsetDateTime = NOW.saturating_add(Duration::HOUR);

/// Sets a key that expires at `end`; returns its id.
async fn expiring(storage: &dyn Storage, guild: GuildId, text: &str, end: OffsetDateTime) -> KvId {
    match write(storage, guild, set_until(at(text, &["s"]), "\"v\"", end)).await {
        KvDone::Set { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

async fn claim(storage: &dyn Storage, of: GuildId, now: OffsetDateTime) -> Option<DueKey> {
    storage.claim_due(of, now).await.unwrap()
}

fn failed(again_at: Option<OffsetDateTime>) -> Settlement {
    Settlement::Failed { failed_in: vec![name("t")], error: "it threw".to_owned(), again_at }
}

async fn states(storage: &dyn Storage, now: OffsetDateTime) -> Vec<(String, ExpiryState)> {
    let all = storage.expiries(guild(1), None, 100, now).await.unwrap();
    all.into_iter().map(|expiry| (expiry.key, expiry.state)).collect()
}

async fn what_is_due_is_claimed_once_the_oldest_first<F: Fixture>(place: F) {
    let storage = place.open().await;
    expiring(&*storage, guild(1), "late", LATER).await;
    let id = expiring(&*storage, guild(1), "early", SOON).await;
    expiring(&*storage, guild(2), "other", SOON + Duration::SECOND).await;
    put(&*storage, guild(3), at("never", &["s"]), "1").await;
    assert_eq!(storage.due_guilds(NOW, 10).await.unwrap(), []);
    assert_eq!(storage.next_due(NOW).await.unwrap(), Some(SOON));
    assert_eq!(claim(&*storage, guild(1), NOW).await, None);

    assert_eq!(storage.due_guilds(LATER, 10).await.unwrap(), [guild(1), guild(2)]);
    assert_eq!(storage.due_guilds(LATER, 1).await.unwrap(), [guild(1)]);
    let first = claim(&*storage, guild(1), LATER).await.unwrap();
    assert_eq!((&first.id, &*first.key, &first.scopes), (&id, "early", &scopes(&["s"])));
    assert_eq!((first.attempts, first.failed_in.len()), (0, 0));
    assert_eq!(claim(&*storage, guild(1), LATER).await.unwrap().key, "late");
    assert_eq!(claim(&*storage, guild(1), LATER).await, None);
    assert_eq!(storage.due_guilds(LATER, 10).await.unwrap(), [guild(2)]);
    assert_eq!(storage.next_due(LATER).await.unwrap(), None);
}

async fn what_was_told_is_removed<F: Fixture>(place: F) {
    let storage = place.open().await;
    let id = expiring(&*storage, guild(1), "k", SOON).await;
    let due = claim(&*storage, guild(1), SOON).await.unwrap();
    let by_id = KvAt::Id(id);
    assert!(storage.kv_record(guild(1), &by_id, SOON).await.unwrap().is_some(), "a handler can read it");
    assert!(storage.kv_record(guild(1), &at("k", &["s"]), SOON).await.unwrap().is_none());
    assert!(storage.settle(&due, Settlement::Told).await.unwrap());
    assert!(storage.kv_record(guild(1), &by_id, SOON).await.unwrap().is_none());
    assert_eq!(storage.kv_usage(guild(1)).await.unwrap(), KvUsage::default());
    assert!(!storage.settle(&due, Settlement::Told).await.unwrap(), "there is nothing left");
}

async fn what_was_set_again_meanwhile_stays<F: Fixture>(place: F) {
    let storage = place.open().await;
    let id = expiring(&*storage, guild(1), "k", SOON).await;
    let due = claim(&*storage, guild(1), SOON).await.unwrap();
    let again = set_until(at("k", &["s"]), "2", LATER);
    let done = write_all(&*storage, guild(1), vec![again], quota(), SOON).await.unwrap();
    assert!(matches!(&done[..], [KvDone::Set { existed: false, id: new }] if *new != id), "{done:?}");
    for settlement in [Settlement::Told, failed(None)] {
        assert!(!storage.settle(&due, settlement).await.unwrap());
    }
    let record = storage.kv_record(guild(1), &at("k", &["s"]), SOON).await.unwrap().unwrap();
    assert_eq!((&*record.value, record.expires_at), ("2", Some(LATER)));

    // By its id, it stays the same record with another time.
    let due = claim(&*storage, guild(1), LATER).await.unwrap();
    let end = LATER + Duration::HOUR;
    let put_off = KvOp::SetExpiry { at: KvAt::Id(due.id.clone()), expires_at: Some(end) };
    write_all(&*storage, guild(1), vec![put_off], quota(), LATER).await.unwrap();
    assert!(!storage.settle(&due, Settlement::Told).await.unwrap());
    let record = storage.kv_record(guild(1), &at("k", &["s"]), LATER).await.unwrap().unwrap();
    assert_eq!((record.id, record.expires_at), (due.id, Some(end)));
    assert_eq!(storage.next_due(LATER).await.unwrap(), Some(end));
}

async fn what_failed_is_due_again_and_dead_in_the_end<F: Fixture>(place: F) {
    let storage = place.open().await;
    let id = expiring(&*storage, guild(1), "k", SOON).await;
    assert_eq!(states(&*storage, NOW).await, [("k".to_owned(), ExpiryState::Waiting)]);
    assert_eq!(states(&*storage, SOON).await, [("k".to_owned(), ExpiryState::Due)]);
    let due = claim(&*storage, guild(1), SOON).await.unwrap();
    assert!(storage.settle(&due, Settlement::Released { again_at: SOON }).await.unwrap());
    assert!(!storage.settle(&due, Settlement::Released { again_at: SOON }).await.unwrap(), "it is free");
    assert_eq!(claim(&*storage, guild(1), SOON).await.as_ref(), Some(&due), "that was no attempt");
    assert!(storage.settle(&due, failed(Some(LATER))).await.unwrap());
    assert_eq!(claim(&*storage, guild(1), SOON).await, None);
    assert_eq!(storage.next_due(SOON).await.unwrap(), Some(LATER));
    let [expiry] = &storage.expiries(guild(1), None, 10, SOON).await.unwrap()[..] else { panic!() };
    assert_eq!((expiry.state, expiry.attempts, expiry.again_at), (ExpiryState::Failing, 1, Some(LATER)));
    assert_eq!(expiry.last_error.as_deref(), Some("it threw"));

    let due = claim(&*storage, guild(1), LATER).await.unwrap();
    assert_eq!((due.attempts, &*due.failed_in), (1, &[name("t")][..]));
    assert!(storage.settle(&due, failed(None)).await.unwrap());
    assert_eq!(states(&*storage, LATER).await, [("k".to_owned(), ExpiryState::Dead)]);
    assert_eq!(storage.next_due(NOW).await.unwrap(), None);
    assert!(storage.kv_record(guild(1), &KvAt::Id(id.clone()), LATER).await.unwrap().is_none());

    assert!(!storage.retry_expiry(guild(2), &id, LATER).await.unwrap(), "it is another guild's");
    assert!(storage.retry_expiry(guild(1), &id, LATER).await.unwrap());
    let due = claim(&*storage, guild(1), LATER).await.unwrap();
    assert_eq!((due.id, due.attempts, due.failed_in.len()), (id.clone(), 0, 1));
    assert!(!storage.retry_expiry(guild(1), &id, LATER).await.unwrap(), "it is being handled");
}

async fn a_claim_outlives_a_crash_and_is_released_at_the_start<F: Fixture>(place: F) {
    let storage = place.open().await;
    expiring(&*storage, guild(1), "k", SOON).await;
    claim(&*storage, guild(1), SOON).await.unwrap();
    drop(storage);
    let storage = place.open().await;
    assert_eq!(storage.due_guilds(LATER, 10).await.unwrap(), []);
    storage.release_claims(LATER).await.unwrap();
    assert_eq!(storage.due_guilds(LATER, 10).await.unwrap(), [guild(1)]);
    assert_eq!(claim(&*storage, guild(1), LATER).await.unwrap().key, "k");
}

async fn who_waits_hears_of_what_is_due_earlier<F: Fixture>(place: F) {
    let storage = place.open().await;
    let mut changes = storage.due_changes();
    put(&*storage, guild(1), at("k", &["s"]), "1").await;
    assert!(!changes.has_changed().unwrap());
    let expiry = KvOp::SetExpiry { at: at("k", &["s"]), expires_at: Some(LATER) };
    write(&*storage, guild(1), expiry).await;
    changes.changed().await.unwrap();
    expiring(&*storage, guild(1), "k2", SOON).await;
    changes.changed().await.unwrap();
    write(&*storage, guild(1), set(at("k", &["s"]), "1")).await;
    assert_eq!(storage.next_due(NOW).await.unwrap(), Some(SOON));
    write(&*storage, guild(1), KvOp::Delete { at: at("k2", &["s"]) }).await;
    assert_eq!(storage.next_due(NOW).await.unwrap(), None);
}

async fn expiries_are_listed_page_by_page<F: Fixture>(place: F) {
    let storage = place.open().await;
    for index in 0..7 {
        expiring(&*storage, guild(1), &format!("{index}"), SOON + Duration::SECOND * (index / 3)).await;
    }
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = storage.expiries(guild(1), after, 2, NOW).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor);
        keys.extend(page.into_iter().map(|expiry| expiry.key));
    }
    assert_eq!(keys, ["0", "1", "2", "3", "4", "5", "6"]);
    assert!(storage.expiries(guild(2), None, 10, NOW).await.unwrap().is_empty());
}

async fn what_is_to_be_resumed_is_listed<F: Fixture>(place: F) {
    let storage = place.open().await;
    for (of, text, resume) in [(1, "a", true), (1, "b", false), (1, "c", true), (3, "d", true)] {
        let op = KvOp::Set { at: at(text, &["s"]), value: "1".into(), expires_at: None, resume };
        write(&*storage, guild(of), op).await;
    }
    assert_eq!(storage.guilds_to_resume(None, 10).await.unwrap(), [guild(1), guild(3)]);
    assert_eq!(storage.guilds_to_resume(Some(guild(1)), 10).await.unwrap(), [guild(3)]);
    let keys = storage.keys_to_resume(guild(1), None, 10, NOW).await.unwrap();
    assert_eq!(keys.iter().map(|key| &*key.key).collect::<Vec<_>>(), ["a", "c"]);
    let rest = storage.keys_to_resume(guild(1), Some(keys[0].cursor), 10, NOW).await.unwrap();
    assert_eq!(rest, keys[1..]);
}

contract!(sqlite, SqliteOnDisk:
    what_is_due_is_claimed_once_the_oldest_first,
    what_was_told_is_removed,
    what_was_set_again_meanwhile_stays,
    what_failed_is_due_again_and_dead_in_the_end,
    a_claim_outlives_a_crash_and_is_released_at_the_start,
    who_waits_hears_of_what_is_due_earlier,
    expiries_are_listed_page_by_page,
    what_is_to_be_resumed_is_listed,
);
