//! What the kernel says about a process: its memory, and how long its threads had to wait for a CPU.
//!
//! Invariant: nothing here is measured by the one it is about.

use std::fs;

/// Resident memory of a process in bytes, page by page: the sum in `status` may be some dozen pages behind for each thread.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let sums = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = sums.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Time on a CPU and time waiting for one, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scheduled {
    pub(crate) ran: u64,
    pub(crate) waited: u64,
}

impl Scheduled {
    /// The share of the time since `earlier` in which the thread wanted a CPU and had none.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn lost_since(self, earlier: Self) -> f64 {
        let (ran, waited) =
            (self.ran.saturating_sub(earlier.ran), self.waited.saturating_sub(earlier.waited));
        waited as f64 / (ran + waited).max(1) as f64
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().map(str::parse);
        Some(Self { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
    }
}

/// Of the calling thread.
pub(crate) fn this_thread() -> Scheduled {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Scheduled::parse(&text).unwrap_or_default()
}

/// Of the first thread of a process with this name.
pub(crate) fn thread_named(pid: u32, name: &str) -> Option<Scheduled> {
    for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let path = entry.path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            return Scheduled::parse(&fs::read_to_string(path.join("schedstat")).ok()?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_resident_and_runs() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
        assert_eq!(resident(u32::MAX), None);
        assert!(Scheduled::parse("12 34 5\n").is_some_and(|s| (s.ran, s.waited) == (12, 34)));
        assert_eq!(Scheduled::parse("12"), None);
    }

    #[test]
    fn what_was_lost_is_a_share() {
        let earlier = Scheduled { ran: 100, waited: 10 };
        assert!((Scheduled { ran: 190, waited: 20 }.lost_since(earlier) - 0.1).abs() < 1e-9);
        assert_eq!(earlier.lost_since(earlier), 0.0);
    }
}
