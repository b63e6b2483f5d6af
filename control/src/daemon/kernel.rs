//! The kernel's side of net_tap ports: addresses and link, so that a configuration can be tried with one command.
//!
//! Invariant: only the interface the port's own tap made is touched; one that was there before stops the start.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::config::model::{Device, Port};

/// The interfaces of this process's network namespace. sysfs may show another one's.
const INTERFACES: &str = "/proc/self/net/dev";

/// Refuses taps whose interface is there already. The kernel would let a second process join a multi-queue tap and
/// deal its packets out to both, so that each loses flows.
///
/// # Errors
/// One line with the port, the interface and what to do.
pub(super) fn refuse_taken_taps(ports: &[Port]) -> Result<(), String> {
    // Where the list cannot be read nothing is known; the driver will say what is wrong.
    let interfaces = std::fs::read_to_string(INTERFACES).unwrap_or_default();
    for port in ports {
        let Some(Device::Vdev(vdev)) = port.attachment() else { continue };
        // Without `iface` the kernel picks a name that is free.
        let Some(interface) = vdev.argument("iface").filter(|_| vdev.driver() == "net_tap") else { continue };
        if names(&interfaces).any(|name| name == interface) {
            return Err(format!(
                "port `{}` ({}): the interface {interface} exists already, and a tap that two processes share loses \
                 flows; fix: stop the process that has it, or `ip link del {interface}` if none has, or write \
                 another `iface=`",
                port.name,
                vdev.name()
            ));
        }
    }
    Ok(())
}

/// The names in a list like /proc/net/dev: two lines of titles, then `name: numbers`.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim()))
}

/// Gives the kernel's end of a tap its addresses and sets it up.
///
/// # Errors
/// One line with what `ip` said and what to do.
pub(super) fn set_addresses(port: &Port) -> Result<(), String> {
    let Some(Device::Vdev(vdev)) = port.attachment() else { return Ok(()) };
    if port.kernel_addresses.is_empty() || vdev.driver() != "net_tap" {
        return Ok(());
    }
    // A checked port with addresses for the kernel's side names it.
    let Some(interface) = vdev.argument("iface") else { return Ok(()) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn refusal(device: &str) -> Option<String> {
        let port = format!("{{name: lan, device: \"{device}\", addresses: [10.0.0.1/24]}}");
        let loaded = parse("t", &format!("workers: [1]\nports: [{port}]\n")).unwrap();
        refuse_taken_taps(&loaded.config.ports).err()
    }

    #[test]
    fn interfaces_are_read_by_name() {
        let list = "Inter-|   Receive\n face |bytes\n    lo: 1 2\nmill0:0 0\n";
        assert_eq!(names(list).collect::<Vec<_>>(), ["lo", "mill0"]);
    }

    #[test]
    fn only_a_tap_on_an_interface_that_is_there_is_refused() {
        // Every network namespace has a loopback interface.
        let line = refusal("net_tap0,iface=lo").unwrap();
        assert!(line.contains("port `lan` (net_tap0): the interface lo exists already"), "{line}");
        assert!(line.contains("fix: ") && line.contains("ip link del lo"), "{line}");
        assert_eq!(refusal("net_tap0,iface=no-such-one"), None);
        assert_eq!(refusal("net_tap0"), None);
        assert_eq!(refusal("net_af_packet0,iface=lo"), None);
    }
}
