//! Memory that must not be written: locked for the length of a call, with every write to it noted.
//!
//! Invariant: a write to a locked range is carried out after it has been noted (once for each page and call), so the
//! program goes on and the test says what was written where. What is noted lies in memory that is never locked.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Bytes that are locked together; other bytes of their first and last page may be written.
#[derive(Clone, Copy)]
pub struct Range {
    name: [u8; 32],
    pub start: usize,
    pub len: usize,
}

impl Range {
    pub fn new(name: &str, start: usize, len: usize) -> Self {
        let mut bytes = [0; 32];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Self { name: bytes, start, len }
    }

    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.name).unwrap().trim_end_matches('\0')
    }

    fn contains(&self, address: usize) -> bool {
        (self.start..self.start + self.len).contains(&address)
    }
}

/// A write to a locked range.
#[derive(Clone, Copy)]
pub struct Fault {
    pub range: Range,
    address: usize,
    code: usize,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, offset) = (self.range.name(), self.address - self.range.start);
        let code = self.code.wrapping_sub(program().0);
        let program = std::env::current_exe().unwrap_or_default();
        write!(f, "{name} was written at byte {offset}: addr2line -Cfie {} {code:#x}", program.display())
    }
}

/// Where the handler finds what is locked and leaves what it saw.
struct Ledger {
    locked: Vec<Range>,
    /// Has room for all that is noted, so that the handler never allocates.
    faults: Vec<Fault>,
    allocations: usize,
}

/// Faults noted in one call at most.
const NOTED: usize = 64;
const PAGE: usize = 4096;
/// Not null while something is locked.
static LEDGER: AtomicPtr<Ledger> = AtomicPtr::new(ptr::null_mut());

/// Fresh memory, zeroed and page-aligned, that is never given back.
pub fn map(len: usize) -> usize {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a new mapping, wherever there is room; it replaces nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    start.expose_provenance()
}

/// Has writes to locked memory noted from now on.
pub fn install() {
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    // SAFETY: all zero is a valid sigaction, and the handler has the signature that SA_SIGINFO asks for.
    let code = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut())
    };
    assert_eq!(code, 0);
}

/// Called for every allocation.
pub fn note_allocation() {
    let ledger = LEDGER.load(Relaxed);
    if !ledger.is_null() {
        // SAFETY: not null means `locked` waits for its call to end and keeps the ledger alive and to itself.
        unsafe { (*ledger).allocations += 1 };
    }
}

/// Runs something while `ranges` are locked, but for pages that `open` ranges reach into. Returns what it returned,
/// the writes noted, and how many allocations there were.
pub fn locked<T>(ranges: &[Range], open: &[Range], run: impl FnOnce() -> T) -> (T, Vec<Fault>, usize) {
    let ledger = Ledger { locked: ranges.to_vec(), faults: Vec::with_capacity(NOTED), allocations: 0 };
    let ledger = Box::into_raw(Box::new(ledger));
    // Before anything is locked: this static is among what will be.
    LEDGER.store(ledger, Relaxed);
    ranges.iter().for_each(|range| protect(range.start, range.len, libc::PROT_READ));
    open.iter().for_each(|range| protect(range.start, range.len, libc::PROT_READ | libc::PROT_WRITE));
    let result = run();
    ranges.iter().for_each(|range| protect(range.start, range.len, libc::PROT_READ | libc::PROT_WRITE));
    LEDGER.store(ptr::null_mut(), Relaxed);
    // SAFETY: made above by Box::into_raw, and the handler no longer finds it.
    let ledger = unsafe { Box::from_raw(ledger) };
    (result, ledger.faults, ledger.allocations)
}

/// Changes the access to all pages that hold a byte of a range.
fn protect(start: usize, len: usize, access: i32) {
    if len == 0 {
        return;
    }
    let (first, end) = (start / PAGE * PAGE, (start + len).next_multiple_of(PAGE));
    // SAFETY: the pages belong to live mappings that were readable and writable; where they become read-only, writes are
    // caught by `on_fault`, which makes them writable again.
    let code = unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(first), end - first, access) };
    assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
}

/// Notes the write that was caught and lets it through. A fault of any other kind ends the process as ever.
extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let ledger = LEDGER.load(Relaxed);
    // SAFETY: the kernel hands over a filled siginfo.
    let address = unsafe { (*info).si_addr() }.addr();
    let page = Range::new("", address / PAGE * PAGE, PAGE);
    let overlaps = |range: &Range| range.start < page.start + PAGE && page.start < range.start + range.len;
    // SAFETY: not null means `locked` waits for its call to end, which this handler interrupted; the ledger is alive and
    // nobody else is in it.
    let Some(ledger) = (unsafe { ledger.as_mut() }).filter(|ledger| ledger.locked.iter().any(overlaps))
    else {
        // SAFETY: restores the default, under which the same instruction now ends the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    };
    let range = ledger.locked.iter().find(|range| range.contains(address));
    if let (Some(range), true) = (range, ledger.faults.len() < NOTED) {
        ledger.faults.push(Fault { range: *range, address, code: interrupted(context) });
    }
    protect(page.start, PAGE, libc::PROT_READ | libc::PROT_WRITE);
}

/// The address of the interrupted instruction.
fn interrupted(context: *mut libc::c_void) -> usize {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel hands over the context of the interrupted code.
    #[cfg(target_arch = "x86_64")]
    let code = unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] as usize };
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    let code = unsafe { (*context).uc_mcontext.pc as usize };
    code
}

/// The static data of this program: every `static` of the crate and of all Rust code it uses.
pub fn statics() -> Range {
    let (_, start, end) = program();
    Range::new("static data", start, end - start)
}

/// Where this program was loaded, and the beginning and end of its static data.
fn program() -> (usize, usize, usize) {
    let mut found = (0, usize::MAX, 0);
    // SAFETY: the callback has the signature asked for, and `found` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found
}

/// Reads the segments of the first object, which is the program, and ends the walk.
unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _: usize, found: *mut libc::c_void) -> i32 {
    // SAFETY: `program` hands over its own variable, and the C library a filled description of an object.
    let (found, info) = unsafe { (&mut *found.cast::<(usize, usize, usize)>(), &*info) };
    // SAFETY: as many headers as it says, in memory for as long as the program runs.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let ends = |header: &libc::Elf64_Phdr| {
        let start = info.dlpi_addr as usize + header.p_vaddr as usize;
        (start, start + header.p_memsz as usize)
    };
    // What the loader has made read-only behind itself comes first in a writable segment, and stays as it is.
    let sealed = headers.iter().filter(|header| header.p_type == libc::PT_GNU_RELRO);
    let sealed = sealed.map(|header| ends(header).1.next_multiple_of(PAGE)).max().unwrap_or(0);
    found.0 = info.dlpi_addr as usize;
    for header in headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_W != 0) {
        let (start, end) = ends(header);
        if end > sealed {
            (found.1, found.2) = (found.1.min(start.max(sealed)), found.2.max(end));
        }
    }
    1
}
