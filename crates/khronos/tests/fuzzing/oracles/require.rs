//! A request leads to one module of its own bundle, the one that a simple reading of the rules finds, or to an error.

use std::collections::{BTreeMap, BTreeSet};

use khronos::{Bundle, BytecodeCache, ExecutionLimits, KhronosValue, Program, RuntimeLimits};

use crate::choices::Choices;
use crate::generators::bundle;
use crate::vm::Vm;

/// Asks for everything that the event lists, and has what it got ask for everything again.
const ENTRY: &str = r#"
    local event, ctx = ...
    for _, request in event do
        local ok, module = pcall(require, request)
        ctx.fetch({request, "init.luau", if ok then module.path else nil})
        for _, again in event do
            if ok then
                local ok, inner = pcall(module.ask, again)
                ctx.fetch({again, module.path, if ok then inner.path else nil})
            end
        end
    end
"#;
/// Bytes of an error's text, whatever was asked for.
const MOST_TEXT: usize = 600;

type Aliases = BTreeMap<String, BTreeMap<String, String>>;

pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut files = BTreeMap::from([("init.luau".to_owned(), ENTRY.to_owned())]);
    for path in bundle::paths(&mut choices) {
        let text = if path.ends_with(".luaurc") {
            bundle::config(&mut choices)
        } else {
            format!("return {{ path = {path:?}, ask = function(request) return require(request) end }}")
        };
        files.entry(path).or_insert(text);
    }
    let Ok(bundle) = Bundle::new(files.clone()) else {
        let is_odd = |path: &String| path.split('/').any(|part| ["", ".", ".."].contains(&part));
        assert!(files.keys().any(is_odd), "refused: {files:?}");
        return;
    };
    let Some(aliases) = aliases(&files) else {
        assert!(BytecodeCache::default().compile(&bundle).is_err(), "compiled: {files:?}");
        return;
    };
    let program = BytecodeCache::default().compile(&bundle).unwrap();
    let modules: BTreeSet<&str> = program.modules().collect();
    let requests: Vec<String> = (0..=choices.below(4)).map(|_| bundle::request(&mut choices)).collect();
    for from in &modules {
        for request in &requests {
            let got = program.resolve(from, request);
            let want = model(&modules, &aliases, from, request);
            assert_eq!(got.clone().ok(), want, "{request:?} from {from:?} in {files:?}: {got:?}");
            assert!(got.is_ok() || got.as_ref().is_err_and(|text| text.len() <= MOST_TEXT), "{got:?}");
        }
    }
    ask(&program, &requests);
}

/// In a VM, each request gets what `resolve` says, seen from the file that asks.
fn ask(program: &Program, requests: &[String]) {
    let vm = Vm::new(RuntimeLimits::default()).unwrap();
    let isolate = vm.runtime.create_isolate("test", program.clone()).unwrap();
    let event = vm.runtime.create_value(&KhronosValue::from(requests.to_vec())).unwrap();
    let ctx = vm.ctx().unwrap();
    vm.start(isolate, &event, &ctx, ExecutionLimits::default()).unwrap();
    vm.run();
    assert!(vm.fetched.borrow().len() >= requests.len(), "{:?}", vm.completions);
    for fetched in &*vm.fetched.borrow() {
        let KhronosValue::List(parts) = fetched else { panic!("{fetched:?} was handed over") };
        let (request, from, got) = match &**parts {
            [KhronosValue::Text(request), KhronosValue::Text(from)] => (request, from, None),
            [KhronosValue::Text(request), KhronosValue::Text(from), KhronosValue::Text(got)] => {
                (request, from, Some(got))
            }
            other => panic!("{other:?} was handed over"),
        };
        // The entry is being loaded by the code that would require it.
        let want = program.resolve(from, request).ok().filter(|path| path != program.entry());
        assert_eq!(got, want.as_ref(), "{request:?} from {from:?}");
    }
    vm.close();
}

fn model(modules: &BTreeSet<&str>, aliases: &Aliases, from: &str, request: &str) -> Option<String> {
    if request.len() > 1_000 {
        return None;
    }
    let mut at: Vec<&str> = from.split('/').collect();
    let file = at.pop()?;
    let mut walks = Vec::new();
    if let Some(request) = request.strip_prefix('@') {
        let (alias, rest) = request.split_once('/').unwrap_or((request, ""));
        if alias != "self" {
            let alias = alias.to_ascii_lowercase();
            let target = loop {
                match aliases.get(&at.join("/")).and_then(|known| known.get(&alias)) {
                    Some(target) => break target,
                    None => at.pop()?,
                };
            };
            walks.push(target.as_str());
        }
        walks.push(rest);
    } else if request.starts_with("./") || request.starts_with("../") {
        if file == "init.luau" || file == "init.lua" {
            at.pop();
        }
        walks.push(request);
    } else {
        return None;
    }
    for part in walks.iter().flat_map(|walk| walk.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(at.pop()?),
            part => at.push(part),
        }
    }
    let target = at.join("/");
    let found: Vec<String> = [".luau", ".lua", "/init.luau", "/init.lua"]
        .iter()
        .map(|end| format!("{target}{end}"))
        .filter(|path| modules.contains(path.as_str()))
        .collect();
    match &*found {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// Folder to alias to target, if all configurations can be understood.
fn aliases(files: &BTreeMap<String, String>) -> Option<Aliases> {
    let configs = files.iter().filter_map(|(path, text)| match path.strip_suffix(".luaurc")? {
        "" => Some((String::new(), text)),
        folder => Some((folder.strip_suffix('/')?.to_owned(), text)),
    });
    let read = |text: &String| -> Option<BTreeMap<String, String>> {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        let aliases = json.as_object()?.get("aliases").cloned().unwrap_or_else(|| serde_json::json!({}));
        let aliases: BTreeMap<String, String> = serde_json::from_value(aliases).ok()?;
        Some(aliases.into_iter().map(|(alias, target)| (alias.to_ascii_lowercase(), target)).collect())
    };
    configs.map(|(folder, text)| Some((folder, read(text)?))).collect()
}
