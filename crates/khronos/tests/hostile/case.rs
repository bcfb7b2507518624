//! What a case file says: the files of one hostile template, and what has to come of them.
//!
//! Owns the grammar of the heads, for everybody who runs the cases: the runtime's own runner, and the service's, which
//! includes this file. Knows no VM.
//!
//! A case is a `.luau` file. Its head is the lines at its top that start with `--! `, each `key: value`:
//!
//! | key | value | when it is missing |
//! | --- | --- | --- |
//! | `expect` | a verdict; several lines: any of them will do | an error |
//! | `limits` | some of `cpu=`, `wall=`, `non_yieldable=`, `slice=` (`ms` or `s`), `memory=` (`MiB`), `threads=` | see [`Limits`] |
//! | `slices` | the most that it may take | 20,000 |
//! | `repeat` | how often it runs in one VM, each time with that verdict | once |
//! | `logs` | a JSON string that some line of its log contains; several lines: all of them | its log is nobody's business |
//! | `needs` | `host`: `ctx.fetch` or `ctx.echo`; `clock`: that sleeps pass at once. Only the runtime's runner has them | it runs in both |
//!
//! A verdict is one of `returns <JSON>`, `error <JSON string that the message contains>`, `limit_exceeded <limit>`, and
//! `does not compile <JSON string that the message contains>`. What the VM is worth afterwards follows from it: see
//! [`Expected::breaks_the_vm`].
//!
//! The rest is `init.luau`. A line `--- file: lib/m.luau` starts another file. Sleeps pass at once.

use std::path::Path;
use std::time::Duration;

/// One case, read from its file.
#[derive(Debug)]
pub struct Case {
    /// Folder and name, such as `ends/spin`.
    pub name: String,
    /// Any of these may happen.
    pub expected: Vec<Expected>,
    /// What it may use.
    pub limits: Limits,
    /// The most slices that it may take, each time.
    pub slices: usize,
    /// How often it runs in one VM.
    pub repeat: usize,
    /// Texts that lines of its log contain.
    pub logs: Vec<String>,
    /// What only the runtime's runner has.
    pub needs: Vec<String>,
    /// Whether its limits are the default ones.
    pub has_usual_limits: bool,
    /// Paths and sources.
    pub files: Vec<(String, String)>,
}

/// A verdict, as a head writes it and as a runner saw it.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// It returned this.
    Returns(serde_json::Value),
    /// It threw a message that contains this.
    Error(String),
    /// It was ended by the limit of this name.
    LimitExceeded(String),
    /// It was refused before it ran, with a message that contains this.
    DoesNotCompile(String),
    /// The VM broke under it. Never what is expected.
    Broken(String),
}

impl Expected {
    /// Whether the VM is given up with this verdict. Where a script cannot be paused, an error gets it out, which may
    /// leave things half done; after a failed allocation nothing can be relied upon. Everything else ends one execution.
    pub fn breaks_the_vm(&self) -> bool {
        match self {
            Self::LimitExceeded(limit) => limit == "memory" || limit == "non_yieldable_time",
            Self::Broken(_) => true,
            _ => false,
        }
    }

    /// Whether `seen` is what this asks for.
    pub fn allows(&self, seen: &Self) -> bool {
        match (self, seen) {
            (Self::Error(part), Self::Error(text))
            | (Self::DoesNotCompile(part), Self::DoesNotCompile(text)) => text.contains(part),
            _ => self == seen,
        }
    }
}

/// What a case may use: little, so that the suite is quick.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// CPU time of an execution.
    pub cpu: Duration,
    /// Wall clock of an execution.
    pub wall: Duration,
    /// CPU time without a possible pause.
    pub non_yieldable: Duration,
    /// The length of a slice.
    pub slice: Duration,
    /// Bytes of the VM.
    pub memory: usize,
    /// Luau threads of the VM.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(200),
            wall: Duration::from_secs(600),
            non_yieldable: Duration::from_millis(100),
            slice: Duration::from_millis(2),
            memory: 20 << 20,
            threads: 1_000,
        }
    }
}

impl Case {
    /// Reads the case `name` in `folder`.
    pub fn read(folder: &Path, name: &str) -> Self {
        let path = folder.join(name).with_extension("luau");
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(name, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut case = Self {
            name: name.to_owned(),
            expected: Vec::new(),
            limits: Limits::default(),
            slices: 20_000,
            repeat: 1,
            logs: Vec::new(),
            needs: Vec::new(),
            has_usual_limits: true,
            files: Vec::new(),
        };
        for line in text.lines().map_while(|line| line.strip_prefix("--!")) {
            let (key, value) = line.split_once(':').ok_or("a line of the head is `--! key: value`")?;
            case.set(key.trim(), value.trim())?;
        }
        if case.expected.is_empty() {
            return Err("there is no `--! expect:` line".to_owned());
        }
        // Whole, with its head: line numbers are those of the case file.
        let mut file = ("init.luau".to_owned(), String::new());
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("--- file:") {
                case.files.push(std::mem::replace(&mut file, (path.trim().to_owned(), String::new())));
            } else {
                file.1.push_str(line);
                file.1.push('\n');
            }
        }
        case.files.push(file);
        Ok(case)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let wrong = |what: &str| format!("`{value}` is no {what}");
        match key {
            "expect" => self.expected.push(verdict(value)?),
            "limits" => {
                self.has_usual_limits = false;
                value.split_whitespace().try_for_each(|limit| self.limits.set(limit))?;
            }
            "slices" => self.slices = value.parse().map_err(|_| wrong("number of slices"))?,
            "repeat" => self.repeat = value.parse().map_err(|_| wrong("number of repetitions"))?,
            "logs" => self.logs.push(quoted(value)?),
            "needs" if matches!(value, "host" | "clock") => self.needs.push(value.to_owned()),
            _ => return Err(format!("unknown: `{key}: {value}`")),
        }
        Ok(())
    }
}

impl Limits {
    fn set(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no limit");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let time = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            _ => None,
        };
        let count = usize::try_from(number).map_err(|_| wrong())?;
        match (key, time, unit) {
            ("cpu", Some(time), _) => self.cpu = time,
            ("wall", Some(time), _) => self.wall = time,
            ("non_yieldable", Some(time), _) => self.non_yieldable = time,
            ("slice", Some(time), _) => self.slice = time,
            ("memory", _, "MiB") => self.memory = count << 20,
            ("threads", _, "") => self.threads = count,
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

fn verdict(text: &str) -> Result<Expected, String> {
    const LIMITS: [&str; 4] = ["cpu_time", "wall_clock", "non_yieldable_time", "memory"];
    if let Some(json) = text.strip_prefix("returns ") {
        return serde_json::from_str(json).map(Expected::Returns).map_err(|error| format!("{json}: {error}"));
    }
    if let Some(part) = text.strip_prefix("error ") {
        return quoted(part).map(Expected::Error);
    }
    if let Some(part) = text.strip_prefix("does not compile ") {
        return quoted(part).map(Expected::DoesNotCompile);
    }
    match text.strip_prefix("limit_exceeded ") {
        Some(limit) if LIMITS.contains(&limit) => Ok(Expected::LimitExceeded(limit.to_owned())),
        _ => Err(format!("`{text}` is no verdict")),
    }
}

fn quoted(text: &str) -> Result<String, String> {
    serde_json::from_str(text).map_err(|_| format!("`{text}` is no text in quotes"))
}

/// All case files below `folder`, by folder and name, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for below in
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for file in std::fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(folder).unwrap().with_extension("");
            names.push(name.to_str().unwrap().replace('\\', "/"));
        }
    }
    names.sort();
    names
}

#[test]
fn a_head_that_nobody_understands_is_an_error() {
    for (text, want) in [
        ("return 1", "no `--! expect:` line"),
        ("--! expect: returns 1\n--! expct: 1", "unknown: `expct: 1`"),
        ("--! expect: dies", "`dies` is no verdict"),
        ("--! expect: limit_exceeded patience", "is no verdict"),
        ("--! expect: error oops", "no text in quotes"),
        ("--! limits: cpu=5MiB", "`cpu=5MiB` is no limit"),
        ("--! expect", "`--! key: value`"),
    ] {
        let error = Case::parse("x", text).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn a_case_may_have_several_files_and_several_verdicts() {
    let text = "--! expect: returns [1]\n--! expect: error \"x\"\n--! limits: cpu=5ms memory=2MiB\nreturn 1\n--- file: a.luau\nreturn 2\n";
    let case = Case::parse("x", text).unwrap();
    assert_eq!(case.expected.len(), 2);
    assert_eq!((case.limits.cpu, case.limits.memory), (Duration::from_millis(5), 2 << 20));
    let paths: Vec<_> = case.files.iter().map(|(path, source)| (&**path, source.lines().count())).collect();
    assert_eq!(paths, [("init.luau", 4), ("a.luau", 1)]);
    assert!(case.expected[1].allows(&Expected::Error("an x".to_owned())));
    assert!(!case.expected[0].allows(&Expected::Returns(serde_json::json!(1))));
}
