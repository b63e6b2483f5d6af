//! Telling systemd how it goes (sd_notify): ready, stopping, alive.
//!
//! Invariant: without `$NOTIFY_SOCKET` nothing is done; a message that cannot be sent is not missed by anybody.

use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the service manager.
pub(super) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says.
    pub(super) fn new() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|path| {
            let address = address(&path)?;
            Some((UnixDatagram::unbound().ok()?, address))
        });
        // Meant for another process of the service if $WATCHDOG_PID says so.
        let ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let period = env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let watchdog = period.filter(|_| ours).map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// Serving, or done with a reload.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// On the way out.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=draining");
    }

    /// All workers are well.
    pub(super) fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            // The manager may be gone; it will see the process end.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// A path, or after an `@` a name without a file.
fn address(path: &OsString) -> Option<SocketAddr> {
    match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        [b'/', ..] => SocketAddr::from_pathname(path).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_either_kind_of_address() {
        let directory = std::env::temp_dir().join(format!("millrace-notify-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("socket");
        let named = OsString::from(format!("@millrace-notify-{}", std::process::id()));
        for name in [path.clone().into_os_string(), named] {
            let address = address(&name).unwrap();
            let manager = UnixDatagram::bind_addr(&address).unwrap();
            let socket = Some((UnixDatagram::unbound().unwrap(), address));
            let notifier = Notifier { socket, watchdog: None };
            notifier.alive();
            notifier.ready();
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1", "without a watchdog nothing is said about life");
        }
        std::fs::remove_dir_all(directory).unwrap();
        assert!(address(&OsString::from("relative")).is_none());
    }
}
