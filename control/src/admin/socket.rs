//! The admin socket's file: made with its mode and group in place, and taken away at the end.
//!
//! Invariant: the path only ever names a socket that answers with the configured permissions. It is made under
//! another name and moved into place, so nobody connects before they are set; a socket that is still answered by a
//! daemon is never replaced.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::config::model::Admin;
use crate::config::{GROUPS, group_ids};

/// The longest path of the socket, in bytes. The kernel's address has 108 with the closing zero (unix(7)), and the socket
/// is made under a name with a dot and a process id more: at most 7 digits, `PID_MAX_LIMIT` of the kernel being 4194304.
pub const LONGEST_SOCKET: usize = 107 - 8;

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers on it.
    #[error(
        "a millrace is already running: it answers on {0}; fix: stop it, or give this one its own `admin.socket`"
    )]
    AlreadyRunning(PathBuf),
    /// Something else is there.
    #[error("{0} is there and is not a socket; fix: remove it, or change `admin.socket`")]
    NotASocket(PathBuf),
    /// No such group.
    #[error(
        "there is no group {0:?} in /etc/group; fix: create it (`groupadd --system {0}`) or change `admin.group`"
    )]
    Group(String),
    /// The operating system refused.
    #[error("{what} {path}: {source}; fix: {fix}", path = .path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
        /// What to do.
        fix: &'static str,
    },
}

/// The bound socket. Its file is removed when this is dropped, if it is still the same one.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    file: (u64, u64),
    listener: Option<UnixListener>,
}

impl AdminSocket {
    /// Makes the socket: directory (0755 if missing), permissions and group included.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(admin: &Admin) -> Result<Self, SocketError> {
        let path = &admin.socket;
        let group = admin.group.as_deref().map(group_id).transpose()?;
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
            made.map_err(|error| {
                let fix = unless_denied(&error, "create it, or change `admin.socket`");
                failed("cannot create", directory, fix)(error)
            })?;
        }
        vacant(path)?;
        let mut aside = path.clone().into_os_string();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        let listener = UnixListener::bind(&aside).map_err(|error| {
            let fix = unless_denied(&error, "write another path in `admin.socket`");
            failed("cannot make", &aside, fix)(error)
        })?;
        let placed = place(&aside, path, admin.mode.0, group).and_then(|file| {
            let ready = listener.set_nonblocking(true);
            ready.map_err(failed("cannot use", path, "report this"))?;
            Ok(file)
        });
        if placed.is_err() {
            // The path it would have had is free, or not ours: only this name is to be cleaned up.
            let _ = fs::remove_file(&aside);
        }
        Ok(Self { path: path.clone(), file: placed?, listener: Some(listener) })
    }

    /// The listener, non-blocking; once.
    pub fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Left behind, it would be found dead and replaced by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn failed(what: &'static str, path: &Path, fix: &'static str) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io { what, path, source, fix }
}

/// What to do about an error of making something, unless it is a matter of rights.
fn unless_denied(error: &io::Error, fix: &'static str) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "run as root, or as the owner of that directory, or write a path this user may write to in `admin.socket`"
        }
        _ => fix,
    }
}

/// Whether the path is free, or has a socket that nobody answers.
fn vacant(path: &Path) -> Result<(), SocketError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("cannot look at", path, "check the directory's permissions")(error)),
    };
    if !kind.is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::AlreadyRunning(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // A full queue of connections: somebody is there.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(SocketError::AlreadyRunning(path.to_owned()))
        }
        Err(error) => Err(failed("cannot connect to", path, "remove it if no daemon uses it")(error)),
    }
}

fn place(aside: &Path, path: &Path, mode: u32, group: Option<u32>) -> Result<(u64, u64), SocketError> {
    if group.is_some() {
        chown(aside, None, group).map_err(failed(
            "cannot change the group of",
            aside,
            "run as root or as a member of `admin.group`",
        ))?;
    }
    fs::set_permissions(aside, fs::Permissions::from_mode(mode)).map_err(failed(
        "cannot change the mode of",
        aside,
        "change `admin.mode`",
    ))?;
    let file =
        identity(aside).map_err(failed("cannot look at", aside, "check the directory's permissions"))?;
    fs::rename(aside, path).map_err(failed("cannot make", path, "remove what is there"))?;
    Ok(file)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// The number of a group, by name or number.
fn group_id(name: &str) -> Result<u32, SocketError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string(GROUPS).unwrap_or_default();
    let found = group_ids(&groups).find(|(other, _)| *other == name);
    found.map(|(_, number)| number).ok_or_else(|| SocketError::Group(name.to_owned()))
}
