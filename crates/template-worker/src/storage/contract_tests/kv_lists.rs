//! What every backend promises about searches and lists of records.

use super::kv::{NOW, at, put, query, scopes};
use super::*;
use crate::storage::kv::*;

async fn a_search_is_complete_ordered_and_page_by_page<F: Fixture>(place: F) {
    let storage = place.open().await;
    for index in 0..25 {
        put(&*storage, guild(1), at(&format!("User:{index:02}"), &["a"]), "1").await;
        put(&*storage, guild(1), at(&format!("other:{index:02}"), &["a"]), "1").await;
        put(&*storage, guild(1), at(&format!("user:{index:02}"), &["a", "b"]), "1").await;
        put(&*storage, guild(2), at(&format!("user:{index:02}"), &["a"]), "1").await;
    }
    let all = async |mut query: KvQuery| {
        let mut found = Vec::new();
        loop {
            let page = storage.kv_find(guild(1), &query, NOW).await.unwrap();
            assert!(page.records.len() <= 10);
            found.extend(page.records.into_iter().map(|record| (record.scopes.to_vec().len(), record.key)));
            query.after = page.next;
            if query.after.is_none() {
                return found;
            }
        }
    };
    let expected: Vec<_> = (0..25).map(|index| (1, format!("User:{index:02}"))).collect();
    assert_eq!(all(query("user:%", Some(&["a"]))).await, expected);
    let everywhere = all(query("USER:%", None)).await;
    assert_eq!(everywhere.len(), 50);
    assert_eq!(all(query("%", None)).await.len(), 75);
    assert_eq!(all(query("%:07", Some(&["b", "a"]))).await, [(2, "user:07".to_owned())]);
    assert_eq!(all(query("nothing%", None)).await, []);
}

async fn a_page_ends_where_it_would_be_too_large<F: Fixture>(place: F) {
    let storage = place.open().await;
    let value = format!("\"{}\"", "x".repeat(200 << 10));
    for index in 0..15 {
        put(&*storage, guild(1), at(&format!("{index:02}"), &["a"]), &value).await;
    }
    let query = KvQuery { limit: 1_000, ..query("%", None) };
    let first = storage.kv_find(guild(1), &query, NOW).await.unwrap();
    assert_eq!((first.records.len(), first.next.as_ref().map(|key| &*key.key)), (10, Some("09")));
    let second = storage.kv_find(guild(1), &KvQuery { after: first.next, ..query }, NOW).await.unwrap();
    assert_eq!((second.records.len(), second.next), (5, None));
}

async fn keys_and_scopes_are_listed<F: Fixture>(place: F) {
    let storage = place.open().await;
    for (text, of) in [("b", &["x"][..]), ("a", &["x"]), ("c", &["y", "x"]), ("d", &["z"])] {
        put(&*storage, guild(1), at(text, of), "1").await;
    }
    put(&*storage, guild(2), at("a", &["other"]), "1").await;
    assert_eq!(storage.kv_keys(guild(1), &scopes(&["x"]), None, NOW).await.unwrap(), ["a", "b"]);
    assert_eq!(storage.kv_keys(guild(1), &scopes(&["x"]), Some("a"), NOW).await.unwrap(), ["b"]);
    assert!(storage.kv_keys(guild(1), &scopes(&["y"]), None, NOW).await.unwrap().is_empty());
    let sets = storage.kv_scopes(guild(1), None, NOW).await.unwrap();
    assert_eq!(sets, [scopes(&["x", "y"]), scopes(&["x"]), scopes(&["z"])]);
    let rest = storage.kv_scopes(guild(1), Some(&sets[1]), NOW).await.unwrap();
    assert_eq!(rest, sets[2..]);
}

contract!(sqlite, SqliteOnDisk:
    a_search_is_complete_ordered_and_page_by_page,
    a_page_ends_where_it_would_be_too_large,
    keys_and_scopes_are_listed,
);
