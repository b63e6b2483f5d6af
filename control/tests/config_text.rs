//! Texts that are hardly configurations at all: each gets a clear error at its place, none a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

use control::config::{Problem, load, parse};

const REFERENCE: &str = include_str!("../../conf/reference.yaml");

fn only_problem(text: &str) -> Problem {
    let mut problems = parse("x.yaml", text).expect_err("the text must be refused").0;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn texts_that_are_not_a_configuration() {
    // (text, line, column, what, instead)
    let deep = format!("a: {}", "[".repeat(40));
    let cases = [
        ("", 1, 1, "empty", "quickstart"),
        ("\n\n# nothing\n", 1, 1, "empty", "quickstart"),
        ("~", 1, 1, "empty", "quickstart"),
        ("just words", 1, 1, "must be a mapping", "workers"),
        ("- a\n- b", 1, 1, "must be a mapping", "workers"),
        ("workers: [1\nports: 5", 2, 6, "not YAML", "bracket"),
        ("workers: [1]\nlog: \"abc", 2, 6, "not YAML", "quote"),
        ("workers:\n\t- 1", 2, 1, "a tab is used for indentation", "spaces"),
        ("eal:\n  memory_mb: 512\n \tlog_level: info", 3, 2, "a tab is used for indentation", "spaces"),
        ("workers: &w [1]", 1, 10, "anchors and aliases", "in full"),
        ("workers: *w", 1, 10, "anchors and aliases", "in full"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", 1, 4, "anchors and aliases", "in full"),
        ("workers: !!seq [1]", 1, 10, "tags", "remove the tag"),
        ("workers: [1]\n---\nworkers: [2]", 2, 1, "a second document", "one document"),
        ("[a]: 1", 1, 1, "a key must be a word", "key: value"),
        ("workers: [1] # \u{7}", 1, 16, "control character", "escape"),
        (&deep, 1, 35, "nested deeper than 32", "close the brackets"),
    ];
    for (text, line, column, what, instead) in cases {
        let problem = only_problem(text);
        assert_eq!((problem.line, problem.column), (line, column), "{text:?}: {problem}");
        assert!(problem.what.contains(what), "{text:?}: {problem}");
        assert!(problem.instead.contains(instead), "{text:?}: {problem}");
        assert_eq!(problem.path, "(file)");
    }
}

#[test]
fn positions_count_characters_not_bytes() {
    let problem = only_problem("workers: [1] # é\n{\"ü\": é}: 1");
    assert_eq!(problem.line, 2, "{problem}");
    let text = "workers: [1]\nports: [{name: p, device: net_tap0, addresses: [10.0.0.2/24]}]\nservices: \
                [{name: a, match: {}, action: terminate, application: {http: {body: \"ééé\", statuss: 1}}}]";
    let problem = only_problem(text);
    let line = text.lines().nth(2).unwrap();
    let column = line.chars().collect::<String>().split("statuss").next().unwrap().chars().count() + 1;
    assert_eq!((problem.line, problem.column), (3, column), "{problem}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let text = "\u{feff}workers: [1]\r\nports: [{name: p, device: net_tap0, addresses: [10.0.0.2/24]}]\r\n";
    parse("x", text).unwrap_or_else(|problems| panic!("{problems}"));
    let problem = only_problem(&format!("{text}log: {{level: loud}}\r\n"));
    assert_eq!((problem.line, problem.column), (3, 14), "{problem}");
}

#[test]
fn files_that_cannot_be_read() {
    let directory = std::env::temp_dir().join(format!("millrace-config-text-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let large = write("large.yaml", &vec![b'#'; (1 << 20) + 1]);
    let latin1 = write("latin1.yaml", b"workers: [1]\nlog: {level: \xe9}\n");
    let cases = [
        (directory.join("missing.yaml"), 1, 1, "cannot read the file", "existing file"),
        (directory.clone(), 1, 1, "cannot read the file", "name a"),
        ("/dev/zero".into(), 1, 1, "larger than 1048576 bytes", "check that this is the configuration"),
        (large, 1, 1, "larger than 1048576 bytes", "check that this is the configuration"),
        (latin1, 2, 14, "byte 0xe9 is not UTF-8", "UTF-8"),
    ];
    for (path, line, column, what, instead) in cases {
        let problems = load(&path).expect_err("must be refused").0;
        let [problem] = &problems[..] else { panic!("{problems:#?}") };
        assert_eq!((problem.line, problem.column), (line, column), "{problem}");
        assert!(problem.what.contains(what) && problem.instead.contains(instead), "{problem}");
        assert_eq!(problem.file, path.display().to_string());
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_relative_path_is_taken_from_the_files_directory() {
    let directory = std::env::temp_dir().join(format!("millrace-config-base-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("www")).unwrap();
    let file = directory.join("millrace.yaml");
    let text = "workers: {count: 1}\nports: [{name: p, device: net_tap0, addresses: [10.0.0.2/24]}]\nservices: \
                [{name: a, match: {protocol: tcp}, action: terminate, application: {http: {directory: www}}}]\n";
    std::fs::write(&file, text).unwrap();
    let loaded = load(&file).unwrap_or_else(|problems| panic!("{problems}"));
    let shown = serde_json::to_value(&loaded.config).unwrap();
    let www = &shown["services"][0]["application"]["http"]["directory"];
    assert_eq!(www, &serde_json::json!(directory.join("www")));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Every place a problem is reported at exists in the text (or is just past a line's end).
fn check_places(text: &str) {
    let Err(problems) = parse("x.yaml", text) else { return };
    assert!(!problems.0.is_empty());
    for problem in &problems.0 {
        let line = text.lines().nth(problem.line - 1).unwrap_or_default();
        assert!(problem.line <= text.lines().count().max(1) + 1, "{problem}");
        assert!(problem.column <= line.chars().count() + 2, "{problem}\n{line}");
        assert!(!problem.to_string().contains(['\n', '\0']), "{problem:?}");
        assert!(!problem.what.is_empty() && !problem.instead.is_empty(), "{problem:?}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_or_read_never_worse() {
    for (cut, _) in REFERENCE.char_indices().step_by(7) {
        check_places(&REFERENCE[..cut]);
    }
}

#[test]
fn a_file_with_any_piece_replaced_is_refused_or_read_never_worse() {
    let junk = [
        "", ":", "- ", "[", "}", "\"", "\t", "&a", "*a", "!x", "|", "%", "0", "-1", "1e9", "null",
        "\u{2028}", "é",
    ];
    // A small linear congruential generator: the same texts in every run.
    let mut state: u64 = 1;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..1500 {
        let mut text = REFERENCE.to_owned();
        for _ in 0..=next(3) {
            let at = next(text.len());
            let length = next(8);
            let (Some(_), Some(_)) = (text.get(..at), text.get(at + length..)) else { continue };
            text.replace_range(at..at + length, junk[next(junk.len())]);
        }
        check_places(&text);
    }
}

#[test]
fn the_largest_texts_are_refused_like_small_ones() {
    const MOST: usize = 1 << 20;
    let fill =
        |start: &str, piece: &str| format!("{start}{}", piece.repeat((MOST - start.len()) / piece.len()));
    let closed = |start: &str, piece: &str, end: &str| {
        format!("{start}{}{end}", piece.repeat((MOST - start.len() - end.len()) / piece.len()))
    };
    let keys: String = (0..80_000).map(|n| format!("k{n}: 1\n")).collect();
    for text in [
        fill("", "["),
        fill("", "{"),
        fill("", "- "),
        fill("", "? "),
        fill("a: \"", "x"),
        closed("workers: [1", ",a", "]"),
        closed("ports: [a", ",{}", "]"),
        closed("workers: [1]\nservices: [a", ",{name: 1}", "]"),
        closed(
            "ports: [{name: p, device: net_tap0}]\nservices: [a",
            ",{name: a, match: {port: 0}, action: x}",
            "]",
        ),
        closed(
            "ports: [{name: p, device: net_tap0}]\nservices: [{name: a",
            "}, {match: {}, action: drop, name: a",
            "}]",
        ),
        closed("ports: [{addresses: [a", ",b", "]}]"),
        keys,
    ] {
        let problems = parse("x.yaml", &text).expect_err("must be refused").0;
        assert!((1..=101).contains(&problems.len()), "{}", problems.len());
    }
}
