//! What every backend promises about searches and lists of records.

use super::kv::{NOW, at, put, query, quota, scopes, set};
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
    let keys = async |of, after| storage.kv_keys(guild(1), &scopes(of), after, NOW).await.unwrap();
    let page = |keys: &[&str]| KvKeys { keys: keys.iter().map(ToString::to_string).collect(), next: None };
    assert_eq!(keys(&["x"], None).await, page(&["a", "b"]));
    assert_eq!(keys(&["x"], Some("a")).await, page(&["b"]));
    assert_eq!(keys(&["y"], None).await, page(&[]));
    let all = storage.kv_scopes(guild(1), None, NOW).await.unwrap();
    let sets = [scopes(&["x", "y"]), scopes(&["x"]), scopes(&["z"])];
    assert_eq!(all, KvScopes { sets: sets.to_vec(), next: None });
    let after = ScopesPlace { scopes: sets[1].clone(), key: None };
    let rest = storage.kv_scopes(guild(1), Some(&after), NOW).await.unwrap();
    assert_eq!(rest, KvScopes { sets: sets[2..].to_vec(), next: None });
}

/// A record under each of these numbers, until `end`.
async fn put_many(
    storage: &dyn Storage,
    of: &[&str],
    numbers: std::ops::Range<usize>,
    end: Option<OffsetDateTime>,
) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(MOST_BATCH_OPS) {
        let set = |number: &usize| KvOp::Set {
            at: at(&format!("{number:06}"), of),
            value: "1".to_owned(),
            expires_at: end,
            resume: false,
        };
        storage.kv_write(guild(1), some.iter().map(set).collect(), quota(), NOW).await.unwrap();
    }
}

async fn a_list_of_keys_looks_at_so_many_and_goes_on_after_those_that_have_expired<F: Fixture>(place: F) {
    let (storage, end) = (place.open().await, NOW + Duration::SECOND);
    put_many(&*storage, &["a"], 0..MOST_EXAMINED + 5, Some(end)).await;
    put_many(&*storage, &["a"], MOST_EXAMINED + 5..MOST_EXAMINED + 10, None).await;
    let keys = async |after: Option<&str>, now| {
        storage.kv_keys(guild(1), &scopes(&["a"]), after, now).await.unwrap()
    };
    let full = keys(None, NOW).await;
    let last = format!("{:06}", MOST_EXAMINED - 1);
    assert_eq!(
        (full.keys.len(), full.keys.last(), &full.next),
        (MOST_EXAMINED, Some(&last), &Some(last.clone()))
    );
    assert_eq!(keys(None, end).await, KvKeys { keys: Vec::new(), next: Some(last.clone()) });
    let rest = keys(Some(&last), end).await;
    assert_eq!((rest.keys.len(), rest.next), (5, None));
}

async fn a_list_of_scopes_looks_at_so_many_and_goes_on_after_those_that_have_expired<F: Fixture>(place: F) {
    let (storage, end) = (place.open().await, NOW + Duration::SECOND);
    // Sets come in the order of their texts.
    put_many(&*storage, &["a"], 0..3, None).await;
    put_many(&*storage, &["b"], 0..MOST_SCOPE_SETS + 5, Some(end)).await;
    put_many(&*storage, &["b"], MOST_SCOPE_SETS + 5..MOST_SCOPE_SETS + 8, None).await;
    put_many(&*storage, &["c"], 0..1, Some(end)).await;
    put_many(&*storage, &["d"], 0..1, None).await;
    let sets =
        async |after: Option<&ScopesPlace>, now| storage.kv_scopes(guild(1), after, now).await.unwrap();
    let all = KvScopes { sets: ["a", "b", "c", "d"].map(|set| scopes(&[set])).to_vec(), next: None };
    assert_eq!(sets(None, NOW).await, all);
    let first = sets(None, end).await;
    let key = Some(format!("{:06}", MOST_SCOPE_SETS - 2));
    let next = Some(ScopesPlace { scopes: scopes(&["b"]), key });
    assert_eq!(first, KvScopes { sets: vec![scopes(&["a"])], next: next.clone() });
    let second = sets(next.as_ref(), end).await;
    assert_eq!(second, KvScopes { sets: vec![scopes(&["b"]), scopes(&["d"])], next: None });
}

async fn a_list_of_very_many_sets_of_scopes_comes_page_by_page<F: Fixture>(place: F) {
    let storage = place.open().await;
    let names: Vec<_> = (0..=MOST_SCOPE_SETS).map(|number| format!("{number:06}")).collect();
    for some in names.chunks(MOST_BATCH_OPS) {
        let ops = some.iter().map(|name| set(at("k", &[name.as_str()]), "1")).collect();
        storage.kv_write(guild(1), ops, quota(), NOW).await.unwrap();
    }
    let first = storage.kv_scopes(guild(1), None, NOW).await.unwrap();
    let last = ScopesPlace { scopes: scopes(&[names[MOST_SCOPE_SETS - 1].as_str()]), key: None };
    assert_eq!((first.sets.len(), first.next.as_ref()), (MOST_SCOPE_SETS, Some(&last)));
    let rest = storage.kv_scopes(guild(1), Some(&last), NOW).await.unwrap();
    assert_eq!(rest, KvScopes { sets: vec![scopes(&[names[MOST_SCOPE_SETS].as_str()])], next: None });
}

contract!(sqlite, SqliteOnDisk:
    a_search_is_complete_ordered_and_page_by_page,
    a_page_ends_where_it_would_be_too_large,
    keys_and_scopes_are_listed,
    a_list_of_keys_looks_at_so_many_and_goes_on_after_those_that_have_expired,
    a_list_of_scopes_looks_at_so_many_and_goes_on_after_those_that_have_expired,
    a_list_of_very_many_sets_of_scopes_comes_page_by_page,
);
