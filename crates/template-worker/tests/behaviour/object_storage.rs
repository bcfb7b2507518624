//! `ctx.ObjectStorage`: files of a guild, and URLs of them.

use serde_json::json;
use template_worker::config::{Config, Strategy};
use testkit::s3::Bucket;
use testkit::{GUILD, TestWorker, answer, client, until};

use crate::internet::{run, run_in};

const OTHER: &str = "818880986845679758";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_keeps_files_whatever_the_strategy() {
    for strategy in [Strategy::ThreadPool, Strategy::ThreadPerGuild, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config: &mut Config| config.vm.strategy = strategy).await;
        let source = r#"
            local _, ctx = ...
            local files = ctx.ObjectStorage
            files:upload_file("a/text", "hello")
            files.upload_file("a/bytes", buffer.fromstring("\0\255"))
            files:upload_file("b", files:download_file("a/bytes"))
            local listed = files:list_files("a/")
            local keys = {}
            for _, file in files:list_files() do table.insert(keys, file.key) end
            files:delete_file("b")
            files:delete_file("b")
            return {
                buffer.tostring(files:download_file("a/text"):tobuffer()), typeof(files:download_file("a/bytes")),
                files:file_exists("a/text"), files:file_exists("b"), keys, #listed, listed[2].key, listed[2].size,
                #listed[2].etag, typeof(listed[2].last_modified), #files:list_files("a/", "a/bytes"),
                files.bucket_name, typeof(files), (select(2, pcall(files.download_file, files, "b"))),
            }
        "#;
        let got = run(&worker, &["objectstorage:*"], source).await;
        let expected = json!([
            "hello",
            "Blob",
            true,
            false,
            ["a/bytes", "a/text", "b"],
            2,
            "a/text",
            5,
            32,
            "DateTime",
            1,
            "antiraid.guild.818880986845679757",
            "ObjectStorage",
        ]);
        assert_eq!(got.as_array().unwrap()[..13], expected.as_array().unwrap()[..], "{strategy:?}");
        assert!(got[13].as_str().unwrap().contains("there is no object `b`"), "{got}");
        let elsewhere =
            run_in(&worker, OTHER, &["*"], "local _, ctx = ... return #ctx.ObjectStorage.list_files()").await;
        assert_eq!(elsewhere, 0, "another guild sees nothing of it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_needs_its_capability() {
    let worker = TestWorker::start().await;
    let calls = [
        ("list_files", "list_files()"),
        ("file_exists", "file_exists('k')"),
        ("download_file", "download_file('k')"),
        ("get_file_url", "get_file_url('k', 60)"),
        ("upload_file", "upload_file('k', 'x')"),
        ("delete_file", "delete_file('k')"),
    ];
    let others = |own: &str| -> Vec<String> {
        calls.iter().filter(|(op, _)| *op != own).map(|(op, _)| format!("objectstorage:{op}")).collect()
    };
    for (op, call) in calls {
        let source = format!("local _, ctx = ... return ctx.ObjectStorage.{call}");
        let held = others(op);
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        let denied = run(&worker, &held, &source).await;
        let denied = denied.as_str().unwrap().to_owned();
        assert!(denied.contains(&format!("lacks the capability `objectstorage:{op}`")), "{denied}");
        let allowed = run(&worker, &[&format!("objectstorage:{op}")], &source).await.to_string();
        assert!(!allowed.contains("capability"), "{op}: {allowed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_and_keys_are_refused() {
    let worker = TestWorker::start().await;
    for (call, said) in [
        ("upload_file('k')", "expected a buffer or a string, got nil"),
        ("upload_file('k', {})", "expected a buffer or a string, got a"),
        ("upload_file(1, 'x')", "expected a string, got a number"),
        ("upload_file('../k', 'x')", "cannot be the key of an object"),
        ("download_file('/etc/passwd')", "cannot be the key of an object"),
        ("delete_file('a/../b')", "cannot be the key of an object"),
        ("file_exists('')", "a key has 1 to 2,048 bytes"),
        ("get_file_url('k', 'soon')", "expected a TimeDelta or a number of seconds"),
        ("get_file_url('k', -1)", "from one second to seven days"),
        ("get_file_url('k', 0/0)", "from one second to seven days"),
        ("get_file_url('k', 2^53)", "from one second to seven days"),
        ("list_files('', 'a', 'b')", "too many arguments"),
    ] {
        let got = run(&worker, &["*"], &format!("local _, ctx = ... return ctx.ObjectStorage.{call}")).await;
        assert!(got.as_str().unwrap_or_default().contains(said), "{call}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_gives_an_object_to_whoever_has_it() {
    let worker =
        TestWorker::start_with(|config| config.links.api_url = "https://worker.example/".to_owned()).await;
    let source = r#"
        local _, ctx = ...
        ctx.ObjectStorage.upload_file("dir/page.html", "<script>alert(1)</script>")
        ctx.ObjectStorage.upload_file("a.png", buffer.fromstring("\137PNG\r\n\26\n..."))
        return {ctx.ObjectStorage.get_file_url("dir/page.html", 60), ctx.ObjectStorage.get_file_url("a.png", 60)}
    "#;
    let got = run(&worker, &["objectstorage:*"], source).await;
    let path = |url: &serde_json::Value| {
        url.as_str().unwrap().strip_prefix("https://worker.example").unwrap().to_owned()
    };
    let page = worker.anonymous(reqwest::Method::GET, &path(&got[0])).send().await.unwrap();
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(page.status(), 200);
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("content-disposition"), "attachment; filename=\"page.html\"");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(page.text().await.unwrap(), "<script>alert(1)</script>");
    let picture = worker.anonymous(reqwest::Method::GET, &path(&got[1])).send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/png");

    let mut guessed = path(&got[0]);
    guessed.replace_range(guessed.len() - 4.., "AAAA");
    answer(worker.anonymous(reqwest::Method::GET, &guessed)).await.problem(404, "not_found");
    run(&worker, &["*"], "local _, ctx = ... ctx.ObjectStorage.delete_file('dir/page.html')").await;
    answer(worker.anonymous(reqwest::Method::GET, &path(&got[0]))).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_of_the_service_a_url_says_what_is_missing() {
    let worker = TestWorker::start().await;
    let source = "local _, ctx = ... ctx.ObjectStorage.upload_file('k', 'x') return ctx.ObjectStorage.get_file_url('k', 60)";
    let got = run(&worker, &["*"], source).await;
    assert!(got.as_str().unwrap().contains("`links.api_url` in the configuration"), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_keeps_files_in_a_bucket() {
    let bucket = Bucket::start().await;
    let worker = TestWorker::start_with(|config| bucket.open(config)).await;
    let source = r#"
        local _, ctx = ...
        local files = ctx.ObjectStorage
        files:upload_file("a", "before")
        files:upload_file("a", "hello")
        files:upload_file("b", buffer.fromstring("\0\255"))
        local keys = {}
        for _, file in files:list_files() do table.insert(keys, file.key) end
        local bytes = buffer.tostring(files:download_file("b"):tobuffer())
        files:delete_file("b")
        local found, why = pcall(files.download_file, files, "b")
        return {
            buffer.tostring(files:download_file("a"):tobuffer()), bytes == "\0\255", keys, found, why,
            files:get_file_url("a", 60),
        }
    "#;
    let got = run(&worker, &["objectstorage:*"], source).await;
    assert_eq!(got.as_array().unwrap()[..4], *json!(["hello", true, ["a", "b"], false]).as_array().unwrap());
    assert!(got[4].as_str().unwrap().contains("there is no object `b`"), "{got}");
    let names = bucket.names();
    assert!(names.len() == 1 && names[0].starts_with(&format!("guilds/{GUILD}/")), "{names:?}");
    assert_eq!(bucket.refused(), 0, "a request was not signed");

    let url = got[5].as_str().unwrap();
    assert!(url.contains("X-Amz-Expires=60"), "{url}");
    let shared = client().get(url).send().await.unwrap();
    assert_eq!((shared.status().as_u16(), shared.text().await.unwrap().as_str()), (200, "hello"));
    let (unsigned, _) = url.split_once('?').unwrap();
    assert_eq!(client().get(unsigned).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_fails_loses_nothing_and_the_template_is_told() {
    let bucket = Bucket::start().await;
    let worker = TestWorker::start_with(|config| bucket.open(config)).await;
    let files = async |worker: &TestWorker, source: &str| {
        run(
            worker,
            &["objectstorage:*"],
            &format!("local _, ctx = ... local files = ctx.ObjectStorage {source}"),
        )
        .await
    };
    files(&worker, "files:upload_file('kept', 'before') files:upload_file('gone', 'x')").await;
    bucket.fail(true);
    for source in
        ["files:upload_file('kept', 'after')", "files:upload_file('new', 'x')", "files:download_file('kept')"]
    {
        let said = files(&worker, source).await;
        let said = said.as_str().unwrap();
        assert!(
            said.contains("failed to use the store of objects") && said.contains("try again later"),
            "{said}"
        );
    }
    assert_eq!(files(&worker, "files:delete_file('gone') return files:file_exists('gone')").await, false);
    bucket.fail(false);
    let kept = r#"
        local keys = {}
        for _, file in files:list_files() do table.insert(keys, file.key) end
        return {keys, buffer.tostring(files:download_file("kept"):tobuffer())}
    "#;
    assert_eq!(files(&worker, kept).await, json!([["kept"], "before"]));
    assert_eq!(bucket.names().len(), 2, "what could not be removed is still there");

    let folder = worker.folder();
    worker.stop().await;
    let worker = TestWorker::start_on(folder, |config| bucket.open(config)).await;
    until("what belongs to nobody is removed", async || bucket.names().len() == 1).await;
    assert_eq!(files(&worker, kept).await, json!([["kept"], "before"]));
}
