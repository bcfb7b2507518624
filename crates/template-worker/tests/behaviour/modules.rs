//! Modules that scripts `require`, where their VM is locked in: no file is read, and a thread can be had all the same.

use serde_json::json;
use template_worker::config::Strategy;
use testkit::{GUILD, TestWorker};

#[tokio::test]
async fn modules_need_nothing_that_a_process_does_not_have() {
    const SCRIPT: &str = "
        local datamgmt, datetime = require('@antiraid/datamgmt'), require('@antiraid/datetime')
        local sealed = datamgmt.aes256encrypt('hello', 'password')
        local opened = buffer.tostring(datamgmt.aes256decrypt(sealed, 'password'):tobuffer())
        local zone = datetime.new('Europe/Berlin'):fromTime(0)
        local random = #require('@antiraid/typesext').randstring(20)
        local code = require('@antiraid/luau').load('return 1 + 1'):call()
        local regex = require('@lune/regex').new('l+'):find('hello').text
        local hash = require('@lune/serde').hash('md5', 'abc')
        return {opened, zone, random, code, regex, hash}";
    for strategy in [Strategy::ThreadPool, Strategy::ProcessPool] {
        let worker = TestWorker::start_with(|config| config.vm.strategy = strategy).await;
        worker.template(GUILD, "t", SCRIPT).await.expect(201);
        let result = worker.event(GUILD, &json!({})).await;
        let want =
            json!(["hello", "1970-01-01T01:00:00+01:00", 20, 2, "ll", "900150983cd24fb0d6963f7d28e17f72"]);
        assert_eq!(result["t"]["value"], want, "{strategy:?}: {result}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_module_of_2025_that_is_no_more_is_told_with_what_took_its_place() {
    let worker = TestWorker::start().await;
    for (module, instead) in [
        ("@antiraid/kv", "use `ctx.KV`"),
        ("@antiraid/discord", "use `ctx.Discord`"),
        ("@antiraid/promise", "call the function alone: what takes its time waits by itself"),
        ("@antiraid/stings", "there is no such module; there are @antiraid/datamgmt,"),
    ] {
        worker.template(GUILD, "t", &format!("require('{module}')")).await;
        let result = worker.event(GUILD, &json!({})).await;
        let error = result["t"]["error"].as_str().unwrap();
        assert!(error.contains(&format!("cannot require \"{module}\": {instead}")), "{error}");
    }
}
