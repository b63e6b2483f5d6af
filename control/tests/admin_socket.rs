//! The admin socket's file: permissions, stale ones, live ones, and what is in the way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use common::directory;
use control::admin::{AdminSocket, SocketError};
use control::config::FileMode;
use control::config::model::Admin;

fn admin(socket: PathBuf, mode: u32, group: Option<&str>) -> Admin {
    Admin { socket, mode: FileMode(mode), group: group.map(str::to_owned) }
}

fn files(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn it_is_made_with_its_directory_mode_and_group() {
    let scratch = directory();
    let directory = scratch.join("run/millrace");
    let path = directory.join("admin.sock");
    let gid = fs::metadata("/proc/self").unwrap().gid();
    let mut socket = AdminSocket::bind(&admin(path.clone(), 0o620, Some(&gid.to_string()))).unwrap();
    let file = fs::metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!((file.mode() & 0o7777, file.gid()), (0o620, gid));
    assert_eq!(files(&directory), ["admin.sock"], "nothing else is left there");
    assert!(socket.take_listener().is_some() && socket.take_listener().is_none());
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn a_dead_daemons_socket_is_replaced_a_live_ones_is_not() {
    let directory = directory();
    let path = directory.join("admin.sock");
    drop(UnixListener::bind(&path).unwrap());
    let live = AdminSocket::bind(&admin(path.clone(), 0o600, None)).unwrap();
    let second = AdminSocket::bind(&admin(path.clone(), 0o600, None)).unwrap_err();
    assert!(matches!(second, SocketError::AlreadyRunning(_)), "{second}");
    assert!(UnixStream::connect(&path).is_ok(), "the first is still there");
    drop(live);
    assert!(AdminSocket::bind(&admin(path, 0o600, None)).is_ok());
}

#[test]
fn what_is_no_socket_stays() {
    let directory = directory();
    let path = directory.join("admin.sock");
    fs::write(&path, "precious").unwrap();
    let error = AdminSocket::bind(&admin(path.clone(), 0o600, None)).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn another_ones_socket_is_not_removed_at_the_end() {
    let directory = directory();
    let path = directory.join("admin.sock");
    let first = AdminSocket::bind(&admin(path.clone(), 0o600, None)).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}

#[test]
fn an_unknown_group_is_said_so_and_leaves_nothing() {
    let directory = directory();
    let name = "no-such-group-here";
    let error = AdminSocket::bind(&admin(directory.join("admin.sock"), 0o660, Some(name))).unwrap_err();
    assert!(error.to_string().contains("groupadd --system no-such-group-here"), "{error}");
    assert!(files(&directory).is_empty());
}

#[test]
fn a_path_that_cannot_be_is_said_so_in_one_line() {
    let directory = directory();
    fs::write(directory.join("file"), "").unwrap();
    for path in [directory.join("file/admin.sock"), directory.join("x".repeat(200))] {
        let error = AdminSocket::bind(&admin(path, 0o660, None)).unwrap_err().to_string();
        assert!(error.contains("; fix: ") && !error.contains('\n'), "{error}");
    }
    assert_eq!(files(&directory), ["file"]);
}
