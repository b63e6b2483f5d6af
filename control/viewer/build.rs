//! Makes a list of the files that the web build left in `web/dist`, so that the program carries them.
//!
//! Invariant: no tool is run and nothing is written outside of `OUT_DIR`; without the web build there is no program.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs};

fn main() -> Result<(), String> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(|error| error.to_string())?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|error| error.to_string())?);
    let dist = here.join("web/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=web/src");
    let files = list(&dist);
    if !files.iter().any(|file| file.ends_with("index.html")) {
        let missing = "the web page is not built: control/viewer/web/dist is missing; fix: run scripts/setup";
        println!("cargo::error={missing}");
        return Err(missing.to_owned());
    }
    let newest = |files: &[PathBuf]| files.iter().filter_map(|file| changed(file)).max();
    if newest(&list(&here.join("web/src"))) > newest(&files) {
        println!(
            "cargo::warning=control/viewer/web/src is newer than the page that was built: run scripts/setup"
        );
    }
    let mut text = String::from("static FILES: &[(&str, &[u8], &str)] = &[\n");
    for file in &files {
        let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let name = file.strip_prefix(&dist).map_err(|error| error.to_string())?.display();
        let _ =
            writeln!(text, "    (\"/{name}\", include_bytes!({:?}), {tag:?}),", file.display().to_string());
    }
    text.push_str("];\n");
    fs::write(out.join("assets.rs"), text).map_err(|error| error.to_string())
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|data| data.modified()).ok()
}
