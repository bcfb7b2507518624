//! What `require` strings mean inside a bundle. Pure functions over paths: never the file system, and nothing
//! outside the bundle can be named.
//!
//! Owns resolution and `.luaurc` aliases. Loading, caching and waiting for a module that another Luau thread loads
//! are in `prelude.luau`, because they have to be able to pause.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::error::CompileError;
use crate::library;

const CONFIG: &str = ".luaurc";
/// Most bytes in a request: enough for the longest path of a file, and ways around it.
const MAX_REQUEST_BYTES: usize = 1_000;
const EXTENSIONS: [&str; 4] = [".luau", ".lua", "/init.luau", "/init.lua"];

/// Whether a file of a bundle is a module (and not data or configuration).
pub(crate) fn is_module(path: &str) -> bool {
    path.ends_with(".luau") || path.ends_with(".lua")
}

/// The aliases of all `.luaurc` files of a bundle: folder (without a trailing slash) to alias to target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aliases(BTreeMap<String, BTreeMap<String, String>>);

#[derive(Deserialize)]
struct LuauRc {
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

impl Aliases {
    pub(crate) fn of(bundle: &Bundle) -> Result<Self, CompileError> {
        let mut all = BTreeMap::new();
        for (path, source) in bundle.files() {
            let folder = match path.strip_suffix(CONFIG) {
                Some("") => String::new(),
                Some(folder) if folder.ends_with('/') => folder.trim_end_matches('/').to_owned(),
                _ => continue,
            };
            let config: LuauRc = serde_json::from_str(&source.text).map_err(|error| CompileError {
                file: path.to_owned(),
                line: u32::try_from(error.line()).unwrap_or(1),
                message: format!("not a .luaurc file in JSON: {error}"),
            })?;
            let aliases =
                config.aliases.into_iter().map(|(name, to)| (name.to_ascii_lowercase(), to)).collect();
            all.insert(folder, aliases);
        }
        Ok(Self(all))
    }

    /// The target of `alias` as seen from `folder`: the nearest `.luaurc` upwards that knows it wins.
    fn find(&self, folder: &str, alias: &str) -> Option<(&str, &str)> {
        let mut at = Some(folder);
        while let Some(folder) = at {
            if let Some((known, aliases)) = self.0.get_key_value(folder)
                && let Some(target) = aliases.get(&alias.to_ascii_lowercase())
            {
                return Some((known, target));
            }
            at = if folder.is_empty() { None } else { Some(parent(folder)) };
        }
        None
    }
}

/// The path of the module that `request` names in the file `from`.
///
/// `./` and `../` start at the folder of `from`; for an `init.luau` that stands for its folder, they start beside
/// that folder, as in Luau's own rules, except at the top of the bundle, where there is nothing beside. `@self/` is
/// the folder of an `init.luau`. The modules of `library` come first: no `.luaurc` can put something else in their place.
pub(crate) fn resolve(
    exists: &dyn Fn(&str) -> bool,
    aliases: &Aliases,
    from: &str,
    request: &str,
) -> Result<String, String> {
    if request.len() > MAX_REQUEST_BYTES {
        return Err(format!(
            "cannot require \"{}..\": it has more than {MAX_REQUEST_BYTES} bytes",
            cut(request)
        ));
    }
    if let Some(module) = library::resolve(request) {
        return module.map(str::to_owned);
    }
    let folder = parent(from);
    let is_init = matches!(from.rsplit('/').next(), Some("init.luau" | "init.lua"));
    let beside = if is_init && !folder.is_empty() { parent(folder) } else { folder };

    let target = if let Some(rest) = request.strip_prefix('@') {
        let (alias, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if alias == "self" {
            join(folder, rest, request)?
        } else if let Some((at, to)) = aliases.find(folder, alias) {
            join(&join(at, to, request)?, rest, request)?
        } else {
            return Err(format!(
                "cannot require \"{}\": no `.luaurc` of this template defines the alias `@{}`",
                cut(request),
                cut(alias)
            ));
        }
    } else if request.starts_with("./") || request.starts_with("../") {
        join(beside, request, request)?
    } else {
        return Err(format!(
            "cannot require \"{}\": a path starts with `./`, `../` or `@`; for a file beside this one write \"./{}\"",
            cut(request),
            cut(request.trim_start_matches('/'))
        ));
    };

    let candidates: Vec<String> = EXTENSIONS
        .iter()
        .map(|extension| format!("{target}{extension}"))
        .filter(|path| exists(path))
        .collect();
    match candidates.as_slice() {
        [one] => Ok(one.trim_start_matches('/').to_owned()),
        [] if exists(&target) => {
            Err(format!("cannot require \"{}\": leave out the file's extension", cut(request)))
        }
        [] => Err(format!(
            "cannot require \"{}\": there is no `{}.luau` in this template",
            cut(request),
            cut(&target)
        )),
        [one, two, ..] => Err(format!(
            "cannot require \"{}\": it could be `{one}` or `{two}`; rename one of them",
            cut(request)
        )),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, relative: &str, request: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Err(format!("cannot require \"{}\": it leads out of the template", cut(request)));
                }
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(files: &[&str], from: &str, request: &str) -> Result<String, String> {
        let bundle = Bundle::new(files.iter().map(|path| {
            let text = if path.ends_with(CONFIG) { r#"{"aliases": {"Lib": "./lib"}}"# } else { "" };
            ((*path).to_owned(), text.to_owned())
        }));
        let aliases = Aliases::of(&bundle.unwrap()).unwrap();
        resolve(&|path| files.contains(&path), &aliases, from, request)
    }

    const FILES: [&str; 8] = [
        "init.luau",
        "a.luau",
        "lib/init.luau",
        "lib/b.lua",
        "lib/deep/c.luau",
        "two.luau",
        "two/init.lua",
        ".luaurc",
    ];

    #[test]
    fn relative_paths_start_at_the_requiring_file() {
        for (from, request, want) in [
            ("init.luau", "./a", "a.luau"),
            ("init.luau", "@self/a", "a.luau"),
            ("init.luau", "./lib", "lib/init.luau"),
            ("init.luau", "./lib/b", "lib/b.lua"),
            ("lib/b.lua", "../a", "a.luau"),
            ("lib/b.lua", "./deep/c", "lib/deep/c.luau"),
            ("lib/init.luau", "./a", "a.luau"),
            ("lib/init.luau", "@self/b", "lib/b.lua"),
            ("lib/deep/c.luau", "@lib/b", "lib/b.lua"),
            ("init.luau", "@LIB", "lib/init.luau"),
        ] {
            assert_eq!(at(&FILES, from, request).as_deref(), Ok(want), "{request} from {from}");
        }
    }

    #[test]
    fn a_request_that_means_nothing_says_what_to_write() {
        for (request, want) in [
            ("a", "write \"./a\""),
            ("./nothing", "there is no `nothing.luau`"),
            ("../a", "leads out of the template"),
            ("./a.luau", "leave out the file's extension"),
            ("./two", "`two.luau` or `two/init.lua`"),
            ("@unknown/x", "defines the alias `@unknown`"),
            ("/etc/passwd", "write \"./etc/passwd\""),
        ] {
            let got = at(&FILES, "init.luau", request).unwrap_err();
            assert!(got.contains(want), "{request}: {got}");
        }
    }

    #[test]
    fn a_request_of_megabytes_is_refused_in_few_words() {
        let got = at(&FILES, "init.luau", &format!("./{}", "a/".repeat(1 << 20))).unwrap_err();
        assert!(got.contains("more than 1000 bytes") && got.len() < 300, "{got}");
        let rc = format!(r#"{{"aliases": {{"far": "{}"}}}}"#, "a/".repeat(100_000));
        let bundle = Bundle::new(
            [("init.luau", String::new()), (".luaurc", rc)].map(|(path, text)| (path.to_owned(), text)),
        );
        let got =
            resolve(&|_| false, &Aliases::of(&bundle.unwrap()).unwrap(), "init.luau", "@far").unwrap_err();
        assert!(got.contains("there is no `a/a/") && got.len() < 300, "{got}");
    }
}
