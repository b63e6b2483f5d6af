//! The configuration: any text is either a configuration or a list of problems an operator can act on.
//!
//! Invariant: a problem names a line and column of the text (or the place right behind it), a key, what is wrong and
//! what to write instead, and is one line; a configuration's effective form is a configuration again.

use control::config::{Host, effective_yaml, parse_for};

/// A text, right or wrong.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse_for("fuzz.yaml", &text, &Host::unknown()) {
        Ok(loaded) => {
            let effective = effective_yaml(&loaded);
            if let Err(problems) = parse_for("effective.yaml", &effective, &Host::unknown()) {
                panic!("the effective form is refused:\n{problems}\n{effective}");
            }
            loaded.warnings.iter().for_each(|problem| check(&text, problem));
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused for no reason");
            problems.0.iter().for_each(|problem| check(&text, problem));
        }
    }
}

fn check(text: &str, problem: &control::config::Problem) {
    // YAML ends lines at carriage returns, too.
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    let shown = problem.to_string();
    assert!((1..=lines + 1).contains(&problem.line), "line {} of {lines}: {shown}", problem.line);
    assert!((1..=text.chars().count() + 1).contains(&problem.column), "column {}: {shown}", problem.column);
    assert!(!problem.path.is_empty() && !problem.what.is_empty() && !problem.instead.is_empty(), "{shown}");
    assert!(!shown.contains(['\n', '\r']), "more than one line: {shown:?}");
}
