//! Luau text from templates with holes.
//!
//! `$e` in a template is a hole that one of the templates of the rule `e` fills, holes of its own included. Deep inside,
//! only templates without holes are taken, where a rule has any; so the first template of a rule must not lead back
//! to the rule itself.

use crate::choices::Choices;

/// A letter, and what may stand in its place. When the choices are used up, the first template does.
#[derive(Clone, Copy)]
pub struct Rule<'a> {
    pub hole: char,
    pub templates: &'a [&'a str],
}

/// How deep holes are filled inside each other.
const MOST_DEPTH: usize = 9;
/// Bytes of text after which a text comes to its end.
const MOST_TEXT: usize = 12 << 10;

/// Fills the holes of `template` by `rules`.
pub fn expand(rules: &[Rule], template: &str, choices: &mut Choices) -> String {
    let mut text = String::new();
    fill(rules, template, choices, 0, &mut text);
    text
}

fn fill(rules: &[Rule], template: &str, choices: &mut Choices, depth: usize, text: &mut String) {
    let mut parts = template.split('$');
    text.extend(parts.next());
    for part in parts {
        let mut rest = part.chars();
        let hole = rest.next();
        let rule = rules.iter().find(|rule| Some(rule.hole) == hole);
        let rule = rule.unwrap_or_else(|| panic!("no rule for a hole of `{template}`"));
        let template = if choices.is_over() {
            rule.templates[0]
        } else if depth < MOST_DEPTH && text.len() < MOST_TEXT {
            choices.pick(rule.templates)
        } else {
            let flat: Vec<&str> = rule.templates.iter().copied().filter(|text| !text.contains('$')).collect();
            if flat.is_empty() { rule.templates[0] } else { choices.pick(&flat) }
        };
        fill(rules, template, choices, depth + 1, text);
        text.push_str(rest.as_str());
    }
}
