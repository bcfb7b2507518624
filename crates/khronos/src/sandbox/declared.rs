//! The globals that a script finds beside Luau's own library, as they are declared. What they do is in `prelude.luau`.

use crate::declare::{Function, Parameter, parameter};

const ANYTHING: Parameter = parameter("...", "any", "Anything.");
const SECONDS: Parameter = parameter(
    "seconds",
    "number",
    "How long, a fraction too; at least a millisecond. NaN and what is negative count as 0.",
);
const TARGET: Parameter = parameter(
    "target",
    "thread | (...any) -> ...any",
    "A function, which gets a thread of its own, or a thread that waits.",
);
const ARGUMENTS: Parameter = parameter("...", "any", "What it gets.");

/// The global functions that write to the template's log.
pub const GLOBALS: &[Function] = &[
    Function {
        name: "print",
        doc: "Writes a line to the template's log, of the level `info`: the arguments as `tostring` shows them, with tabs between.",
        parameters: &[ANYTHING],
        returns: "()",
    },
    Function { name: "warn", doc: "The same, of the level `warn`.", parameters: &[ANYTHING], returns: "()" },
];

/// The functions of `task`.
pub const TASK: &[Function] = &[
    Function {
        name: "spawn",
        doc: "Runs something in a thread of its own at once, until it waits or ends, and then goes on.",
        parameters: &[TARGET, ARGUMENTS],
        returns: "thread",
    },
    Function {
        name: "defer",
        doc: "Runs something in a thread of its own, when all that is ready has run.",
        parameters: &[TARGET, ARGUMENTS],
        returns: "thread",
    },
    Function {
        name: "delay",
        doc: "Runs something in a thread of its own after a time.",
        parameters: &[SECONDS, TARGET, ARGUMENTS],
        returns: "thread",
    },
    Function {
        name: "wait",
        doc: "Waits, and returns how many seconds it has been. Waiting costs nothing but time. A thread that is resumed with values \
              before its time returns those instead, and its wait is over: nothing wakes it again later.",
        parameters: &[parameter("seconds", "number?", "How long; as short as can be where it is left out.")],
        returns: "number",
    },
    Function {
        name: "cancel",
        doc: "Ends a thread that waits, or will run later. It never goes on.",
        parameters: &[parameter(
            "thread",
            "thread",
            "What `spawn`, `defer` or `delay` returned, or a coroutine.",
        )],
        returns: "()",
    },
    Function {
        name: "synchronize",
        doc: "Does nothing: all templates of a guild run on one thread.",
        parameters: &[],
        returns: "()",
    },
    Function {
        name: "desynchronize",
        doc: "Does nothing, as `synchronize`.",
        parameters: &[],
        returns: "()",
    },
];
