//! What operators see of the daemon: the admin socket.
//!
//! Invariant: a socket that passes can be made, as far as its path and its group say.

use std::os::unix::ffi::OsStrExt;

use super::Checker;
use crate::admin::LONGEST_SOCKET;

pub(super) fn check(checker: &mut Checker<'_>) {
    let admin = &checker.config.admin;
    let length = admin.socket.as_os_str().as_bytes().len();
    if length > LONGEST_SOCKET && checker.usable("admin.socket") {
        let what = format!(
            "the path of a unix socket has {LONGEST_SOCKET} bytes at most, {} has {length}",
            admin.socket.display()
        );
        checker.error("admin.socket", what, "write a shorter path, like `/run/millrace/admin.sock`");
    }
    if let (Some(group), Some(groups)) = (&admin.group, &checker.host.groups)
        && checker.host.strict
        && checker.usable("admin.group")
        // A number needs no name.
        && group.parse::<u32>().is_err()
        && !groups.contains(group)
    {
        let instead = format!("create it with `groupadd --system {group}`, or write another group");
        checker.error(
            "admin.group",
            format!("this machine has no group `{}`", group.escape_debug()),
            instead,
        );
    }
}
