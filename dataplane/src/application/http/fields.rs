//! The few header fields that frame a message or keep its connection.
//!
//! Invariant: every field that could make two readers disagree on where a request ends is either
//! understood exactly or the request is refused.

use super::canned::Canned;
use super::parse::{is_host, trim};
use super::session::Request;

/// Notes what a field of the head says; most say nothing of interest.
#[inline(always)]
pub(super) fn note(request: &mut Request, name: &[u8], value: &[u8]) -> Result<(), Canned> {
    match name.len() {
        4 if is(name, b"host") => {
            // Exactly one, and it must be one (RFC 9112, section 3.2).
            if request.host || !is_host(value) {
                return Err(Canned::BadRequest);
            }
            request.host = true;
        }
        6 if is(name, b"expect") => {
            request.expect = true;
            request.expect_other |= !value.eq_ignore_ascii_case(b"100-continue");
        }
        10 if is(name, b"connection") => {
            if is(value, b"keep-alive") {
                request.keep = true;
            } else {
                options(request, value);
            }
        }
        14 if is(name, b"content-length") => length(request, value)?,
        17 if is(name, b"transfer-encoding") => coding(request, value)?,
        _ => {}
    }
    Ok(())
}

/// Whether a field of this name has a say in anything.
pub(super) fn matters(name: &[u8]) -> bool {
    match name.len() {
        4 => is(name, b"host"),
        6 => is(name, b"expect"),
        10 => is(name, b"connection"),
        14 => is(name, b"content-length"),
        17 => is(name, b"transfer-encoding"),
        _ => false,
    }
}

/// Compares a name or a token with one in lower case. Setting bit 5 makes letters lower case, and
/// of the bytes a field can hold it turns none but the right ones into a letter or a hyphen.
#[inline(always)]
fn is<const N: usize>(bytes: &[u8], lower: &[u8; N]) -> bool {
    let Ok(bytes) = <&[u8; N]>::try_from(bytes) else {
        return false;
    };
    let mut differ = 0;
    for (byte, want) in bytes.iter().zip(lower) {
        differ |= (byte | 0x20) ^ want;
    }
    differ == 0
}

/// The options of a Connection field (RFC 9110, section 7.6.1).
#[cold]
fn options(request: &mut Request, value: &[u8]) {
    for option in value.split(|b| *b == b',').map(trim) {
        request.close |= option.eq_ignore_ascii_case(b"close");
        request.keep |= option.eq_ignore_ascii_case(b"keep-alive");
    }
}

/// One decimal number, once (RFC 9110, section 8.6): a repeated one is refused even if it agrees.
#[cold]
fn length(request: &mut Request, value: &[u8]) -> Result<(), Canned> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if request.length || !digits {
        return Err(Canned::BadRequest);
    }
    // What does not fit is far beyond any limit, which is what it will be refused for.
    request.left =
        value.iter().fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    request.length = true;
    Ok(())
}

/// Only `chunked`, only once, only in HTTP/1.1 (RFC 9112, section 6.1).
#[cold]
fn coding(request: &mut Request, value: &[u8]) -> Result<(), Canned> {
    if request.chunked || request.old {
        return Err(Canned::BadRequest);
    }
    let mut codings = value.split(|b| *b == b',').map(trim);
    if value.is_empty() {
        return Err(Canned::BadRequest);
    }
    if !codings.clone().all(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return Err(Canned::NotImplemented);
    }
    request.chunked = codings.next().is_some() && codings.next().is_none();
    if request.chunked { Ok(()) } else { Err(Canned::BadRequest) }
}
