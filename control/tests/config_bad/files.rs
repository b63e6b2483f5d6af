//! Files that a configuration names: `millrace check` finds what a start would refuse.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use control::config::cli::check;
use control::config::load;
use control::plan;

use super::unmark;

/// A directory with a configuration that serves `www` in it; removed at the end.
struct Site {
    directory: PathBuf,
    text: String,
    place: (usize, usize),
}

impl Site {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("millrace-site-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("www")).unwrap();
        let marked = "workers: {count: 1}\nports:\n  - {name: web, device: net_null0, addresses: [10.0.0.1/24]}\nservices:\n  \
                      - name: echo\n    match: {port: 7}\n    action: terminate\n    application: echo\n  \
                      - name: web\n    match: {protocol: tcp}\n    action: terminate\n    application:\n      http: \
                      {max_head: 1KiB, directory: §www}\n";
        let (text, line, column) = unmark(marked);
        fs::write(directory.join("m.yaml"), &text).unwrap();
        Self { directory, text, place: (line, column) }
    }

    fn www(&self, name: &str) -> PathBuf {
        self.directory.join("www").join(name)
    }

    fn check(&self, any_host: bool) -> (u8, String) {
        let mut out = Vec::new();
        let code = check(&self.directory.join("m.yaml"), any_host, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    /// The check says the same as a start, in one line at the directory's place.
    #[track_caller]
    fn refused(&self, what: &str, instead: &str) {
        let file = self.directory.join("m.yaml");
        let (code, said) = self.check(false);
        assert_eq!(code, 2, "{said}");
        let (line, column) = self.place;
        let start = format!("{}:{line}:{column}: services[1].application.http.directory: ", file.display());
        assert!(said.starts_with(&start), "{said}");
        assert!(said.contains(what) && said.contains(instead), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let started =
            load(&file).and_then(|loaded| plan::settings(&loaded, [1; 32]).map(|_| ())).unwrap_err();
        assert_eq!(format!("{started}\n"), said);
        assert_eq!(self.check(true).0, 0, "another machine's files are not looked at");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_directory_that_can_be_served_is_fine() {
    let site = Site::new("good");
    fs::write(site.www("index.html"), "hello").unwrap();
    symlink("index.html", site.www("start.html")).unwrap();
    let (code, said) = site.check(false);
    assert_eq!((code, said.lines().count()), (0, 1), "{said}");
    assert!(site.text.contains("directory: www"), "relative to the file");
}

#[test]
fn a_link_that_leaves_the_directory() {
    let site = Site::new("link");
    fs::write(site.www("index.html"), "hello").unwrap();
    symlink("/etc/passwd", site.www("secrets.txt")).unwrap();
    site.refused("secrets.txt: symbolic link to /etc/passwd, outside of the directory", "remove the link");
}

#[test]
fn nothing_to_serve_and_what_is_no_file() {
    let site = Site::new("odd");
    site.refused("no file to serve", "put one there");
    let _socket = std::os::unix::net::UnixListener::bind(site.www("socket")).unwrap();
    site.refused("neither a file nor a directory", "remove it");
    fs::remove_file(site.www("socket")).unwrap();
    symlink(Path::new("nowhere"), site.www("dangling")).unwrap();
    site.refused("dangling: No such file or directory", "check that it exists");
}

#[test]
fn a_file_that_is_too_long() {
    let site = Site::new("long");
    fs::File::create(site.www("film.mp4")).unwrap().set_len((16 << 20) + 1).unwrap();
    site.refused("is longer than 16777216 bytes", "something smaller");
}
