//! What every backend promises about secrets and about the books of objects.

use uuid::Uuid;

use super::*;

fn sealed(name: &str, sealed: &[u8]) -> SealedSecret {
    let hosts = vec!["api.example.com".to_owned()];
    let stored_at = OffsetDateTime::UNIX_EPOCH;
    SealedSecret { name: name.to_owned(), hosts, sealed: sealed.to_vec(), stored_at }
}

pub(super) async fn a_secret_is_its_guilds_and_replaced_by_name<F: Fixture>(place: F) {
    let storage = place.open().await;
    assert!(!storage.has_secrets().await.unwrap());
    for (name, expected) in [("b", Written::Created), ("a", Written::Created), ("b", Written::Replaced)] {
        let (stored, written) = storage.put_secret(guild(1), &sealed(name, b"\0\xff"), 2).await.unwrap();
        assert_eq!((stored.name.as_str(), written), (name, expected));
        assert!(stored.stored_at > OffsetDateTime::UNIX_EPOCH, "storage says when");
    }
    let full = storage.put_secret(guild(1), &sealed("c", b""), 2).await;
    assert!(matches!(full, Err(StorageError::TooManySecrets { limit: 2 })));
    storage.put_secret(guild(2), &sealed("c", b""), 2).await.unwrap();
    storage.close().await;

    let storage = place.open().await;
    let names =
        |secrets: Vec<SealedSecret>| secrets.into_iter().map(|secret| secret.name).collect::<Vec<_>>();
    let kept = storage.secrets_of(guild(1)).await.unwrap();
    assert_eq!((kept[0].sealed.as_slice(), &kept[0].hosts), (b"\0\xff".as_slice(), &sealed("a", b"").hosts));
    assert_eq!(names(kept), ["a", "b"]);
    assert!(storage.delete_secret(guild(1), "a").await.unwrap());
    assert!(!storage.delete_secret(guild(1), "c").await.unwrap(), "it is another guild's");
    assert_eq!(names(storage.secrets_of(guild(1)).await.unwrap()), ["b"]);
    assert!(storage.has_secrets().await.unwrap());
}

const QUOTA: ObjectQuota = ObjectQuota { objects: 2, bytes: 100 };

fn object(key: &str, size: u64) -> ObjectRecord {
    let stored_at = OffsetDateTime::UNIX_EPOCH;
    ObjectRecord { key: key.to_owned(), blob: Uuid::now_v7(), size, etag: "e".to_owned(), stored_at }
}

async fn begin(storage: &dyn Storage, object: &ObjectRecord) -> Result<(), StorageError> {
    storage.begin_object(guild(1), &object.key, object.blob, object.size, QUOTA).await
}

pub(super) async fn an_object_is_booked_when_its_content_has_arrived<F: Fixture>(place: F) {
    let storage = place.open().await;
    let first = object("k", 60);
    assert!(storage.finish_object(guild(1), &first).await.is_err(), "nothing is on its way");
    begin(&*storage, &first).await.unwrap();
    assert_eq!(storage.find_object(guild(1), "k").await.unwrap(), None);
    assert!(storage.finish_object(guild(2), &first).await.is_err(), "it is another guild's");
    let (booked, before) = storage.finish_object(guild(1), &first).await.unwrap();
    assert_eq!(before, None);
    assert_eq!(storage.find_object(guild(1), "k").await.unwrap(), Some(booked.clone()));
    assert_eq!(storage.find_object_of(guild(1), first.blob).await.unwrap(), Some(booked));
    assert_eq!(storage.find_object_of(guild(2), first.blob).await.unwrap(), None);
    assert!(storage.finish_object(guild(1), &first).await.is_err(), "it has arrived already");

    let second = object("k", 100);
    begin(&*storage, &second).await.unwrap();
    let (_, before) = storage.finish_object(guild(1), &second).await.unwrap();
    let loose = |blob| LooseBlob { guild: guild(1), blob };
    assert_eq!(before, Some(loose(first.blob)));
    assert_eq!(storage.delete_object(guild(1), "k").await.unwrap(), Some(loose(second.blob)));
    assert_eq!(storage.delete_object(guild(1), "k").await.unwrap(), None);
    storage.close().await;

    let storage = place.open().await;
    let (outgoing, next) = storage.outgoing_blobs("", 10).await.unwrap();
    assert_eq!(next, None);
    assert_eq!(outgoing, [loose(first.blob), loose(second.blob)], "they survive a restart");
    storage.forget_blob(loose(first.blob)).await.unwrap();
    assert_eq!(storage.outgoing_blobs("", 10).await.unwrap().0, [loose(second.blob)]);
}

pub(super) async fn what_is_on_its_way_counts_and_can_be_abandoned<F: Fixture>(place: F) {
    let storage = place.open().await;
    let (a, b) = (object("a", 60), object("b", 40));
    let content = |of: &ObjectRecord| Some(LooseBlob { guild: guild(1), blob: of.blob });
    begin(&*storage, &a).await.unwrap();
    let large = begin(&*storage, &object("b", 41)).await;
    assert!(matches!(large, Err(StorageError::ObjectsTooLarge { limit: 100 })));
    begin(&*storage, &b).await.unwrap();
    assert!(matches!(
        begin(&*storage, &object("c", 0)).await,
        Err(StorageError::TooManyObjects { limit: 2 })
    ));
    assert!(storage.outgoing_blobs("", 10).await.unwrap().0.is_empty());
    assert!(storage.abandon_incoming(content(&a)).await.unwrap());
    assert!(!storage.abandon_incoming(content(&a)).await.unwrap(), "it is on its way out already");
    assert!(storage.finish_object(guild(1), &a).await.is_err());
    storage.finish_object(guild(1), &b).await.unwrap();
    assert!(!storage.abandon_incoming(content(&b)).await.unwrap(), "it has arrived");
    let c = object("c", 60);
    begin(&*storage, &c).await.unwrap();
    assert!(storage.abandon_incoming(None).await.unwrap());
    let called = async |after: &str, limit| {
        let (page, next) = storage.outgoing_blobs(after, limit).await.unwrap();
        (page.into_iter().map(|loose| loose.blob).collect::<Vec<_>>(), next)
    };
    let mut both = vec![a.blob, c.blob];
    both.sort_unstable();
    assert_eq!(called("", 10).await, (both.clone(), None));
    assert_eq!(called("", 1).await, (vec![both[0]], Some(both[0].to_string())));
    assert_eq!(called(&both[0].to_string(), 10).await, (vec![both[1]], None));
    assert!(storage.find_object(guild(1), "b").await.unwrap().is_some(), "it has arrived before");
}

pub(super) async fn objects_are_listed_by_prefix_in_order<F: Fixture>(place: F) {
    let storage = place.open().await;
    let quota = ObjectQuota { objects: 10, bytes: 100 };
    for key in ["b", "a/2", "a/1", "a", "a0", "A/1", "a/\u{10ffff}"] {
        let object = object(key, 1);
        storage.begin_object(guild(1), key, object.blob, 1, quota).await.unwrap();
        storage.finish_object(guild(1), &object).await.unwrap();
    }
    let list = async |prefix: &str, after: Option<&str>, limit| {
        let listed = storage.list_objects(guild(1), prefix, after, limit).await.unwrap();
        listed.into_iter().map(|object| object.key).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, 10).await, ["A/1", "a", "a/1", "a/2", "a/\u{10ffff}", "a0", "b"]);
    assert_eq!(list("a/", None, 10).await, ["a/1", "a/2", "a/\u{10ffff}"]);
    assert_eq!(list("a/", Some("a/1"), 1).await, ["a/2"]);
    assert_eq!(list("a", Some("a/2"), 10).await, ["a/\u{10ffff}", "a0"]);
    assert!(list("%", None, 10).await.is_empty(), "it is no pattern");
    assert!(storage.list_objects(guild(2), "", None, 10).await.unwrap().is_empty());
}
