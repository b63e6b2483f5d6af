//! Strings on their way to and from C.
//!
//! Invariant: every pointer handed to C ends in a NUL and lives as long as the call; every buffer read back is bounded.

use core::ffi::{CStr, c_char};
use std::ffi::CString;

use crate::error::{Error, Result};

/// A C string, or an error naming what held the stray NUL.
pub(crate) fn c_string(what: &str, text: &str) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Error::invalid(format!("{what} {text:?}"), "holds a NUL byte", "remove the NUL byte"))
}

/// The text of a fixed-size `char` array that C has filled.
pub(crate) fn from_array(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The text behind a C string pointer; empty for null.
///
/// # Safety
/// `text` is null or points at a NUL-terminated string that stays unchanged during the call.
pub(crate) unsafe fn from_pointer(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller promises the rest.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
