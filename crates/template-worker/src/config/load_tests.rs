//! Claims about reading the configuration.

use std::path::PathBuf;

use super::*;
use crate::config::{LogFormat, Strategy};

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn from_file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Sources { file: Some(path), ..Sources::default() })
}

fn error_of(sources: Sources) -> String {
    Config::load(sources).map(|loaded| loaded.config).unwrap_err().to_string()
}

#[test]
fn without_any_source_the_defaults_hold() {
    let loaded = Config::load(Sources::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.origin("vm.threads"), &Origin::Default);
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let (_folder, mut sources) =
        from_file("[vm]\nthreads = 1\nqueue = 2\n[log]\nformat = \"json\"\nlevel = \"warn\"");
    let path = sources.file.clone().unwrap();
    sources.environment = environment(&[
        ("TEMPLATE_WORKER_VM__THREADS", "3"),
        ("TEMPLATE_WORKER_LOG__LEVEL", "debug"),
        ("TEMPLATE_WORKER_DRILLS__ENABLED", "true"),
        ("TEMPLATE_WORKER_ADMIN_TOKEN", "no key at all"),
    ]);
    sources.flags = vec![("vm.threads".into(), "5".into()), ("server.listen".into(), "[::1]:80".into())];
    let loaded = Config::load(sources).unwrap();
    assert_eq!((loaded.config.vm.threads, loaded.config.vm.queue), (5, 2));
    assert_eq!(loaded.config.vm.strategy, Strategy::ThreadPool);
    assert_eq!((loaded.config.log.level.as_str(), loaded.config.log.format), ("debug", LogFormat::Json));
    assert!(loaded.config.drills.enabled);
    assert_eq!(loaded.config.server.listen, "[::1]:80".parse().unwrap());
    assert_eq!(loaded.origin("vm.threads"), &Origin::CommandLine);
    assert_eq!(loaded.origin("vm.queue"), &Origin::File(path));
    assert_eq!(loaded.origin("log.level"), &Origin::Environment("TEMPLATE_WORKER_LOG__LEVEL".into()));
    assert_eq!(loaded.origin("limits.slice_ms"), &Origin::Default);
}

#[test]
fn a_typo_in_a_config_key_is_an_error_that_names_the_key_its_origin_and_the_nearest_known_one() {
    let (_folder, sources) = from_file("[vm]\nthreds = 4");
    let path = sources.file.clone().unwrap();
    let text = error_of(sources);
    let wanted = format!("`vm.threds` (file {}); did you mean `vm.threads`?", path.display());
    assert!(text.ends_with(&wanted), "{text}");

    let text = error_of(Sources {
        environment: environment(&[("TEMPLATE_WORKER_VM_THREADS", "4")]),
        ..Sources::default()
    });
    assert!(text.contains("environment variable TEMPLATE_WORKER_VM_THREADS"), "{text}");
    assert!(text.ends_with("did you mean `TEMPLATE_WORKER_VM__THREADS`?"), "{text}");

    let text =
        error_of(Sources { flags: vec![("limits.max_cpu_time".into(), "4".into())], ..Sources::default() });
    assert!(text.contains("(command line)") && text.contains("`limits.max_cpu_time_ms`"), "{text}");
}

#[test]
fn a_key_in_the_wrong_section_a_misspelt_section_and_a_deeper_table_are_errors() {
    for (file, wanted) in [
        ("[server]\nthreads = 4", "did you mean `vm.threads`?"),
        ("[servr]\nlisten = \"127.0.0.1:1\"", "did you mean `server.listen`?"),
        ("[servr]", "there is no key `servr`"),
        ("[vm.threads]\nx = 1", "there is no key `vm.threads.x`"),
        ("vm = 1", "`vm` (file"),
    ] {
        let (_folder, sources) = from_file(file);
        let text = error_of(sources);
        assert!(text.contains(wanted), "{file:?} gave {text}");
    }
}

#[test]
fn a_bad_value_is_an_error_that_names_the_key_its_origin_and_the_default() {
    for (key, value, wanted) in [
        (
            "vm.threads",
            "many",
            "`vm.threads` (command line): expected a whole number that is not negative, found the text \"many\"",
        ),
        ("vm.threads", "-1", "`vm.threads` (command line)"),
        ("vm.strategy", "thread-poll", "`process-pool`; did you mean `thread-pool`?"),
        ("server.listen", "localhost", "(the default is \"127.0.0.1:7700\")"),
        (
            "server.listen",
            "7747",
            "`server.listen` (command line): expected an IP address and a port, such as",
        ),
        ("http.ports", "80", "`http.ports` (command line): expected a list in brackets, which only the file"),
        ("drills.enabled", "yes", "(the default is false)"),
        ("limits.slice_ms", "0", "`limits.slice_ms` (command line): is 0: use a value from 1 to 1000"),
        ("log.level", "inof", "`log.level` (command line)"),
    ] {
        let text = error_of(Sources { flags: vec![(key.into(), value.into())], ..Sources::default() });
        assert!(text.contains(wanted), "{key} = {value} gave {text}");
    }
}

#[test]
fn a_text_that_looks_like_a_number_stays_text_where_the_key_holds_text() {
    let flags = vec![("storage.data".to_owned(), "123".to_owned())];
    let loaded = Config::load(Sources { flags, ..Sources::default() }).unwrap();
    assert_eq!(loaded.config.storage.data, PathBuf::from("123"));
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_an_error_that_names_it() {
    let text = error_of(Sources { file: Some("no/such.toml".into()), ..Sources::default() });
    assert_eq!(text, "failed to read the configuration file no/such.toml");
    let (_folder, sources) = from_file("[vm\nthreads");
    let error = Config::load(sources).map(|loaded| loaded.config).unwrap_err();
    assert!(matches!(error, ConfigError::NotToml { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("line 1"), "{error:?}");
}

#[test]
fn a_bad_item_of_a_list_is_an_error_of_the_list_with_its_origin_its_place_and_its_default() {
    for (section, list, wanted) in [
        ("vm", "guilds_apart = [818880986845679757]", "item 1 of the list: expected a text in quotes, found"),
        ("vm", "guilds_apart = [\"12\", \"me\"]", "item 2 of the list: `me` is not a guild id"),
        ("http", "ports = [80, \"443\"]", "item 2 of the list: expected a whole number that is not negative"),
        ("http", "ports = [80, -1]", "found the number -1 (the default is [80, 443])"),
        ("http", "opened_networks = [\"10.0.0.0\"]", "item 1 of the list: `10.0.0.0` is not a network"),
        ("http", "fixed_names = [\"a\"]", "item 1 of the list: `a` is not a name with its address"),
        ("http", "denied_hosts = [1]", "(the default is a list of 20)"),
        ("templates", "capabilities = [\"kvv:get:*\"]", "(the default is [\"*\"])"),
    ] {
        let (_folder, sources) = from_file(&format!("[{section}]\n{list}"));
        let path = sources.file.clone().unwrap();
        let text = error_of(sources);
        let key = list.split(' ').next().unwrap();
        let start =
            format!("failed to read the configuration: `{section}.{key}` (file {}): ", path.display());
        assert!(text.starts_with(&start) && text.contains(wanted), "{list} gave {text}");
    }
}
