//! The files of unix sockets: made with their mode in place, and taken away at the end.
//!
//! Invariant: a path only ever names a socket with mode 0660 that answers; one that somebody else answers is never
//! replaced.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The longest path of a socket, in bytes: as of the admin socket.
pub const LONGEST_IPC: usize = crate::admin::LONGEST_SOCKET;

/// Whoever is in the group of the process may connect.
const MODE: u32 = 0o660;
/// Of its directory, where there is none yet.
const DIRECTORY_MODE: u32 = 0o750;

/// The file of a bound socket. It is removed when this is dropped, if it is still the same one.
#[derive(Debug)]
pub(super) struct IpcFile {
    path: PathBuf,
    file: (u64, u64),
}

impl IpcFile {
    /// Binds under another name and moves the file into place.
    pub(super) fn bind(socket: &zmq::Socket, path: &Path) -> Result<Self, String> {
        prepare(path)?;
        let mut aside = path.to_owned().into_os_string();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        writable(&aside).map_err(|error| format!("cannot write {}: {error}; fix: {FIX}", path.display()))?;
        let bound = socket.bind(&format!("ipc://{}", aside.display()));
        bound.map_err(|error| format!("cannot bind ipc://{}: {error}; fix: {FIX}", path.display()))?;
        let placed = fs::set_permissions(&aside, fs::Permissions::from_mode(MODE))
            .and_then(|()| identity(&aside))
            .and_then(|file| fs::rename(&aside, path).map(|()| file));
        if placed.is_err() {
            let _ = fs::remove_file(&aside);
        }
        let file = placed.map_err(|error| format!("cannot make {}: {error}; fix: {FIX}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

/// Whether a file can be made there. ZeroMQ would say so, too, but its crate panics at errors that it has no name for.
fn writable(path: &Path) -> std::io::Result<()> {
    fs::File::create_new(path)?;
    fs::remove_file(path)
}

impl Drop for IpcFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Left behind, it would be found dead and replaced by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

const FIX: &str = "write a path in `export` that this user may write to";

/// Makes the directory and sees whether the path is free, or has a socket that nobody answers.
pub(super) fn prepare(path: &Path) -> Result<(), String> {
    if let Some(directory) = path.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
        made.map_err(|error| format!("cannot create {}: {error}; fix: {FIX}", directory.display()))?;
    }
    let shown = path.display();
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot look at {shown}: {error}; fix: {FIX}")),
    };
    if !kind.is_socket() {
        return Err(format!(
            "{shown} is there and is not a socket; fix: remove it, or write another path in `export`"
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(format!("cannot connect to {shown}: {error}; fix: {FIX}"))
        }
        // A full queue of connections, too: somebody is there.
        Ok(_) | Err(_) => Err(format!(
            "another program answers on {shown}; fix: stop it, or write another path in `export`"
        )),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
