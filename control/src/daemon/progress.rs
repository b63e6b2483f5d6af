//! Says on standard error what is going on when a step takes longer than a second.
//!
//! Invariant: a step that is quick is silent.

use core::time::Duration;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

/// After this time a step is slow.
const SLOW: Duration = Duration::from_secs(1);
/// And is spoken of again after each of these.
const AGAIN: Duration = Duration::from_secs(5);

/// Does `step`; says `what` it is once it turns out slow, and how long it took in the end.
pub(super) fn shown<T>(what: String, step: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    let began = Instant::now();
    let watcher = thread::Builder::new().name("progress".into()).spawn(move || {
        let mut patience = SLOW;
        let mut told = false;
        while wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            say(&format!("{what} ... {:.0} s", began.elapsed().as_secs_f64()));
            (told, patience) = (true, AGAIN);
        }
        if told {
            say(&format!("done after {:.1} s", began.elapsed().as_secs_f64()));
        }
    });
    let result = step();
    drop(done);
    if let Ok(watcher) = watcher {
        // It only ever writes; it cannot fail in a way that matters here.
        let _ = watcher.join();
    }
    result
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "millrace: {line}");
}
