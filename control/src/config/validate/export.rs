//! Export: sockets that can be made, memory that is enough.
//!
//! Invariant: no endpoint stands twice, so that none of them is in the way of another.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

use super::Checker;
use crate::config::{Endpoint, Place};
use crate::export::LONGEST_IPC;

pub(super) fn check(checker: &mut Checker<'_>) {
    let Some(export) = &checker.config.export else { return };
    let mut seen = BTreeMap::new();
    for (list, endpoints) in [("push", &export.push), ("publish", &export.publish)] {
        for (index, endpoint) in endpoints.iter().enumerate() {
            let at = format!("export.{list}[{index}]");
            self::endpoint(checker, &at, endpoint, &mut seen);
        }
    }
    let nowhere = export.push.is_empty() && export.publish.is_empty();
    if nowhere && checker.usable("export") {
        let instead = "add `push: [\"ipc:///run/millrace/events.sock\"]`, or remove `export`";
        checker.error("export", "events would go nowhere", instead);
    }
    // An eighth is for requests that wait for their responses.
    let (body, assembly) = (export.body, export.assembly);
    if body.bytes() > assembly.bytes() / 2
        && checker.usable("export.body")
        && checker.usable("export.assembly")
    {
        let what = format!("a body of {body} may not find room in `assembly`, {assembly} for all of them");
        let instead = "write at least twice as much in `assembly`, or less in `body`";
        checker.error("export.body", what, instead);
    }
}

fn endpoint(checker: &mut Checker<'_>, at: &str, endpoint: &Endpoint, seen: &mut BTreeMap<String, String>) {
    if !checker.usable(at) {
        return;
    }
    if let Some(first) = seen.insert(endpoint.place.to_string(), at.to_owned()) {
        let what = format!("`{}` is an endpoint already on line {}", endpoint.place, checker.line(&first));
        checker.error(at, what, "remove one of the two");
    }
    if let Place::Ipc(path) = &endpoint.place {
        let length = path.as_os_str().as_bytes().len();
        if length > LONGEST_IPC {
            let what =
                format!("the path of a unix socket has {LONGEST_IPC} bytes at most, this has {length}");
            checker.error(at, what, "write a shorter path, like `ipc:///run/millrace/events.sock`");
        }
    }
}
