//! The arguments of `millrace-viewer`.
//!
//! Invariant: what parses here can be run; what cannot is told before anything is opened.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Where the daemon binds its PUSH socket unless it is told otherwise.
pub(crate) const DEFAULT_ENDPOINT: &str = "ipc:///run/millrace/events.sock";
const MIB: u64 = 1 << 20;

/// Shows the events that Millrace pushes over ZeroMQ in a browser.
///
/// Exit codes: 0 stopped as told, 1 could not start, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "millrace-viewer", version)]
pub(crate) struct Arguments {
    /// Connect to this ZeroMQ endpoint; several may be given [default: ipc:///run/millrace/events.sock].
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint)]
    pub(crate) connect: Vec<String>,
    /// Bind this ZeroMQ endpoint for daemons that connect; several may be given.
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint)]
    pub(crate) bind: Vec<String>,
    /// Subscribe (SUB, to a PUB socket) instead of taking a share of what is pushed (PULL).
    #[arg(long)]
    pub(crate) subscribe: bool,
    /// Serve HTTP here. Anything but a loopback address asks for a token.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9466")]
    pub(crate) listen: SocketAddr,
    /// Ask for the token in this file (at least 16 characters, one line). Without it one is made up and printed where
    /// `--listen` asks for one.
    #[arg(long, value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
    /// Keep at most this many events; the oldest go first.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pub(crate) events: u64,
    /// Keep at most this many bytes of events; K, M and G stand for KiB, MiB and GiB.
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = bytes_to_keep)]
    pub(crate) bytes: u64,
    /// Stop taking off a content coding (gzip...) behind this many bytes; K, M and G as above.
    #[arg(long, value_name = "BYTES", default_value = "16M", value_parser = bytes_to_decode)]
    pub(crate) decode_limit: u64,
    /// The most connections of browsers at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(4..=1024))]
    pub(crate) clients: u32,
}

impl Arguments {
    /// The endpoints to connect to: the default one where none at all is named.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        if self.connect.is_empty() && self.bind.is_empty() {
            return vec![DEFAULT_ENDPOINT.to_owned()];
        }
        self.connect.clone()
    }
}

fn endpoint(text: &str) -> Result<String, String> {
    let known =
        ["tcp://", "ipc://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if known { Ok(text.to_owned()) } else { Err("write tcp://ADDRESS:PORT or ipc://PATH".to_owned()) }
}

fn bytes_to_keep(text: &str) -> Result<u64, String> {
    bytes(text, MIB, 1 << 40)
}

fn bytes_to_decode(text: &str) -> Result<u64, String> {
    bytes(text, 1 << 10, 1 << 30)
}

fn bytes(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("write a number, and behind it K, M, G or nothing".to_owned()),
    };
    let number: u64 =
        digits.parse().map_err(|_| "write a number, and behind it K, M, G or nothing".to_owned())?;
    match number.checked_mul(1 << shift) {
        Some(bytes) if (least..=most).contains(&bytes) => Ok(bytes),
        _ => Err(format!("it must be between {least} and {most} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_default_endpoint_gives_way_to_any_other() {
        let parse =
            |words: &[&str]| Arguments::try_parse_from([&["millrace-viewer"], words].concat()).unwrap();
        assert_eq!(parse(&[]).endpoints(), [DEFAULT_ENDPOINT]);
        assert!(parse(&["--bind", "tcp://127.0.0.1:1"]).endpoints().is_empty());
        assert_eq!(parse(&["--connect", "ipc:///x"]).endpoints(), ["ipc:///x"]);
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(bytes_to_keep("2M"), Ok(2 * MIB));
        assert_eq!(bytes_to_keep("1048576"), Ok(MIB));
        for wrong in ["", "M", "1", "x", "1MM", "1T", "99999999999G", "1024KM"] {
            assert!(bytes_to_keep(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_have_a_scheme() {
        assert!(endpoint("tcp://127.0.0.1:5").is_ok());
        for wrong in ["", "tcp://", "127.0.0.1:5", "http://x"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
