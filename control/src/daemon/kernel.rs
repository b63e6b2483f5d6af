//! The kernel's side of net_tap ports: addresses and link, so that a configuration can be tried with one command.
//!
//! Invariant: only the interface the port's own tap made is touched.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::config::model::{Device, Port};

/// Gives the kernel's end of a tap its addresses and sets it up.
///
/// # Errors
/// One line with what `ip` said and what to do.
pub(super) fn set_addresses(port: &Port) -> Result<(), String> {
    let Some(Device::Vdev(vdev)) = port.attachment() else { return Ok(()) };
    if port.kernel_addresses.is_empty() || vdev.driver() != "net_tap" {
        return Ok(());
    }
    // What the driver names its interface if it is not told.
    let interface = vdev.argument("iface").unwrap_or("dtap0");
    for own in &port.kernel_addresses {
        let mut arguments = vec!["addr", "replace"];
        let address = own.to_string();
        arguments.extend([address.as_str(), "dev", interface]);
        if own.address.is_ipv6() {
            // Duplicate address detection would keep the address from being used for a second.
            arguments.push("nodad");
        }
        ip(&arguments)?;
    }
    ip(&["link", "set", interface, "up"])
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let line = format!("ip {}", arguments.join(" "));
    let run = Command::new("ip").args(arguments).env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).output();
    let output = run.map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::NotFound => "install iproute2, or remove `kernel_addresses` and set them yourself",
            _ => "remove `kernel_addresses` and set them yourself",
        };
        format!("`{line}`: {error}; fix: {fix}")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("failed without a word");
    let fix = if said.contains("not permitted") {
        "run with CAP_NET_ADMIN, or remove `kernel_addresses` and set them yourself"
    } else {
        "correct `kernel_addresses`, or remove it and set them yourself"
    };
    Err(format!("`{line}`: {said}; fix: {fix}"))
}
