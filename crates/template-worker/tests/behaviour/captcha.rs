//! `ctx.ImageCaptcha`.

use serde_json::json;
use template_worker::config::{Config, Strategy};
use testkit::TestWorker;

use crate::internet::run;

#[tokio::test(flavor = "multi_thread")]
async fn a_template_draws_a_captcha_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ThreadPerGuild, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config: &mut Config| config.vm.strategy = strategy).await;
        let source = r#"
            local _, ctx = ...
            local usual = ctx.ImageCaptcha.Create()
            local own = ctx.ImageCaptcha:Create{
                char_count = 3, viewbox_size = {100, 50}, filters = {
                    {filter = "Noise", prob = 0.1}, {filter = "Wave", f = 4, amp = 2, d = "horizontal"},
                    {filter = "Line", p1 = {1, 0}, p2 = {20, 20}, thickness = 2, color = {r = 0, g = 30, b = 100}},
                    {filter = "RandomLine"}, {filter = "Grid", x_gap = 10, y_gap = 30}, {filter = "ColorInvert"},
                },
            }
            local function size(image) return bit32.byteswap(buffer.readu32(image, 16)), bit32.byteswap(buffer.readu32(image, 20)) end
            return {#usual.text, {size(usual.image)}, #own.text, {size(own.image)}, buffer.readstring(own.image, 1, 3), typeof(ctx.ImageCaptcha)}
        "#;
        let got = run(&worker, &["captcha:create"], source).await;
        assert_eq!(got, json!([5, [320, 160], 3, [100, 50], "PNG", "ImageCaptcha"]), "{strategy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_needs_its_capability_and_says_what_can_be_asked_for() {
    let worker = TestWorker::start().await;
    let denied = run(&worker, &["kv:*"], "local _, ctx = ... return ctx.ImageCaptcha.Create()").await;
    assert!(denied.as_str().unwrap().contains("lacks the capability `captcha:create`"), "{denied}");
    for (config, said) in [
        ("'x'", "expected a table, got a string"),
        ("{char_count = 11}", "use 1 to 10"),
        ("{char_count = 0/0}", "char_count takes whole numbers"),
        ("{viewbox_size = {512, 512}}", "use 1 to 511 pixels"),
        ("{filters = {{filter = 'Cow'}}}", "there is no filter `Cow`"),
        ("{filters = {{filter = 'Noise', prob = 2}}}", "from 0 to 1"),
        ("{filters = table.create(13, {filter = 'RandomLine'})}", "use at most 12"),
    ] {
        let got =
            run(&worker, &["*"], &format!("local _, ctx = ... return ctx.ImageCaptcha.Create({config})"))
                .await;
        assert!(got.as_str().unwrap_or_default().contains(said), "{config}: {got}");
    }
}
