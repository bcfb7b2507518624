//! What every backend promises about the bytes of versions that are not the current ones.

use super::*;

pub(super) async fn old_versions_of_a_guild_have_a_budget_and_the_oldest_go_first<F: Fixture>(place: F) {
    let storage = place.open().await;
    // With its other texts, each has a little less than a mebibyte.
    let source = |version: u32| format!("--{version}{}", "x".repeat((1 << 20) - 1_000));
    let versions = async |of: u64, text: &str| -> Vec<u32> {
        let kept = storage.template_versions(guild(of), &name(text)).await.unwrap();
        kept.iter().rev().map(|version| version.version).collect()
    };
    for version in 1..=2 {
        put(&*storage, guild(2), "a", &source(version)).await;
    }
    for version in 1..=18 {
        for text in ["a", "b", "c", "d"] {
            put(&*storage, guild(1), text, &source(version)).await;
        }
    }
    // Of 68 old ones, 64 have room.
    for text in ["a", "b", "c", "d"] {
        assert_eq!(versions(1, text).await, (2..=18).collect::<Vec<_>>(), "{text}");
    }
    let patch = || TemplatePatch { paused: Some(true), ..TemplatePatch::default() };
    storage.patch_template(guild(1), &name("a"), patch(), None).await.unwrap().unwrap();
    assert_eq!(
        versions(1, "a").await,
        (2..=19).collect::<Vec<_>>(),
        "the current files are not counted as old"
    );
    put(&*storage, guild(1), "b", "return 1").await;
    assert_eq!(versions(1, "a").await, (3..=19).collect::<Vec<_>>(), "it was stored first, and goes first");
    for (text, last) in [("b", 19), ("c", 18), ("d", 18)] {
        assert_eq!(versions(1, text).await, (2..=last).collect::<Vec<_>>(), "{text}");
    }
    assert_eq!(versions(2, "a").await, [1, 2], "it is another guild's");
    let current = storage.get_template(guild(1), &name("a")).await.unwrap().unwrap();
    assert_eq!(files(&current)["init.luau"], source(18));
}
