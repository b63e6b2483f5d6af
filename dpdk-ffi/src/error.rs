//! What can go wrong, why, and what to do about it.
//!
//! Invariant: every error displays as one line, `what failed: meaning (errno N NAME); fix: ...`, and the fix is never empty.

use core::ffi::c_int;
use std::borrow::Cow;

use crate::text;

/// The result of everything fallible here.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// A failure in or around DPDK.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// DPDK refused an operation.
    #[error("{operation}: {} (errno {errno} {}); fix: {hint}", meaning(*errno), errno_name(*errno))]
    Dpdk {
        /// What was being done, and to what.
        operation: String,
        /// A positive errno.
        errno: i32,
        /// What to do about it.
        hint: Cow<'static, str>,
    },
    /// DPDK runs, or ran, in this process already: it starts once per process.
    #[error(
        "starting DPDK: it was already started in this process (errno {} EALREADY); fix: {ALREADY_HINT}",
        libc::EALREADY
    )]
    AlreadyInitialised,
    /// No port has this name.
    #[error("finding port {name:?}: no such port (errno {} ENODEV); fix: {hint}", libc::ENODEV)]
    UnknownPort {
        /// The name that was looked for.
        name: String,
        /// Lists the ports there are.
        hint: String,
    },
    /// A request that cannot be met, found before DPDK was asked.
    #[error("{what}: {problem} (errno {} EINVAL); fix: {hint}", libc::EINVAL)]
    Invalid {
        /// The option or argument.
        what: String,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// The port behind a handle has been closed.
    #[error("using port {name:?}: it has been closed (errno {} ENODEV); fix: {CLOSED_HINT}", libc::ENODEV)]
    PortClosed {
        /// The port's name.
        name: String,
    },
}

const ALREADY_HINT: &str = "keep the first Eal and share it; a new one needs a new process";
const CLOSED_HINT: &str = "drop the handle together with the port";

impl Error {
    /// The errno of the failure.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Dpdk { errno, .. } => Some(*errno),
            Error::AlreadyInitialised => Some(libc::EALREADY),
            Error::UnknownPort { .. } | Error::PortClosed { .. } => Some(libc::ENODEV),
            Error::Invalid { .. } => Some(libc::EINVAL),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Error::Dpdk { hint, .. } => hint,
            Error::AlreadyInitialised => ALREADY_HINT,
            Error::UnknownPort { hint, .. } | Error::Invalid { hint, .. } => hint,
            Error::PortClosed { .. } => CLOSED_HINT,
        }
    }

    /// An error for a call that returned `code` (an errno, positive or negative), with the general hint for it.
    pub(crate) fn dpdk(operation: impl Into<String>, code: c_int) -> Self {
        let errno = code.saturating_abs();
        Error::Dpdk { operation: operation.into(), errno, hint: Cow::Borrowed(general_hint(errno)) }
    }

    /// An error for a call that left its reason in `rte_errno`.
    pub(crate) fn last(operation: impl Into<String>) -> Self {
        Self::dpdk(operation, last_errno())
    }

    pub(crate) fn with_hint(self, text: impl Into<Cow<'static, str>>) -> Self {
        match self {
            Error::Dpdk { operation, errno, .. } => Error::Dpdk { operation, errno, hint: text.into() },
            other => other,
        }
    }

    pub(crate) fn invalid(
        what: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Error::Invalid { what: what.into(), problem: problem.into(), hint: hint.into() }
    }
}

/// `rte_errno` of this thread.
pub(crate) fn last_errno() -> c_int {
    // SAFETY: reads a thread-local variable.
    unsafe { dpdk_sys::shim_rte_errno() }
}

/// `Ok` for zero or more, else an error from the code returned.
pub(crate) fn check(operation: impl FnOnce() -> String, code: c_int) -> Result<()> {
    if code < 0 { Err(Error::dpdk(operation(), code)) } else { Ok(()) }
}

/// What an errno means, in DPDK's words (which know its own numbers too).
fn meaning(errno: c_int) -> String {
    // SAFETY: returns a static or thread-local NUL-terminated string, copied before anything else can change it.
    unsafe { text::from_pointer(dpdk_sys::rte_strerror(errno)) }
}

fn errno_name(errno: c_int) -> &'static str {
    match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EIO => "EIO",
        libc::ENXIO => "ENXIO",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::ENODEV => "ENODEV",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::ENOSPC => "ENOSPC",
        libc::ERANGE => "ERANGE",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::ENOSYS => "ENOSYS",
        libc::ENOEXEC => "ENOEXEC",
        libc::EPROTO => "EPROTO",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::ENOTSUP => "ENOTSUP",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::EALREADY => "EALREADY",
        libc::ECONNREFUSED => "ECONNREFUSED",
        _ => "unnamed",
    }
}

fn general_hint(errno: c_int) -> &'static str {
    match errno {
        libc::EPERM | libc::EACCES => {
            "run as root, or give the process CAP_NET_ADMIN (net_tap, af_packet, af_xdp) and access to /dev/vfio and /dev/net/tun"
        }
        libc::ENOENT | libc::ENODEV | libc::ENXIO => {
            "check the device name; a PCI device must be bound first (dpdk-devbind.py --status)"
        }
        libc::ENOMEM | libc::ENOBUFS => {
            "reserve more memory (`sysctl vm.nr_hugepages=512`, or a larger memory size without hugepages) or ask for less"
        }
        libc::EBUSY => "something else holds the device: stop the other process or take another device",
        libc::EEXIST => "the name is taken: choose another one",
        libc::EALREADY => "DPDK can start only once per process: start a new process",
        libc::ENOTSUP | libc::ENOSYS => {
            "the driver does not offer this: leave the option out or use another device"
        }
        libc::ENAMETOOLONG => "use a shorter name",
        libc::EINVAL | libc::ERANGE => {
            "check the values against what the port offers (see its port information)"
        }
        libc::ENOSPC => "ask for fewer objects",
        _ => "run again with the log level set to debug to see what DPDK says",
    }
}
