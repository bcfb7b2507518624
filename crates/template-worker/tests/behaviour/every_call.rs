//! Every call under `ctx` but those of Discord, which have tests of their own: it does what it says with the one capability that
//! it takes, and not without; it says what is wrong with its arguments; and what is another guild's is not there.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use template_worker::config::Config;
use template_worker::host::HostCall;
use testkit::{GUILD, TestWorker};

use crate::internet::Internet;

const OTHER: &str = "818880986845679758";

/// One call. What is Luau here has `ctx`, the id of the record `k` as `id`, and the URL of a server as `url`.
struct Case {
    call: &'static str,
    /// What it takes; empty where it takes nothing.
    capability: &'static str,
    right: &'static str,
    /// What `right` gives, as Luau.
    gives: &'static str,
    /// What it gives in a guild that has nothing of this, as Luau; after a `!`, what it throws.
    elsewhere: &'static str,
    wrong: &'static str,
    /// What is said of that.
    says: &'static str,
}

/// call, capability, right, gives, elsewhere, wrong, says.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("KV.get", "kv[s]:get:k", "select(2, ctx.KV:get('k', {'s'}))", "true", "false", "ctx.KV:get('k')", "'scopes' to 'get'"),
    ("KV.getrecord", "kv[s]:get:k", "ctx.KV:getrecord('k', {'s'}).value", "'mine'", "!index nil", "ctx.KV:getrecord(nil, {'s'})", "'key' to 'getrecord'"),
    ("KV.exists", "kv[s]:exists:k", "ctx.KV:exists('k', {'s'})", "true", "false", "ctx.KV:exists('k', {})", "at least one scope"),
    ("KV.keys", "kv.meta[s]:keys", "ctx.KV:keys({'s'})[1]", "'k'", "nil", "ctx.KV:keys('s')", "'scopes' to 'keys'"),
    ("KV.list_scopes", "kv.meta:list_scopes", "ctx.KV:list_scopes()[1]", "'s'", "nil", "ctx.KV:list_scopes(1)", "'cursor' to 'list_scopes'"),
    ("KV.find", "kv[s]:find:%", "ctx.KV:find('%', {'s'})[1].key", "'k'", "!index nil", "ctx.KV:find({}, {'s'})", "'query' to 'find'"),
    ("KV.set", "kv[s]:set:k", "ctx.KV:set('k', 'mine', {'s'}).exists", "true", "false", "ctx.KV:set('k', 1, {'s'}, 'tomorrow')", "'expires_at' to 'set'"),
    ("KV.setexpiry", "kv[s]:setexpiry:k", "ctx.KV:setexpiry('k', {'s'})", "nil", "!no key", "ctx.KV:setexpiry('k', {'s'}, 5)", "'expires_at' to 'setexpiry'"),
    ("KV.delete", "kv[s]:delete:k", "ctx.KV:delete('k', {'s'})", "nil", "nil", "ctx.KV:delete('k', {1})", "'scopes' to 'delete'"),
    ("KV.getbyid", "kv.meta:id_ops", "select(2, ctx.KV:getbyid(id))", "true", "false", "ctx.KV:getbyid(1)", "'id' to 'getbyid'"),
    ("KV.getrecordbyid", "kv.meta:id_ops", "ctx.KV:getrecordbyid(id).key", "'k'", "!index nil", "ctx.KV:getrecordbyid()", "'id' to 'getrecordbyid'"),
    ("KV.setbyid", "kv.meta:id_ops", "ctx.KV:setbyid(id, 'mine')", "nil", "!no record", "ctx.KV:setbyid(id, 1, 1)", "'expires_at' to 'setbyid'"),
    ("KV.setexpirybyid", "kv.meta:id_ops", "ctx.KV:setexpirybyid(id)", "nil", "!no record", "ctx.KV:setexpirybyid(id, true)", "'expires_at' to 'setexpirybyid'"),
    ("KV.deletebyid", "kv.meta:id_ops", "ctx.KV:deletebyid(id)", "nil", "nil", "ctx.KV:deletebyid(id, 2)", "arguments"),
    ("KV.increment", "kv[s]:increment:n", "ctx.KV:increment('n', {'s'}, 2)", "3", "2", "ctx.KV:increment('n', {'s'}, 'x')", "'by' to 'increment'"),
    ("KV.compareandset", "kv[s]:compareandset:k", "ctx.KV:compareandset('k', {'s'}, 'mine', 'mine')", "true", "false", "ctx.KV:compareandset('k', 's', 1, 2)", "'scopes' to 'compareandset'"),
    ("KV.batch", "kv[s]:delete:k", "#ctx.KV:batch({{op = 'delete', key = 'k', scopes = {'s'}}})", "1", "1", "ctx.KV:batch({{op = 'delete'}})", "as `key` a string"),
    ("ObjectStorage.list_files", "objectstorage:list_files", "ctx.ObjectStorage:list_files()[1].key", "'f'", "!index nil", "ctx.ObjectStorage:list_files(1)", "'prefix' to 'list_files'"),
    ("ObjectStorage.file_exists", "objectstorage:file_exists", "ctx.ObjectStorage:file_exists('f')", "true", "false", "ctx.ObjectStorage:file_exists('')", "key"),
    ("ObjectStorage.download_file", "objectstorage:download_file", "buffer.tostring(ctx.ObjectStorage:download_file('f'):tobuffer())", "'mine'", "!no object", "ctx.ObjectStorage:download_file({})", "'key' to 'download_file'"),
    ("ObjectStorage.get_file_url", "objectstorage:get_file_url", "string.sub(ctx.ObjectStorage:get_file_url('f', 60), 1, 7)", "'http://'", "!no object", "ctx.ObjectStorage:get_file_url('f', -1)", "seven days"),
    ("ObjectStorage.upload_file", "objectstorage:upload_file", "ctx.ObjectStorage:upload_file('f', 'mine')", "nil", "nil", "ctx.ObjectStorage:upload_file('f', 1)", "'content' to 'upload_file'"),
    ("ObjectStorage.delete_file", "objectstorage:delete_file", "ctx.ObjectStorage:delete_file('f')", "nil", "nil", "ctx.ObjectStorage:delete_file(string.rep('x', 3000))", "key"),
    ("HTTPClient.send", "http:api.example.com", "ctx.HTTPClient.new_request('GET', url):send().status", "201", "201", "ctx.HTTPClient.new_request('BREW', url):send()", "`BREW` is not a method"),
    ("ImageCaptcha.Create", "captcha:create", "#ctx.ImageCaptcha:Create({char_count = 3}).text", "3", "3", "ctx.ImageCaptcha:Create({char_count = 99})", "char_count"),
    ("secrets.list", "", "ctx.secrets:list()[1]", "nil", "nil", "ctx.secrets:list(1)", "arguments"),
    ("DataStores.StatsStore.stats", "datastore:StatsStore:stats", "ctx.DataStores.StatsStore:stats().total_guilds > 0", "true", "true", "ctx.DataStores.StatsStore:stats(1)", "arguments"),
    ("DataStores.LinksStore.links", "datastore:LinksStore:links", "type(ctx.DataStores.LinksStore:links())", "'table'", "'table'", "ctx.DataStores.LinksStore:links(1)", "arguments"),
    ("DataStores.LinksStore.event_list", "datastore:LinksStore:event_list", "#ctx.DataStores.LinksStore:event_list() > 10", "true", "true", "ctx.DataStores.LinksStore:event_list(1)", "arguments"),
    ("DataStores.CopyDataStore.copy", "datastore:CopyDataStore:copy", "ctx.DataStores.CopyDataStore:copy({1})[1]", "1", "1", "ctx.DataStores.CopyDataStore:copy(print)", "function"),
    ("DataStores.CopyDataStore.copySync", "datastore:CopyDataStore:copySync", "ctx.DataStores.CopyDataStore:copySync('a')", "'a'", "'a'", "ctx.DataStores.CopyDataStore:copySync(1, 2)", "arguments"),
    ("DataStores.TemplateStore.list", "datastore:TemplateStore:list", "#ctx.DataStores.TemplateStore:list()", "3", "1", "ctx.DataStores.TemplateStore:list(1)", "arguments"),
    ("DataStores.TemplateStore.get", "datastore:TemplateStore:get", "ctx.DataStores.TemplateStore:get('victim').name", "'victim'", "!index nil", "ctx.DataStores.TemplateStore:get('no name!')", "name"),
    ("DataStores.TemplateStore.create", "datastore:TemplateStore:create", "ctx.DataStores.TemplateStore:create({name = 'new', events = {'Discord'}, content = {['init.luau'] = 'return 1'}})", "nil", "nil", "ctx.DataStores.TemplateStore:create({name = 'new'})", "`"),
    ("DataStores.TemplateStore.update", "datastore:TemplateStore:update", "ctx.DataStores.TemplateStore:update({name = 'victim', events = {'Discord'}, content = {['init.luau'] = 'return 2'}})", "nil", "!no template", "ctx.DataStores.TemplateStore:update('victim')", "'template' to 'update'"),
    ("DataStores.TemplateStore.delete", "datastore:TemplateStore:delete", "ctx.DataStores.TemplateStore:delete('victim')", "true", "false", "ctx.DataStores.TemplateStore:delete(1)", "'name' to 'delete'"),
];

fn cases() -> Vec<Case> {
    let case = |&(call, capability, right, gives, elsewhere, wrong, says): &Row| Case {
        call,
        capability,
        right,
        gives,
        elsewhere,
        wrong,
        says,
    };
    ROWS.iter().map(case).collect()
}

#[test]
fn every_call_has_a_case() {
    let all: BTreeSet<String> = HostCall::all()
        .filter(|(object, _)| *object != "Discord")
        .map(|(object, call)| format!("{object}.{}", call.function.name))
        .collect();
    let cases: BTreeSet<String> = cases().iter().map(|case| case.call.to_owned()).collect();
    assert_eq!(cases, all);
    assert_eq!(cases.len(), ROWS.len(), "a call has two cases");
}

struct World {
    worker: TestWorker,
    url: String,
    /// Of the record that the guild has.
    id: String,
}

impl World {
    /// A service in which the first guild has one of everything.
    async fn new(internet: &Internet) -> Self {
        let worker = TestWorker::start_with(|config: &mut Config| {
            internet.open(config);
            config.templates.rate_limits = false;
            config.links.api_url = "http://localhost".to_owned();
        })
        .await;
        let url = internet.url("/");
        let mut world = Self { worker, url, id: String::new() };
        world.worker.template(GUILD, "victim", "return 1").await.expect(201);
        let everything = "ctx.KV:set('n', 1, {'s'}) ctx.ObjectStorage:upload_file('f', 'mine')\n\
                          return ctx.KV:set('k', 'mine', {'s'}).id";
        let made = world.run(GUILD, "setup", &["*"], everything).await;
        world.id = made.as_str().unwrap().to_owned();
        world
    }

    async fn run(&self, guild: &str, name: &str, capabilities: &[&str], body: &str) -> Value {
        let (id, url) = (&self.id, &self.url);
        let source = format!("local event, ctx = ... local id, url = '{id}', '{url}'\n{body}");
        let template =
            json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": capabilities});
        let path = format!("/api/v1/guilds/{guild}/templates/{name}");
        let stored = self.worker.put(&path, &template).await;
        assert!(matches!(stored.status.as_u16(), 200 | 201), "{:#}", stored.body);
        let outcome = self.worker.event(guild, &json!({})).await[name].take();
        assert_eq!(outcome["status"], "ok", "{outcome:#}");
        outcome["value"].clone()
    }

    /// What comes of an expression: what it gives, or a text that begins with `threw: `.
    async fn attempt(&self, guild: &str, capabilities: &[&str], expression: &str) -> Value {
        let body = format!(
            "local ok, came = pcall(function() return {expression} end)\n\
             if ok then return came end return 'threw: ' .. tostring(came)"
        );
        self.run(guild, "attempt", capabilities, &body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_allowed_denied_checked_and_kept_to_its_guild() {
    let internet = Internet::start().await;
    let mut failed = Vec::new();
    for case in cases() {
        let Case { call, capability, right, gives, elsewhere, wrong, says } = case;
        let world = World::new(&internet).await;
        let mut expect = |what: &str, came: &Value, is_right: bool| {
            if !is_right {
                failed.push(format!("{call}, {what}: {came}"));
            }
        };
        let enough: Vec<&str> =
            [capability].into_iter().filter(|capability| !capability.is_empty()).collect();

        let came = world.attempt(GUILD, &enough, wrong).await;
        expect("with wrong arguments", &came, threw(&came, says));
        let came = world.attempt(OTHER, &["*"], right).await;
        let as_there = match elsewhere.strip_prefix('!') {
            Some(said) => threw(&came, said),
            None => came == world.run(OTHER, "attempt", &[], &format!("return {elsewhere}")).await,
        };
        expect("in another guild", &came, as_there);
        if !capability.is_empty() {
            let came = world.attempt(GUILD, &[], right).await;
            expect("without its capability", &came, threw(&came, &format!("capability `{capability}`")));
        }
        let came = world.attempt(GUILD, &enough, right).await;
        let wanted = world.run(GUILD, "attempt", &[], &format!("return {gives}")).await;
        expect("with its capability", &came, came == wanted);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn threw(came: &Value, says: &str) -> bool {
    came.as_str().is_some_and(|text| text.starts_with("threw: ") && text.contains(says))
}
