//! Tests of objects on a real folder with real books.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutResult,
};
use tokio_stream::Stream;

use super::super::secrets::Vault;
use super::*;
use crate::config::ObjectsConfig;
use crate::storage::SqliteStorage;

const LIMITS: ObjectLimits =
    ObjectLimits { object_bytes: 1000, quota: ObjectQuota { objects: 5, bytes: 3000 } };

struct Setup {
    objects: Objects,
    storage: Arc<dyn Storage>,
    data: tempfile::TempDir,
}

fn guild(id: u64) -> GuildId {
    GuildId::new(id).unwrap()
}

async fn setup() -> Setup {
    let data = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open(data.path()).await.unwrap());
    Setup { objects: objects(&storage, data.path(), "https://worker.example"), storage, data }
}

fn objects(storage: &Arc<dyn Storage>, data: &std::path::Path, address: &str) -> Objects {
    let (folder, config) = (data.to_owned(), ObjectsConfig::default());
    let open = move || Contents::open(&config, &folder);
    Objects::new(Arc::clone(storage), open, KeyFile::new(data.join("secrets.key")), address)
}

impl Setup {
    async fn put(&self, key: &str, content: &[u8]) -> Result<ObjectRecord, ObjectsError> {
        self.objects.upload(guild(1), key, content.to_vec(), LIMITS).await
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        self.objects.download(guild(1), key).await.unwrap()
    }

    async fn keys(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let listed = self.objects.list(guild(1), prefix, after).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }

    /// The files that lie in the folder of guild 1.
    fn files(&self) -> BTreeSet<PathBuf> {
        let Ok(entries) = fs::read_dir(self.data.path().join("objects/guilds/1")) else {
            return BTreeSet::new();
        };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The same after a restart.
    async fn restarted(self) -> Self {
        let objects = objects(&self.storage, self.data.path(), "https://worker.example");
        objects.take_over().await.unwrap();
        objects.sweep().await.unwrap();
        Self { objects, ..self }
    }
}

#[tokio::test]
async fn what_is_uploaded_is_downloaded_listed_replaced_and_deleted() {
    let setup = setup().await;
    let first = setup.put("a/x.txt", b"one").await.unwrap();
    setup.put("a/y.txt", b"").await.unwrap();
    setup.put("b", b"three").await.unwrap();
    assert_eq!(setup.get("a/x.txt").await, b"one");
    assert_eq!(setup.get("a/y.txt").await, b"");
    assert_eq!(setup.keys("", None).await, ["a/x.txt", "a/y.txt", "b"]);
    assert_eq!(setup.keys("a/", None).await, ["a/x.txt", "a/y.txt"]);
    assert_eq!(setup.keys("a/", Some("a/x.txt")).await, ["a/y.txt"]);
    assert_eq!(setup.keys("", Some("a/y.txt")).await, ["b"]);
    assert_eq!(setup.keys("b", Some("a")).await, ["b"]);
    assert!(setup.keys("a/", Some("b")).await.is_empty());

    let second = setup.put("a/x.txt", b"another").await.unwrap();
    assert_eq!(setup.get("a/x.txt").await, b"another");
    assert_ne!(first.etag, second.etag);
    assert_eq!(setup.put("a/x.txt", b"one").await.unwrap().etag, first.etag);
    assert_eq!(setup.files().len(), 3, "old contents are gone");

    assert!(setup.objects.exists(guild(1), "b").await.unwrap());
    assert!(setup.objects.delete(guild(1), "b").await.unwrap());
    assert!(!setup.objects.delete(guild(1), "b").await.unwrap());
    assert!(!setup.objects.exists(guild(1), "b").await.unwrap());
    assert!(matches!(setup.objects.download(guild(1), "b").await, Err(ObjectsError::NotFound { .. })));
    assert_eq!(setup.files().len(), 2);
}

#[tokio::test]
async fn a_key_is_nothing_but_a_name() {
    let setup = setup().await;
    let keys = ["%2e%2e/%2e%2e/x", "A", "a", "nul", "C:x", "…/文字", "...", "a/b/c/d"];
    let limits = ObjectLimits { quota: ObjectQuota { objects: 100, bytes: 10_000 }, ..LIMITS };
    for key in keys {
        setup.objects.upload(guild(1), key, key.into(), limits).await.unwrap();
    }
    for key in keys {
        assert_eq!(setup.get(key).await, key.as_bytes(), "{key}");
    }
    let names: Vec<_> = setup.files().into_iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    let named_by_us = |name: &std::ffi::OsString| Uuid::parse_str(name.to_str().unwrap()).is_ok();
    assert!(names.len() == keys.len() && names.iter().all(named_by_us), "{names:?}");
    for wrong in ["../../secrets.key", "/etc/passwd", "a/../../x", ""] {
        for refused in [
            setup.put(wrong, b"x").await.err(),
            setup.objects.download(guild(1), wrong).await.err(),
            setup.objects.exists(guild(1), wrong).await.err(),
            setup.objects.delete(guild(1), wrong).await.err(),
            setup.objects.url(guild(1), wrong, Duration::from_secs(60)).await.err(),
        ] {
            assert!(matches!(refused, Some(ObjectsError::Key { .. })), "{wrong}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn another_guilds_objects_do_not_exist() {
    let setup = setup().await;
    setup.put("mine", b"secret").await.unwrap();
    let other = guild(2);
    assert!(!setup.objects.exists(other, "mine").await.unwrap());
    assert!(matches!(setup.objects.download(other, "mine").await, Err(ObjectsError::NotFound { .. })));
    let url = setup.objects.url(other, "mine", Duration::from_secs(60)).await;
    assert!(matches!(url, Err(ObjectsError::NotFound { .. })));
    assert!(!setup.objects.delete(other, "mine").await.unwrap());
    assert!(setup.objects.list(other, "", None).await.unwrap().is_empty());
    assert_eq!(setup.get("mine").await, b"secret");
}

#[tokio::test]
async fn the_quota_holds_for_uploads_at_the_same_time() {
    let setup = setup().await;
    let mut uploads = tokio::task::JoinSet::new();
    for number in 0..20 {
        let objects = setup.objects.clone();
        uploads
            .spawn(async move { objects.upload(guild(1), &format!("k{number}"), vec![0; 10], LIMITS).await });
    }
    let came = uploads.join_all().await;
    let full = |came: &Result<_, _>| {
        matches!(came, Err(ObjectsError::Storage(StorageError::TooManyObjects { limit: 5 })))
    };
    assert_eq!(came.iter().filter(|came| came.is_ok()).count(), 5);
    assert_eq!(came.iter().filter(|came| full(came)).count(), 15);
    // One that is there can be replaced, and one that is gone makes room.
    let there = setup.keys("", None).await;
    assert!(setup.put(&there[0], b"new").await.is_ok());
    assert!(setup.objects.delete(guild(1), &there[0]).await.unwrap());
    assert!(setup.put("other", b"new").await.is_ok());
    assert!(setup.objects.upload(guild(2), "k", vec![0], LIMITS).await.is_ok(), "it is each guild's own");
}

#[tokio::test]
async fn bytes_are_limited_one_by_one_and_together() {
    let setup = setup().await;
    assert!(matches!(setup.put("large", &[0; 1001]).await, Err(ObjectsError::TooLarge { limit: 1000 })));
    for key in ["a", "b", "c"] {
        setup.put(key, &[0; 1000]).await.unwrap();
    }
    let full = |came: Result<_, _>| {
        matches!(came, Err(ObjectsError::Storage(StorageError::ObjectsTooLarge { limit: 3000 })))
    };
    assert!(full(setup.put("d", &[0; 1]).await));
    assert!(setup.put("a", &[1; 1000]).await.is_ok(), "what it replaces makes room");
    assert!(setup.put("a", &[1; 500]).await.is_ok());
    assert!(setup.put("d", &[1; 500]).await.is_ok());
    assert!(full(setup.put("e", &[0; 1]).await));
    assert!(setup.put("e", &[]).await.is_ok());
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_what_was_acknowledged_and_nothing_else() {
    let setup = setup().await;
    setup.put("kept", b"kept").await.unwrap();
    setup.put("old", b"old").await.unwrap();
    let path = |blob: Uuid| setup.data.path().join(format!("objects/guilds/1/{blob}"));
    // Booked as on its way in, and no further.
    let booked = Uuid::now_v7();
    setup.storage.begin_object(guild(1), "booked", booked, 1000, LIMITS.quota).await.unwrap();
    // Written as well.
    let written = Uuid::now_v7();
    setup.storage.begin_object(guild(1), "old", written, 1000, LIMITS.quota).await.unwrap();
    fs::write(path(written), [0; 1000]).unwrap();
    // Deleted in the books, with the content still there.
    let gone = setup.put("gone", b"gone").await.unwrap();
    setup.storage.delete_object(guild(1), "gone").await.unwrap();
    assert!(path(gone.blob).exists());
    assert!(setup.put("no room", &[0; 1000]).await.is_err(), "what is on its way takes its room");

    let setup = setup.restarted().await;
    assert_eq!(setup.keys("", None).await, ["kept", "old"]);
    assert_eq!((setup.get("kept").await, setup.get("old").await), (b"kept".to_vec(), b"old".to_vec()));
    assert_eq!(setup.files().len(), 2, "{:?}", setup.files());
    assert!(setup.storage.outgoing_blobs("", 10).await.unwrap().0.is_empty());
    for key in ["a", "b"] {
        setup.put(key, &[0; 1000]).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_that_fails_changes_nothing_and_takes_no_room() {
    let setup = setup().await;
    setup.put("a", b"before").await.unwrap();
    let (folder, aside) = (setup.data.path().join("objects"), setup.data.path().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "a file where the folder was").unwrap();
    for _ in 0..10 {
        let error = setup.put("a", &[0; 1000]).await.unwrap_err();
        assert!(matches!(error, ObjectsError::Store(_)), "{error:?}");
        assert!(!error.to_string().contains("objects/guilds"), "{error}");
    }
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    assert_eq!(setup.get("a").await, b"before");
    assert!(setup.put("b", &[0; 1000]).await.is_ok());
    setup.objects.sweep().await.unwrap();
    assert!(setup.storage.outgoing_blobs("", 100).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn an_upload_goes_on_when_nobody_waits_for_it() {
    let setup = setup().await;
    {
        let upload = setup.put("a", b"content");
        tokio::select! {
            biased;
            _ = upload => panic!("it was there at once"),
            () = tokio::task::yield_now() => {}
        }
    }
    for _ in 0..3_000 {
        if setup.objects.exists(guild(1), "a").await.unwrap() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(setup.get("a").await, b"content");
}

#[tokio::test]
async fn a_url_gives_one_object_as_it_is_until_its_end() {
    let setup = setup().await;
    setup.put("dir/a.txt", b"content").await.unwrap();
    let url = setup.objects.url(guild(1), "dir/a.txt", Duration::from_secs(60)).await.unwrap();
    let token = url.strip_prefix("https://worker.example/objects/").unwrap();
    let now = OffsetDateTime::now_utc();
    let shared = setup.objects.shared(token, now).await.unwrap().unwrap();
    assert_eq!((shared.key.as_str(), shared.content.as_slice()), ("dir/a.txt", b"content".as_slice()));
    assert!(shared.lasts <= Duration::from_secs(60), "{shared:?}");
    assert_eq!(setup.objects.shared(token, now + Duration::from_secs(61)).await.unwrap(), None);
    let changed = format!("{}{}", if token.starts_with('A') { "B" } else { "A" }, &token[1..]);
    for wrong in ["", "x", &token[1..], &changed, &format!("{token}A")] {
        assert_eq!(setup.objects.shared(wrong, now).await.unwrap(), None, "{wrong}");
    }
    let setup = setup.restarted().await;
    assert!(setup.objects.shared(token, now).await.unwrap().is_some(), "a restart keeps it");
    setup.put("dir/a.txt", b"another").await.unwrap();
    assert_eq!(setup.objects.shared(token, now).await.unwrap(), None);

    for lasts in
        [Duration::ZERO, Duration::from_millis(999), urls::LONGEST + Duration::from_secs(1), Duration::MAX]
    {
        let refused = setup.objects.url(guild(1), "dir/a.txt", lasts).await;
        assert!(matches!(refused, Err(ObjectsError::UrlTime)), "{lasts:?}");
    }
    assert!(setup.objects.url(guild(1), "dir/a.txt", urls::LONGEST).await.is_ok());
    let unknown = objects(&setup.storage, setup.data.path(), "");
    let error = unknown.url(guild(1), "dir/a.txt", Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().contains("links.api_url"), "{error}");
}

#[tokio::test]
async fn a_content_that_was_changed_by_hand_is_not_read() {
    let setup = setup().await;
    setup.put("a", b"content").await.unwrap();
    let file = setup.files().into_iter().next().unwrap();
    fs::write(&file, vec![0; 1 << 20]).unwrap();
    assert!(matches!(setup.objects.download(guild(1), "a").await, Err(ObjectsError::Store(_))));
    fs::remove_file(&file).unwrap();
    assert!(matches!(setup.objects.download(guild(1), "a").await, Err(ObjectsError::Store(_))));
}

#[tokio::test]
async fn a_url_makes_no_key_where_secrets_need_the_one_that_is_lost() {
    let setup = setup().await;
    setup.put("a", b"content").await.unwrap();
    let path = setup.data.path().join("secrets.key");
    let url = async |objects: &Objects| objects.url(guild(1), "a", Duration::from_secs(60)).await;
    assert!(url(&setup.objects).await.is_ok());
    assert!(path.exists(), "the first URL makes a key, as the first secret does");
    let vault = Vault::new(Arc::clone(&setup.storage), KeyFile::new(path.clone()));
    let hosts = ["api.example.com".to_owned()];
    vault.put(guild(1), "KEY", "correct-horse-battery", &hosts).await.unwrap();

    fs::remove_file(&path).unwrap();
    let without = objects(&setup.storage, setup.data.path(), "https://worker.example");
    let refused = url(&without).await;
    assert!(matches!(refused, Err(ObjectsError::Sign(KeyError::Missing { .. }))), "{refused:?}");
    assert!(!path.exists(), "a new key would hide the loss");
    vault.delete(guild(1), "KEY").await.unwrap();
    assert!(url(&without).await.is_ok());
}

#[tokio::test]
async fn a_content_that_cannot_be_removed_holds_up_no_other() {
    let setup = setup().await;
    let mut blobs = Vec::new();
    for number in 0..4 {
        blobs.push(setup.put(&format!("k{number}"), b"x").await.unwrap().blob);
    }
    // The first is a folder with something in it, which no store removes.
    let stuck = setup.data.path().join(format!("objects/guilds/1/{}", blobs[0]));
    for number in 0..4 {
        setup.storage.delete_object(guild(1), &format!("k{number}")).await.unwrap();
    }
    fs::remove_file(&stuck).unwrap();
    fs::create_dir(&stuck).unwrap();
    fs::write(stuck.join("x"), "x").unwrap();
    setup.objects.sweep().await.unwrap();
    let (left, _) = setup.storage.outgoing_blobs("", 10).await.unwrap();
    assert_eq!(left, [LooseBlob { guild: guild(1), blob: blobs[0] }]);
    assert_eq!(setup.files().len(), 1);
    fs::remove_dir_all(&stuck).unwrap();
    setup.objects.sweep().await.unwrap();
    assert!(setup.storage.outgoing_blobs("", 10).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn an_upload_that_landed_although_it_failed_keeps_its_content() {
    let data = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open(data.path()).await.unwrap());
    let store = Arc::new(Landing { store: InMemory::new(), storage: Arc::clone(&storage) });
    let contents = Contents { store, signer: None };
    let open = move || Ok(contents.clone());
    let objects = Objects::new(storage, open, KeyFile::new(data.path().join("secrets.key")), "");
    let failed = objects.upload(guild(1), "k", b"content".to_vec(), LIMITS).await;
    assert!(matches!(failed, Err(ObjectsError::Storage(StorageError::Failed(_)))), "{failed:?}");
    assert_eq!(objects.download(guild(1), "k").await.unwrap(), b"content");
}

/// A store behind whose back an object is booked as soon as its content is there, so that booking it again fails: as where
/// a commit lands and the answer to it is lost.
struct Landing {
    store: InMemory,
    storage: Arc<dyn Storage>,
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Landing")
    }
}

impl fmt::Display for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Landing")
    }
}

type Listed<T> = Pin<Box<dyn Stream<Item = object_store::Result<T>> + Send>>;

#[async_trait]
impl ObjectStore for Landing {
    async fn put_opts(
        &self,
        at: &Path,
        content: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let blob = at.filename().unwrap().parse().unwrap();
        let size = content.content_length() as u64;
        let put = self.store.put_opts(at, content, options).await;
        let (key, etag) = ("k".to_owned(), "etag".to_owned());
        let object = ObjectRecord { key, blob, size, etag, stored_at: OffsetDateTime::now_utc() };
        self.storage.finish_object(guild(1), &object).await.unwrap();
        put
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.store.get_opts(at, options).await
    }

    fn delete_stream(&self, all: Listed<Path>) -> Listed<Path> {
        self.store.delete_stream(all)
    }

    fn list(&self, prefix: Option<&Path>) -> Listed<ObjectMeta> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
