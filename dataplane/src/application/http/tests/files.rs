//! A directory of files: what is found, and that nothing outside of it ever is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory that goes away with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Temporary {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("http-files-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Temporary(dir)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn site() -> (Temporary, Http) {
    let outer = Temporary::new();
    outer.write("secret", "SECRET");
    outer.write("root/index.html", "<home>");
    outer.write("root/a b.txt", "spaced");
    outer.write("root/sub/index.html", "<sub>");
    outer.write("root/sub/data.JSON", "{}");
    outer.write("root/.hidden", "SECRET");
    outer.write("root/\u{e9}/index.html", "accent");
    let http = Http::new(&spec(&outer.0.join("root"))).unwrap();
    (outer, http)
}

fn spec(dir: &Path) -> HttpSpec {
    HttpSpec { body: Body::Directory(dir.to_owned()), ..HttpSpec::default() }
}

fn get(http: &Http, target: &str) -> (u16, String) {
    let input = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let outcome = converse(http, input.as_bytes(), 4096, 4096, 4096, 4096);
    (statuses(&outcome.output)[0], outcome.output)
}

#[test]
fn files_are_found_under_their_names() {
    let (_dir, http) = site();
    for (target, content, kind) in [
        ("/", "<home>", "text/html; charset=utf-8"),
        ("/index.html?x=1", "<home>", "text/html; charset=utf-8"),
        ("/a%20b.txt", "spaced", "text/plain; charset=utf-8"),
        ("/sub/", "<sub>", "text/html; charset=utf-8"),
        ("/sub/./../sub/data.JSON", "{}", "application/json"),
        ("http://h/sub/data%2eJSON", "{}", "application/json"),
        ("http://h", "<home>", "text/html; charset=utf-8"),
    ] {
        let (status, output) = get(&http, target);
        assert_eq!(status, 200, "{target}");
        assert!(output.contains(&format!("Content-Type: {kind}\r\n")), "{output}");
        assert!(output.ends_with(&format!("\r\n\r\n{content}")), "{output}");
    }
    let (status, output) = get(&http, "/sub");
    assert_eq!(status, 301);
    assert!(output.contains("\r\nLocation: /sub/\r\n"));
    assert!(get(&http, "/%c3%a9").1.contains("\r\nLocation: /%C3%A9/\r\n"));
}

#[test]
fn no_spelling_leaves_the_directory() {
    let (outer, http) = site();
    let absolute = outer.0.join("secret");
    let absolute = absolute.to_str().unwrap();
    for target in [
        "/../secret",
        "/%2e%2e/secret",
        "/%2E./secret",
        "/sub/../../secret",
        "/..%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/%252e%252e/secret",
        "//secret",
        "/sub/..;/secret",
        "/.hidden",
        "/%2ehidden",
        "/sub/data.JSON/",
        "/nothing",
        "/./..",
        "/..",
        absolute,
        &format!("/{absolute}"),
        "/%c0%ae%c0%ae/secret",
        "http://h/../secret",
    ] {
        let (status, output) = get(&http, target);
        assert_eq!(status, 404, "{target}");
        assert!(!output.contains("SECRET"));
    }
    for target in ["/index.html%00.txt", "/%00", "/%", "/%4", "/%g0"] {
        assert_eq!(get(&http, target).0, 400, "{target}");
    }
}

#[test]
fn links_may_lead_within_the_directory_and_nowhere_else() {
    let outer = Temporary::new();
    outer.write("secret", "SECRET");
    outer.write("root/real.txt", "real");
    outer.write("root-2/file", "SECRET");
    let root = outer.0.join("root");
    symlink("real.txt", root.join("link.txt")).unwrap();
    let http = Http::new(&spec(&root)).unwrap();
    assert!(get(&http, "/link.txt").1.ends_with("real"));

    for target in ["../secret", "../root-2", "/etc", "../root-2/file"] {
        let link = root.join("out");
        symlink(target, &link).unwrap();
        let error = Http::new(&spec(&root)).unwrap_err();
        assert!(matches!(error, BuildError::LinkOutside { .. }), "{target}: {error}");
        fs::remove_file(link).unwrap();
    }
    symlink("missing", root.join("dangling")).unwrap();
    assert!(matches!(Http::new(&spec(&root)).unwrap_err(), BuildError::Io { .. }));
    fs::remove_file(root.join("dangling")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    assert!(matches!(Http::new(&spec(&root)).unwrap_err(), BuildError::TooDeep { .. }));
}

#[test]
fn what_is_no_directory_of_files_is_refused() {
    let dir = Temporary::new();
    let build = |path: &Path| Http::new(&spec(path)).unwrap_err();
    assert!(matches!(build(&dir.0.join("missing")), BuildError::Io { .. }));
    assert!(matches!(build(&dir.0), BuildError::Empty(_)));
    dir.write(".only-hidden", "");
    assert!(matches!(build(&dir.0), BuildError::Empty(_)));
    dir.write("file", "");
    assert!(matches!(build(&dir.0.join("file")), BuildError::NotADirectory(_)));
    let status = HttpSpec { status: 404, ..spec(&dir.0) };
    assert!(matches!(Http::new(&status).unwrap_err(), BuildError::DirectoryStatus(404)));
    let socket = std::os::unix::net::UnixListener::bind(dir.0.join("socket")).unwrap();
    assert!(matches!(build(&dir.0), BuildError::NotAFile(_)));
    drop(socket);
}

#[test]
fn sizes_and_counts_are_bounded() {
    let dir = Temporary::new();
    let sparse = |name: &str, len: u64| {
        fs::File::create(dir.0.join(name)).unwrap().set_len(len).unwrap();
    };
    sparse("big", (16 << 20) + 1);
    assert!(matches!(Http::new(&spec(&dir.0)).unwrap_err(), BuildError::TooLong { .. }));
    sparse("big", 16 << 20);
    Http::new(&spec(&dir.0)).unwrap();
    for n in 0..4 {
        sparse(&format!("big-{n}"), 16 << 20);
    }
    assert!(matches!(Http::new(&spec(&dir.0)).unwrap_err(), BuildError::TotalTooLong { .. }));

    let dir = Temporary::new();
    for n in 0..=4096 {
        fs::File::create(dir.0.join(format!("{n}"))).unwrap();
    }
    assert!(matches!(Http::new(&spec(&dir.0)).unwrap_err(), BuildError::TooManyFiles { .. }));
}
