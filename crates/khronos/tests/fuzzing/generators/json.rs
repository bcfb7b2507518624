//! Texts that are JSON, nearly JSON, and no JSON at all.

use crate::choices::Choices;
use crate::generators::grammar::{Rule, expand};

const RULES: [Rule<'static>; 3] = [
    Rule {
        hole: 'v',
        templates: &[
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-0.0",
            "1e5",
            "1E-5",
            "9007199254740993",
            "18446744073709551616",
            "-9223372036854775808",
            "1e308",
            "1e309",
            "0.1",
            "$s",
            "$s",
            "$s",
            "[]",
            "{}",
            "[$v]",
            "[$v, $v, $v]",
            "[$v,$v,$v,$v,$v,$v,$v]",
            "{$s: $v}",
            "{$s: $v, $s: $v}",
            "{\"a\": $v, \"b\": $v, \"a\": $v}",
            "[[[[$v]]]]",
            "{\"x\":{\"x\":$v}}",
            // What is no JSON.
            "",
            "nul",
            "01",
            "+1",
            "1.",
            ".5",
            "NaN",
            "[$v,]",
            "{$v: $v}",
            "[$v",
            "$v]",
            "{$s: $v,}",
            "$v $v",
            "'a'",
        ],
    },
    Rule { hole: 's', templates: &["\"\"", "\"a\"", "\"1\"", "\"$c\"", "\"$c$c$c\""] },
    Rule {
        hole: 'c',
        templates: &[
            "x",
            "ä",
            "😀",
            "\\n",
            "\\\"",
            "\\\\",
            "\\u0000",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\ud83d",
            "\\udc00",
            "\\x",
            "\n",
            "\u{7f}",
        ],
    },
];

/// A text from the grammar, or the bytes as they are.
pub fn json(choices: &mut Choices) -> String {
    match choices.below(4) {
        0 => String::from_utf8_lossy(choices.rest()).into_owned(),
        1 => {
            let depth = choices.below(200);
            format!("{}{}{}", "[".repeat(depth), expand(&RULES, "$v", choices), "]".repeat(depth))
        }
        _ => expand(&RULES, "$v", choices),
    }
}
