//! The program as a person starts it: what it prints, how it ends, and the commands of the documentation.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_template-worker");

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The program with `args`, in the repository's root.
fn program(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running `serve`, killed when the test is over.
pub(super) struct Service {
    pub(super) child: Child,
    /// What it printed until it was ready.
    banner: String,
    pub(super) url: String,
}

impl Service {
    pub(super) fn start(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).current_dir(root());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).env_remove("TEMPLATE_WORKER_ADMIN_TOKEN");
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        for line in lines.by_ref() {
            banner.push_str(&line.unwrap());
            banner.push('\n');
            if banner.contains("Ctrl-C stops the service") {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        let url = banner.split("listens on ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let url = url.unwrap_or_else(|| panic!("no address in {banner:?}")).to_owned();
        Self { child, banner, url }
    }

    pub(super) fn token(&self) -> String {
        let line =
            self.banner.lines().find_map(|line| line.trim().strip_prefix("export TEMPLATE_WORKER_TOKEN="));
        line.unwrap_or_else(|| panic!("no token in {}", self.banner)).to_owned()
    }

    pub(super) fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for the end, at most `within`.
    pub(super) fn wait(&mut self, within: Duration) -> Option<i32> {
        let by = Instant::now() + within;
        while Instant::now() < by {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("it still runs after {within:?}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_start_prints_commands_that_work_as_they_stand() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), |_| ());
    let commands: String = service
        .banner
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("curl"))
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    let script = format!("export TEMPLATE_WORKER_TOKEN={}\n{commands}", service.token());
    let output = Command::new("bash").arg("-ec").arg(&script).output().unwrap();
    let printed = text(&output.stdout);
    let last: Value = serde_json::from_str(printed.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {printed}\n{}", text(&output.stderr)));
    assert_eq!(last["results"]["ping"]["value"], "pong", "{printed}");
}

#[test]
fn a_restart_keeps_templates_limits_and_tokens_and_prints_no_new_token() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Service::start(data.path(), |_| ());
    let token = first.token();
    let path = "/api/v1/guilds/818880986845679757/templates/t";
    let client = testkit::client();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let body = json!({"files": {"init.luau": "return 1"}, "events": ["Discord"], "capabilities": []});
    let put = client.put(format!("{}{path}", first.url)).bearer_auth(&token).json(&body);
    assert_eq!(runtime.block_on(put.send()).unwrap().status(), 201);
    let limits = "/api/v1/guilds/818880986845679757/limits";
    let put = client.put(format!("{}{limits}", first.url)).bearer_auth(&token).json(&json!({"slice_ms": 1}));
    assert_eq!(runtime.block_on(put.send()).unwrap().status(), 200);
    // Not even a moment to tidy up: what was acknowledged is stored.
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = Service::start(data.path(), |_| ());
    assert!(!second.banner.contains("TEMPLATE_WORKER_TOKEN=tw_"), "{}", second.banner);
    let get = client.get(format!("{}{path}", second.url)).bearer_auth(&token);
    assert_eq!(runtime.block_on(get.send()).unwrap().status(), 200);
    let get = client.get(format!("{}{limits}", second.url)).bearer_auth(&token);
    let kept = runtime.block_on(async { get.send().await.unwrap().json::<Value>().await.unwrap() });
    assert_eq!((&kept["overrides"], &kept["effective"]["slice_ms"]), (&json!({"slice_ms": 1}), &json!(1)));
}

#[test]
fn a_termination_answers_what_was_accepted_and_exits_with_0() {
    let data = tempfile::tempdir().unwrap();
    let mut service = Service::start(data.path(), |command| {
        command.env("TEMPLATE_WORKER_SERVER__DRAIN_TIME_MS", "6000");
    });
    let (client, token, url) = (testkit::client(), service.token(), service.url.clone());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let guild = format!("{url}/api/v1/guilds/818880986845679757");
    for (name, source) in [("short", "task.wait(3) return 'done'"), ("endless", "task.wait(100)")] {
        let body = json!({"files": {"init.luau": source}, "events": ["Discord"], "capabilities": []});
        let put = client.put(format!("{guild}/templates/{name}")).bearer_auth(&token).json(&body);
        assert_eq!(runtime.block_on(put.send()).unwrap().status(), 201);
    }
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let body = json!({"name": "MESSAGE_CREATE", "data": {}});
            let post = client.post(format!("{guild}/events?wait=true")).bearer_auth(&token).json(&body);
            runtime.spawn(async move { post.send().await.unwrap().json::<Value>().await.unwrap() })
        })
        .collect();
    let status = || {
        let get = client.get(format!("{guild}/vm")).bearer_auth(&token);
        runtime.block_on(async { get.send().await.unwrap().json::<Value>().await.unwrap() })
    };
    for _ in 0..1_000 {
        if status()["in_flight"] == 16 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(status()["in_flight"], 16);
    service.terminate();
    for answer in waiting {
        let answer = runtime.block_on(answer).unwrap();
        assert_eq!(answer["results"]["short"]["value"], "done", "{answer:#}");
        let endless = &answer["results"]["endless"];
        assert_eq!(endless["status"], "vm_broken", "{answer:#}");
        assert!(endless["reason"].as_str().unwrap().contains("shutting down"), "{answer:#}");
    }
    assert_eq!(service.wait(Duration::from_secs(10)), Some(0));
}

#[test]
fn serve_says_what_to_do_when_it_cannot() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let in_use = program(&["serve", "--data", data.path().to_str().unwrap(), "--listen", &address]);
    assert_eq!(in_use.status.code(), Some(1));
    assert!(text(&in_use.stderr).contains("--listen"), "{}", text(&in_use.stderr));
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let no_folder = program(&["serve", "--data", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(no_folder.status.code(), Some(1), "{}", text(&no_folder.stderr));
    let typo = program(&["serv"]);
    assert_eq!(typo.status.code(), Some(2));
    assert!(text(&typo.stderr).contains("serve"), "{}", text(&typo.stderr));
}

#[test]
fn run_prints_outcome_and_log_and_its_exit_code_tells() {
    let ping = program(&["run", "examples/ping", "--event", "examples/ping/events/ping.json"]);
    assert_eq!(ping.status.code(), Some(0), "{}", text(&ping.stderr));
    assert!(text(&ping.stdout).contains("\"pong\""), "{}", text(&ping.stdout));

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("init.luau"), "print('to the log') error('on purpose')").unwrap();
    std::fs::write(at("template.toml"), "events = [\"MESSAGE_CREATE\"]\ncapabilities = []\n").unwrap();
    std::fs::write(at("event.json"), r#"{"name": "MESSAGE_CREATE", "data": {}}"#).unwrap();
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let failed = program(&["run", folder.path().to_str().unwrap(), "--event", &path("event.json")]);
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed.stderr));
    assert!(text(&failed.stdout).contains("init.luau:1: on purpose"), "{}", text(&failed.stdout));
    assert!(text(&failed.stderr).contains("to the log"), "{}", text(&failed.stderr));
    std::fs::write(at("init.luau"), "while true do end").unwrap();
    let spun = Command::new(PROGRAM)
        .args(["run", folder.path().to_str().unwrap(), "--event", &path("event.json"), "--json"])
        .env("TEMPLATE_WORKER_LIMITS__MAX_CPU_TIME_MS", "300")
        .output()
        .unwrap();
    assert_eq!(spun.status.code(), Some(3), "{}", text(&spun.stderr));
    assert!(text(&spun.stdout).contains("limit_exceeded"), "{}", text(&spun.stdout));
    let missing = program(&["run", "examples/ping", "--event", "no-such-file.json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("no-such-file.json"), "{}", text(&missing.stderr));
}

#[test]
fn check_finds_what_is_wrong_and_says_where() {
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            run_page(&format!("examples/{}/README.md", path.file_name().unwrap().to_str().unwrap()));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("init.luau", "local a = require('./a')\nlocal b = require('./missing')\nreturn 1");
    write("a.luau", "local = 1");
    write("template.toml", "events = [\"MESAGE_CREATE\"]\ncapabilities = [\"kv:gte:x\"]\n");
    let checked = program(&["check", folder.path().to_str().unwrap()]);
    let printed = text(&checked.stdout) + &text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{printed}");
    for want in ["a.luau:1", "init.luau:2", "missing", "MESSAGE_CREATE", "kv:get"] {
        assert!(printed.contains(want), "no {want} in:\n{printed}");
    }
}

#[test]
fn tokens_can_be_made_listed_and_revoked_while_the_service_runs() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path(), |_| ());
    let config = data.path().join("config.toml");
    std::fs::write(&config, format!("[storage]\ndata = {:?}\n", data.path())).unwrap();
    let token = |args: &[&str]| {
        let all = [&["--config", config.to_str().unwrap(), "token"], args].concat();
        let output = program(&all);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let made =
        token(&["create", "--name", "ci", "--guild", "818880986845679757", "--rights", "templates:read"]);
    let secret =
        made.split_whitespace().find(|word| word.starts_with("tw_")).unwrap_or_else(|| panic!("{made}"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = |secret: &str| {
        let url = format!("{}/api/v1/guilds/818880986845679757/templates", service.url);
        runtime.block_on(testkit::client().get(url).bearer_auth(secret).send()).unwrap().status().as_u16()
    };
    assert_eq!(status(secret), 200);
    let listed = token(&["list"]);
    let line = listed.lines().find(|line| line.contains("ci")).unwrap_or_else(|| panic!("{listed}"));
    let id = line.split_whitespace().find(|word| word.len() == 36).unwrap_or_else(|| panic!("{line}"));
    token(&["revoke", id]);
    assert_eq!(status(secret), 401);
}

#[test]
fn the_configuration_is_explained_and_a_typo_in_it_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[vm]\nthreads = 3\n").unwrap();
    let shown = program(&["config", "--config", file.to_str().unwrap()]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let explained = text(&shown.stdout);
    assert!(
        explained.parse::<toml::Table>().is_ok_and(|table| table["vm"]["threads"].as_integer() == Some(3)),
        "{explained}"
    );
    std::fs::write(&file, "[vm]\nthreds = 3\n").unwrap();
    let typo = program(&["config", "--config", file.to_str().unwrap()]);
    assert_eq!(typo.status.code(), Some(1));
    let said = text(&typo.stderr);
    assert!(said.contains("threds") && said.contains("threads") && said.contains("config.toml"), "{said}");
}

/// The `sh` blocks of a page, as one script. The commands are those that a reader types, with three differences: `cargo
/// run --release --` is the program that was built for this test, the port is a free one, and `scripts/test` (which
/// runs this test) is left out.
fn script(page: &Path) -> String {
    let text = std::fs::read_to_string(page).unwrap();
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            "scripts/test" => {}
            _ if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

/// Runs the commands of a page in a folder that looks like the repository.
fn run_page(page: &str) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["examples", "docs", "README.md"] {
        std::os::unix::fs::symlink(root().canonicalize().unwrap().join(name), folder.path().join(name))
            .unwrap();
    }
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let cargo = format!(
        "#!/usr/bin/env bash\ncase \"$*\" in\n\
         'run --release -- '*) shift 3;;\n'run --quiet --release -- '*) shift 4;;\n\
         *) echo \"unexpected: cargo $*\" >&2; exit 9;;\nesac\nexec {PROGRAM:?} \"$@\"\n"
    );
    for name in ["cargo", "template-worker"] {
        let direct = format!("#!/usr/bin/env bash\nexec {PROGRAM:?} \"$@\"\n");
        let path = bin.join(name);
        std::fs::write(&path, if name == "cargo" { &cargo } else { &direct }).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = script(&root().join(page)).replace("127.0.0.1:7700", &format!("127.0.0.1:{port}"));
    assert!(script.lines().count() > 0, "{page} has no commands");
    let path = format!("export PATH={:?}:\"$PATH\"", bin.display());
    let script =
        format!("set -euo pipefail\n{path}\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let mut child = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("TEMPLATE_WORKER_SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env_remove("TEMPLATE_WORKER_ADMIN_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut all = String::new();
        errors.read_to_string(&mut all).map(|_| all)
    });
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let status = child.wait().unwrap();
    let errors = errors.join().unwrap().unwrap_or_default();
    assert!(status.success(), "{page}: {status}\n{printed}\n{errors}\nthe script was:\n{script}");
}

#[test]
fn the_commands_of_the_authors_quick_start_work() {
    run_page("docs/quick-start-author.md");
}

#[test]
fn the_commands_of_the_operators_quick_start_work() {
    run_page("docs/quick-start-operator.md");
}

#[test]
fn the_commands_of_the_examples_pages_work() {
    for example in ["ping", "message-counter", "invite-filter", "join-raid", "mention-spam"] {
        run_page(&format!("examples/{example}/README.md"));
    }
}
