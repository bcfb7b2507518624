//! What every backend promises about records when very many are changed at once, and when it closes meanwhile.

use super::kv::{NOW, at, put, quota, set};
use super::*;

async fn a_flood_of_keys_holds_up_neither_templates_nor_other_guilds<F: Fixture>(place: F) {
    let storage = place.open().await;
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood: Vec<_> = (0..200)
        .map(|task| {
            let (storage, done) = (Arc::clone(&storage), Arc::clone(&done));
            tokio::spawn(async move {
                let mut count = 0_u64;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    put(&*storage, guild(1), at(&format!("{task}"), &["a"]), "1").await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut served = 0;
    let others = async {
        for index in 0..20 {
            super::put(&*storage, guild(1), &format!("t{index}"), "return 1").await;
            put(&*storage, guild(2), at("k", &["a"]), "1").await;
            served = index + 1;
        }
    };
    // A hundred times what it takes: who starves waits for as long as the flood goes on, and that has no end.
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), others).await;
    assert!(in_time.is_ok(), "of 20 templates and keys beside the flood, {served} were stored");
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for task in flood {
        assert!(task.await.unwrap() > 0);
    }
}

async fn objects_of_many_guilds_hold_up_no_keys<F: Fixture>(place: F) {
    let storage = place.open().await;
    let booked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut flood = tokio::task::JoinSet::new();
    for of in 0..300 {
        let (storage, booked) = (Arc::clone(&storage), Arc::clone(&booked));
        flood.spawn(async move {
            let (guild, quota) = (guild(10 + of % 30), ObjectQuota { objects: u64::MAX, bytes: u64::MAX });
            loop {
                storage.begin_object(guild, "k", uuid::Uuid::now_v7(), 1, quota).await.unwrap();
                booked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
    }
    // All of them are in line when this goes on.
    while booked.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    for index in 0..20 {
        put(&*storage, guild(1), at(&format!("{index}"), &["a"]), "1").await;
    }
    // Each waits for one other write, and few more are counted before it hears of its own. Behind the line it would be 300.
    let beside = booked.load(std::sync::atomic::Ordering::Relaxed);
    assert!(beside < 20 * 10, "beside 20 keys, {beside} objects were booked");
    flood.shutdown().await;
}

async fn what_waits_when_the_storage_closes_is_written<F: Fixture>(place: F) {
    let storage = place.open().await;
    let jobs: Vec<_> = (0..100)
        .map(|index| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move {
                let op = set(at(&format!("{index}"), &["a"]), "1");
                storage.kv_write(guild(1), vec![op], quota(), NOW).await.is_ok()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    storage.close().await;
    let mut acknowledged = 0;
    for job in jobs {
        acknowledged += u64::from(job.await.unwrap());
    }
    assert_eq!(place.open().await.kv_usage(guild(1)).await.unwrap().records, acknowledged);
}

contract!(sqlite, SqliteOnDisk:
    a_flood_of_keys_holds_up_neither_templates_nor_other_guilds,
    objects_of_many_guilds_hold_up_no_keys,
    what_waits_when_the_storage_closes_is_written,
);
