//! DPDK's environment: started once, stopped after everything made from it is gone.
//!
//! Invariant: one start per process. `rte_eal_cleanup` unmaps packet memory, so it runs only when the last object holding
//! an `Arc<EalInner>` has been dropped *and* no mbuf is outstanding; otherwise the memory is left to the kernel.
//!
//! No thread holds an lcore id unless it has a [`ThreadGuard`], not even the one that called [`Eal::init`]. Only threads
//! with an id touch a mempool's per-lcore caches, which is what lets [`crate::mempool`] free a pool safely.

mod device;
mod options;
mod thread;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use options::device_name;
pub use options::{EalOptions, Hugepages, LogLevel};
pub use thread::ThreadGuard;

use crate::error::{Error, Result};
use crate::mempool::RawPool;
use crate::text;

/// Set by the first start that succeeds and never cleared: DPDK cannot be started again after its cleanup.
static STARTED: AtomicBool = AtomicBool::new(false);
/// Keeps two threads from starting DPDK at once.
static STARTING: Mutex<()> = Mutex::new(());

/// A running DPDK. Not `Clone`: share it in an `Arc` or by reference.
///
/// ```compile_fail,E0599
/// fn twice(eal: dpdk_ffi::eal::Eal) {
///     let _ = eal.clone();
/// }
/// ```
#[derive(Debug)]
pub struct Eal {
    pub(crate) inner: Arc<EalInner>,
}

/// What everything made from an [`Eal`] holds on to.
#[derive(Debug)]
pub(crate) struct EalInner {
    args: Vec<String>,
    /// The ports that are configured. Held while devices come and go, which DPDK does not serialise.
    devices: Mutex<BTreeSet<u16>>,
    reclaim: Mutex<Reclaim>,
}

/// What decides whether a mempool may be freed, under one lock.
#[derive(Debug, Default)]
struct Reclaim {
    /// Threads with an lcore id: they may be in the middle of a cached free that already counts as done.
    registered: usize,
    /// Pools without handles that could not be freed yet.
    parked: Vec<RawPool>,
}

impl Eal {
    /// Starts DPDK.
    ///
    /// # Errors
    /// On a second call in one process, when DPDK refuses to start, and when a device that was asked for did not appear.
    pub fn init(options: &EalOptions) -> Result<Self> {
        let _starting = lock(&STARTING);
        if STARTED.load(Ordering::Acquire) {
            return Err(Error::AlreadyInitialised);
        }
        let args = options.arguments(&current_cpus())?;
        start(&args).map_err(|error| start_hint(error, options))?;
        STARTED.store(true, Ordering::Release);
        // SAFETY: after a successful start; takes the lcore id off this thread (see the module's invariant).
        unsafe { dpdk_sys::rte_thread_unregister() };
        let eal =
            Self { inner: Arc::new(EalInner { args, devices: Mutex::default(), reclaim: Mutex::default() }) };
        eal.require_devices(options)?;
        Ok(eal)
    }

    /// The EAL command line in effect, program name first.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.inner.args
    }
}

impl EalInner {
    /// The ports in use; no device comes or goes while this is held.
    pub(crate) fn devices(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        lock(&self.devices)
    }

    /// Frees the pool if that is safe now, else keeps it for a later try.
    pub(crate) fn give_back(&self, pool: RawPool) {
        let mut reclaim = lock(&self.reclaim);
        reclaim.parked.push(pool);
        reclaim.sweep();
    }

    fn note_registration(&self) {
        lock(&self.reclaim).registered += 1;
    }

    fn note_unregistration(&self) {
        let mut reclaim = lock(&self.reclaim);
        reclaim.registered = reclaim.registered.saturating_sub(1);
        reclaim.sweep();
    }
}

impl Reclaim {
    /// Frees the parked pools that are whole again. With a thread registered nothing is freed: its cached free counts an
    /// mbuf as returned an instant before it stores it. Registration waits for the same lock.
    fn sweep(&mut self) {
        if self.registered == 0 {
            self.parked.retain_mut(|pool| !pool.try_free());
        }
    }
}

impl Drop for EalInner {
    fn drop(&mut self) {
        let reclaim = self.reclaim.get_mut().unwrap_or_else(PoisonError::into_inner);
        reclaim.sweep();
        if reclaim.parked.is_empty() {
            // SAFETY: ports, rings, pools and registered threads hold this object, so all are gone; no mbuf is outstanding.
            unsafe { dpdk_sys::rte_eal_cleanup() };
        }
    }
}

fn start(args: &[String]) -> Result<()> {
    let mut argv = Vec::with_capacity(args.len() + 1);
    for arg in args {
        // DPDK reorders the array and may keep pointers into it: the strings live as long as the process.
        argv.push(text::c_string("EAL argument", arg)?.into_raw());
    }
    argv.push(core::ptr::null_mut());
    let argc = i32::try_from(args.len()).unwrap_or(i32::MAX);
    let argv = argv.leak();
    // SAFETY: argv holds argc leaked, writable C strings and a null. Standard output belongs to the program, so DPDK's log
    // goes to stderr.
    let code = unsafe {
        dpdk_sys::shim_rte_log_to_stderr();
        dpdk_sys::rte_eal_init(argc, argv.as_mut_ptr())
    };
    if code < 0 { Err(Error::last("starting DPDK")) } else { Ok(()) }
}

fn start_hint(error: Error, options: &EalOptions) -> Error {
    let hint = match (error.errno(), &options.hugepages) {
        (Some(libc::EALREADY), _) => return error,
        (Some(libc::ENOMEM), Hugepages::None) => {
            format!("ask for less memory than {} MiB, or free some", options.memory_mb)
        }
        (Some(libc::EACCES | libc::ENOMEM | libc::ENOENT), Hugepages::InMemory) => {
            format!("set `hugepages: false`, or reserve them with {}", reserve(options.memory_mb))
        }
        (Some(libc::EACCES | libc::ENOMEM | libc::ENOENT), Hugepages::Dir(dir)) => {
            format!(
                "set `hugepages: true`, or reserve them with {} and mount a hugetlbfs at {} that this user may write",
                reserve(options.memory_mb),
                dir.display()
            )
        }
        (Some(libc::ENODEV), _) => {
            let names: Vec<&str> = options.vdevs.iter().map(|vdev| device_name(vdev)).collect();
            format!("check the device names ({}); {}", names.join(", "), device::device_hint(""))
        }
        (Some(libc::EINVAL), _) => {
            "check the EAL options (cpus that exist, well-formed vdevs and PCI addresses)".to_owned()
        }
        _ => "read DPDK's own message above; log level debug says more".to_owned(),
    };
    error.with_hint(hint)
}

/// The command that reserves hugepages of 2 MiB for that much memory.
fn reserve(memory_mb: u32) -> String {
    format!("`sysctl vm.nr_hugepages={}`", memory_mb.max(512).div_ceil(2))
}

/// The cpus this thread may run on.
fn current_cpus() -> Vec<usize> {
    // SAFETY: cpu_set_t is a plain bit array, valid when all zero; the call writes at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = core::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return vec![0];
        }
        set
    };
    let limit = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: every index is below CPU_SETSIZE.
    (0..limit).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// A lock that survives a panic elsewhere: what it guards is consistent between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// DPDK's name and version, as in `DPDK 22.11.11`.
#[must_use]
pub fn version() -> String {
    // SAFETY: returns a static string.
    unsafe { text::from_pointer(dpdk_sys::rte_version()) }
}
