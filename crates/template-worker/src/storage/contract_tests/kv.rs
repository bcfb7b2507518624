//! What every backend promises about key-value records.

use super::*;
use crate::limits::Limits;
use crate::storage::kv::*;

pub(super) const NOW: OffsetDateTime = time::macros::datetime!(2026-11-25 12:00 UTC);

pub(super) fn quota() -> KvQuota {
    KvQuota::of(&Limits::default())
}

pub(super) fn scopes(texts: &[&str]) -> Scopes {
    Scopes::new(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap()
}

pub(super) fn key(text: &str, of: &[&str]) -> KvKey {
    KvKey { key: text.to_owned(), scopes: scopes(of) }
}

pub(super) fn at(text: &str, of: &[&str]) -> KvAt {
    KvAt::Key(key(text, of))
}

pub(super) fn set(at: KvAt, value: &str) -> KvOp {
    KvOp::Set { at, value: value.to_owned(), expires_at: None, resume: false }
}

pub(super) fn set_until(at: KvAt, value: &str, expires_at: OffsetDateTime) -> KvOp {
    KvOp::Set { at, value: value.to_owned(), expires_at: Some(expires_at), resume: false }
}

/// Does all of `ops`, and says what came of them.
pub(super) async fn write_all(
    storage: &dyn Storage,
    guild: GuildId,
    ops: Vec<KvOp>,
    quota: KvQuota,
    now: OffsetDateTime,
) -> Result<Vec<KvDone>, KvError> {
    let written = storage.kv_write(guild, ops, quota, now).await?;
    assert_eq!(storage.kv_usage(guild).await?, written.usage);
    Ok(written.done)
}

/// Does one operation at [`NOW`].
pub(super) async fn write(storage: &dyn Storage, guild: GuildId, op: KvOp) -> KvDone {
    storage.kv_write(guild, vec![op], quota(), NOW).await.unwrap().done.remove(0)
}

/// Sets a value and returns whether it was there, and its id.
pub(super) async fn put(storage: &dyn Storage, guild: GuildId, at: KvAt, value: &str) -> (bool, KvId) {
    match write(storage, guild, set(at, value)).await {
        KvDone::Set { existed, id } => (existed, id),
        other => panic!("{other:?}"),
    }
}

async fn read(storage: &dyn Storage, guild: GuildId, at: &KvAt, now: OffsetDateTime) -> Option<KvRecord> {
    storage.kv_record(guild, at, now).await.unwrap()
}

async fn value(storage: &dyn Storage, guild: GuildId, at: &KvAt) -> Option<String> {
    read(storage, guild, at, NOW).await.map(|record| record.value)
}

pub(super) fn query(pattern: &str, of: Option<&[&str]>) -> KvQuery {
    KvQuery {
        pattern: KeyPattern::new(pattern, 512).unwrap(),
        scopes: of.map(scopes),
        after: None,
        limit: 10,
    }
}

async fn what_is_set_is_read_back_by_key_and_by_id<F: Fixture>(place: F) {
    let storage = place.open().await;
    let (existed, id) = put(&*storage, guild(1), at("a", &["x", "y"]), r#"{"n":1}"#).await;
    assert!(!existed);
    let record = read(&*storage, guild(1), &at("a", &["y", "x"]), NOW).await.unwrap();
    let expected = KvRecord {
        id: id.clone(),
        key: "a".to_owned(),
        scopes: scopes(&["x", "y"]),
        value: r#"{"n":1}"#.to_owned(),
        created_at: NOW,
        updated_at: NOW,
        expires_at: None,
        resume: false,
    };
    assert_eq!(record, expected);
    assert_eq!(read(&*storage, guild(1), &KvAt::Id(id.clone()), NOW).await, Some(expected));
    assert_eq!(read(&*storage, guild(2), &KvAt::Id(id), NOW).await, None, "the id is another guild's");
    assert_eq!(read(&*storage, guild(1), &KvAt::Id(KvId::sent("nobody").unwrap()), NOW).await, None);
}

async fn a_key_belongs_to_its_guild_and_to_its_set_of_scopes<F: Fixture>(place: F) {
    let storage = place.open().await;
    let odd = [r#"a","b"#, "a]:get:x", "a%", "ä\0\u{1f600}", "[\"a\"]"];
    put(&*storage, guild(1), at("k", &["a", "b"]), "1").await;
    put(&*storage, guild(1), at("k", &["a"]), "2").await;
    put(&*storage, guild(2), at("k", &["a"]), "3").await;
    for (index, scope) in odd.iter().enumerate() {
        put(&*storage, guild(1), at("k", &[scope]), &format!("{}", 10 + index)).await;
    }
    assert_eq!(value(&*storage, guild(1), &at("k", &["b", "a"])).await.as_deref(), Some("1"));
    assert_eq!(value(&*storage, guild(1), &at("k", &["a"])).await.as_deref(), Some("2"));
    assert_eq!(value(&*storage, guild(2), &at("k", &["a"])).await.as_deref(), Some("3"));
    assert_eq!(value(&*storage, guild(1), &at("k", &["b"])).await, None);
    assert_eq!(value(&*storage, guild(1), &at("K", &["a"])).await, None, "keys have upper and lower case");
    for (index, scope) in odd.iter().enumerate() {
        let found = value(&*storage, guild(1), &at("k", &[scope])).await;
        assert_eq!(found, Some(format!("{}", 10 + index)), "{scope}");
    }
    write(&*storage, guild(1), KvOp::Delete { at: at("k", &["a"]) }).await;
    assert_eq!(value(&*storage, guild(1), &at("k", &["a", "b"])).await.as_deref(), Some("1"));
    assert_eq!(value(&*storage, guild(2), &at("k", &["a"])).await.as_deref(), Some("3"));
}

async fn a_set_replaces_value_and_expiry_and_keeps_id_and_birth<F: Fixture>(place: F) {
    let storage = place.open().await;
    let later = NOW + Duration::HOUR;
    let (_, id) = put(&*storage, guild(1), at("k", &["a"]), "1").await;
    let op = KvOp::Set {
        at: at("k", &["a"]),
        value: "2".to_owned(),
        expires_at: Some(later + Duration::HOUR),
        resume: true,
    };
    let done = write_all(&*storage, guild(1), vec![op], quota(), later).await.unwrap();
    assert_eq!(done, [KvDone::Set { existed: true, id: id.clone() }]);
    let record = read(&*storage, guild(1), &at("k", &["a"]), later).await.unwrap();
    assert_eq!((&*record.value, record.created_at, record.updated_at), ("2", NOW, later));
    assert_eq!((record.expires_at, record.resume), (Some(later + Duration::HOUR), true));
    write(&*storage, guild(1), set(KvAt::Id(id.clone()), "3")).await;
    let record = read(&*storage, guild(1), &at("k", &["a"]), later).await.unwrap();
    assert_eq!((&*record.value, record.expires_at, record.resume), ("3", None, false));
    let expiry = KvOp::SetExpiry { at: KvAt::Id(id), expires_at: Some(later) };
    assert_eq!(write(&*storage, guild(1), expiry).await, KvDone::ExpirySet);
    assert_eq!(read(&*storage, guild(1), &at("k", &["a"]), NOW).await.unwrap().expires_at, Some(later));
}

async fn an_expired_record_is_gone_for_everything_that_goes_by_keys<F: Fixture>(place: F) {
    let storage = place.open().await;
    let end = NOW + Duration::SECOND;
    let done = write(&*storage, guild(1), set_until(at("k", &["a"]), "1", end)).await;
    let KvDone::Set { id, .. } = done else { panic!("{done:?}") };
    assert!(read(&*storage, guild(1), &at("k", &["a"]), end - Duration::MICROSECOND).await.is_some());
    assert_eq!(read(&*storage, guild(1), &at("k", &["a"]), end).await, None);
    assert!(storage.kv_find(guild(1), &query("%", None), end).await.unwrap().records.is_empty());
    assert!(storage.kv_keys(guild(1), &scopes(&["a"]), None, end).await.unwrap().keys.is_empty());
    assert!(storage.kv_scopes(guild(1), None, end).await.unwrap().sets.is_empty());
    let by_key = async |op| write_all(&*storage, guild(1), vec![op], quota(), end).await;
    let expiry = KvOp::SetExpiry { at: at("k", &["a"]), expires_at: None };
    assert!(matches!(by_key(expiry).await, Err(KvError::NoSuchKey { .. })));
    let swap = KvOp::CompareAndSet { key: key("k", &["a"]), expected: Some("1".into()), value: "2".into() };
    assert_eq!(by_key(swap).await.unwrap(), [KvDone::Swapped(false)]);
    let add = KvOp::Increment { key: key("k", &["a"]), by: 5.0 };
    assert_eq!(by_key(add).await.unwrap(), [KvDone::Sum(5.0)], "it starts anew");
    let record = read(&*storage, guild(1), &at("k", &["a"]), end).await.unwrap();
    assert_ne!(record.id, id, "it is another record");
    assert_eq!((record.created_at, record.expires_at), (end, None));
    assert_eq!(storage.kv_usage(guild(1)).await.unwrap().records, 1);
}

async fn nothing_expires_in_the_past<F: Fixture>(place: F) {
    let storage = place.open().await;
    put(&*storage, guild(1), at("k", &["a"]), "1").await;
    for end in [NOW, NOW - Duration::SECOND, OffsetDateTime::UNIX_EPOCH] {
        let ops = [
            set_until(at("k", &["a"]), "2", end),
            KvOp::SetExpiry { at: at("k", &["a"]), expires_at: Some(end) },
        ];
        for op in ops {
            let refused = write_all(&*storage, guild(1), vec![op], quota(), NOW).await;
            assert!(matches!(refused, Err(KvError::ExpiresInThePast)), "{refused:?}");
        }
    }
    assert_eq!(value(&*storage, guild(1), &at("k", &["a"])).await.as_deref(), Some("1"));
}

async fn what_is_not_there_cannot_be_changed_by_its_id<F: Fixture>(place: F) {
    let storage = place.open().await;
    let (_, id) = put(&*storage, guild(1), at("k", &["a"]), "1").await;
    // An id of another guild is as good as none.
    for op in [set(KvAt::Id(id.clone()), "2"), KvOp::SetExpiry { at: KvAt::Id(id.clone()), expires_at: None }]
    {
        let refused = write_all(&*storage, guild(2), vec![op], quota(), NOW).await;
        assert!(matches!(refused, Err(KvError::NoSuchId)), "{refused:?}");
    }
    let delete = || KvOp::Delete { at: KvAt::Id(id.clone()) };
    assert_eq!(write(&*storage, guild(2), delete()).await, KvDone::Deleted { existed: false });
    assert_eq!(value(&*storage, guild(1), &at("k", &["a"])).await.as_deref(), Some("1"));
    assert_eq!(write(&*storage, guild(1), delete()).await, KvDone::Deleted { existed: true });
    assert_eq!(write(&*storage, guild(1), delete()).await, KvDone::Deleted { existed: false });
}

async fn a_guild_stores_no_more_than_it_may<F: Fixture>(place: F) {
    let storage = place.open().await;
    let small = KvQuota { key_bytes: 4, value_bytes: 10, records: 2, bytes: 40 };
    let put = async |text: &str, value: &str| {
        write_all(&*storage, guild(1), vec![set(at(text, &["a"]), value)], small, NOW).await.map(|_| ())
    };
    assert!(matches!(put("", "1").await, Err(KvError::EmptyKey)));
    assert!(matches!(put("12345", "1").await, Err(KvError::KeyTooLong { bytes: 5, limit: 4 })));
    let large = "12345678901";
    assert!(matches!(put("k", large).await, Err(KvError::ValueTooLarge { bytes: 11, limit: 10 })));
    put("a", "1234567890").await.unwrap();
    put("b", "1234567890").await.unwrap();
    assert_eq!(storage.kv_usage(guild(1)).await.unwrap(), KvUsage { records: 2, bytes: 32 });
    assert!(matches!(put("c", "1").await, Err(KvError::TooManyRecords { limit: 2 })));
    let tight = KvQuota { bytes: 31, ..small };
    let shrink = vec![set(at("a", &["a"]), "123456789")];
    write_all(&*storage, guild(1), shrink, tight, NOW).await.unwrap();
    let grow = write_all(&*storage, guild(1), vec![set(at("a", &["a"]), "1234567890")], tight, NOW).await;
    assert!(matches!(grow, Err(KvError::TooManyBytes { bytes: 32, limit: 31 })), "{grow:?}");
    write_all(&*storage, guild(2), vec![set(at("c", &["a"]), "1")], tight, NOW).await.unwrap();
    write(&*storage, guild(1), KvOp::Delete { at: at("a", &["a"]) }).await;
    put("c", "1").await.unwrap();
    assert_eq!(storage.kv_usage(guild(1)).await.unwrap(), KvUsage { records: 2, bytes: 16 + 7 });
}

async fn a_batch_is_done_as_a_whole_or_not_at_all<F: Fixture>(place: F) {
    let storage = place.open().await;
    put(&*storage, guild(1), at("text", &["a"]), "\"x\"").await;
    let before = storage.kv_usage(guild(1)).await.unwrap();
    let good = || {
        vec![
            set(at("one", &["a"]), "1"),
            KvOp::Increment { key: key("one", &["a"]), by: 2.5 },
            KvOp::Delete { at: at("text", &["a"]) },
        ]
    };
    let mut bad = good();
    bad.insert(2, KvOp::Increment { key: key("text", &["a"]), by: 1.0 });
    let refused = write_all(&*storage, guild(1), bad, quota(), NOW).await.unwrap_err();
    assert!(matches!(&refused, KvError::InBatch { index: 3, .. }), "{refused:?}");
    assert!(refused.to_string().contains("operation 3 of the batch: the value of \"text\" is no number"));
    assert_eq!(value(&*storage, guild(1), &at("one", &["a"])).await, None);
    assert_eq!(storage.kv_usage(guild(1)).await.unwrap(), before);

    let done = write_all(&*storage, guild(1), good(), quota(), NOW).await.unwrap();
    assert!(matches!(done[..], [KvDone::Set { existed: false, .. }, _, KvDone::Deleted { existed: true }]));
    assert_eq!(value(&*storage, guild(1), &at("one", &["a"])).await.as_deref(), Some("3.5"));
    let many = vec![set(at("k", &["a"]), "1"); MOST_BATCH_OPS + 1];
    let refused = write_all(&*storage, guild(1), many, quota(), NOW).await;
    assert!(matches!(refused, Err(KvError::BadBatch { count: 101 })), "{refused:?}");
    assert!(write_all(&*storage, guild(1), Vec::new(), quota(), NOW).await.is_err());
}

async fn a_change_that_cannot_be_done_leaves_those_beside_it_alone<F: Fixture>(place: F) {
    let storage = place.open().await;
    put(&*storage, guild(1), at("text", &["a"]), "\"x\"").await;
    // All at once, so that they share a transaction.
    let jobs = (0..50_u32).map(|index| {
        let storage = Arc::clone(&storage);
        tokio::spawn(async move {
            let op = match index % 2 {
                0 => KvOp::Increment { key: key("count", &["a"]), by: 1.0 },
                _ => KvOp::Increment { key: key("text", &["a"]), by: 1.0 },
            };
            storage.kv_write(guild(1), vec![op], quota(), NOW).await.is_ok()
        })
    });
    let mut fine = 0;
    for job in jobs.collect::<Vec<_>>() {
        fine += usize::from(job.await.unwrap());
    }
    assert_eq!(fine, 25);
    assert_eq!(value(&*storage, guild(1), &at("count", &["a"])).await.as_deref(), Some("25"));
}

async fn two_who_count_at_once_lose_nothing<F: Fixture>(place: F) {
    let writers = [place.open().await, place.open().await];
    let jobs: Vec<_> = (0..100)
        .map(|index| {
            let storage = Arc::clone(&writers[index % 2]);
            tokio::spawn(async move {
                let op = KvOp::Increment { key: key("n", &["a"]), by: 1.0 };
                write(&*storage, guild(1), op).await
            })
        })
        .collect();
    let mut sums = Vec::new();
    for job in jobs {
        match job.await.unwrap() {
            KvDone::Sum(sum) => sums.push(sum),
            other => panic!("{other:?}"),
        }
    }
    sums.sort_by(f64::total_cmp);
    assert_eq!(sums, (1..=100).map(f64::from).collect::<Vec<_>>(), "each saw a sum of its own");
}

async fn a_number_is_counted_as_far_as_it_can_be<F: Fixture>(place: F) {
    let storage = place.open().await;
    let add = async |by| {
        let op = KvOp::Increment { key: key("n", &["a"]), by };
        write_all(&*storage, guild(1), vec![op], quota(), NOW).await
    };
    for (by, stored) in [(0.0, "0"), (2.0, "2"), (-0.5, "1.5"), (-1.5, "0"), (1e300, "1e+300")] {
        add(by).await.unwrap();
        assert_eq!(value(&*storage, guild(1), &at("n", &["a"])).await.as_deref(), Some(stored), "{by}");
    }
    for by in [f64::NAN, f64::INFINITY] {
        assert!(matches!(add(by).await, Err(KvError::NotFinite)));
    }
    put(&*storage, guild(1), at("n", &["a"]), "1.7e308").await;
    assert!(matches!(add(1.7e308).await, Err(KvError::NotFinite)));
    put(&*storage, guild(1), at("n", &["a"]), "[1]").await;
    assert!(matches!(add(1.0).await, Err(KvError::NotANumber { .. })));
}

async fn a_value_is_swapped_only_where_it_is_the_expected_one<F: Fixture>(place: F) {
    let storage = place.open().await;
    let swap = async |expected: Option<&str>, value: &str| {
        let (expected, value) = (expected.map(str::to_owned), value.to_owned());
        let op = KvOp::CompareAndSet { key: key("k", &["a"]), expected, value };
        write(&*storage, guild(1), op).await == KvDone::Swapped(true)
    };
    assert!(!swap(Some("1"), "2").await, "there is none");
    assert!(swap(None, r#"{"a":1,"b":2}"#).await);
    assert!(!swap(None, "3").await, "there is one by now");
    assert!(!swap(Some(r#"{"a":1}"#), "3").await);
    assert!(swap(Some(r#"{"b":2,"a":1}"#), "3").await, "the order of a map does not matter");
    assert_eq!(value(&*storage, guild(1), &at("k", &["a"])).await.as_deref(), Some("3"));
}

async fn records_outlive_the_storage<F: Fixture>(place: F) {
    let storage = place.open().await;
    let (_, id) = put(&*storage, guild(1), at("k", &["a"]), "1").await;
    let usage = storage.kv_usage(guild(1)).await.unwrap();
    // Not closed: what is acknowledged doesn't wait for that.
    drop(storage);
    let storage = place.open().await;
    assert_eq!(read(&*storage, guild(1), &KvAt::Id(id), NOW).await.unwrap().value, "1");
    assert_eq!(storage.kv_usage(guild(1)).await.unwrap(), usage);
    storage.close().await;
    let closed = write_all(&*storage, guild(1), vec![set(at("k", &["a"]), "2")], quota(), NOW).await;
    assert!(matches!(closed, Err(KvError::Storage(_))), "{closed:?}");
}

contract!(sqlite, SqliteOnDisk:
    what_is_set_is_read_back_by_key_and_by_id,
    a_key_belongs_to_its_guild_and_to_its_set_of_scopes,
    a_set_replaces_value_and_expiry_and_keeps_id_and_birth,
    an_expired_record_is_gone_for_everything_that_goes_by_keys,
    nothing_expires_in_the_past,
    what_is_not_there_cannot_be_changed_by_its_id,
    a_guild_stores_no_more_than_it_may,
    a_batch_is_done_as_a_whole_or_not_at_all,
    a_change_that_cannot_be_done_leaves_those_beside_it_alone,
    two_who_count_at_once_lose_nothing,
    a_number_is_counted_as_far_as_it_can_be,
    a_value_is_swapped_only_where_it_is_the_expected_one,
    records_outlive_the_storage,
);
