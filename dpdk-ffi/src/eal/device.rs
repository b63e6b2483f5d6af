//! Virtual devices: were those asked for really made, and what to do when not.
//!
//! Invariant: `Eal::init` succeeds only when every Ethernet device that was listed has become a port; DPDK by itself would
//! carry on without it.

use super::options::device_name;
use super::{Eal, EalOptions};
use crate::error::{Error, Result};
use crate::port::{PortId, find_port};
use crate::text;

/// DPDK's name prefixes of Ethernet drivers; other virtual devices (crypto and the like) do not become ports.
const ETHERNET: &[&str] = &["net_", "eth_"];

impl Eal {
    /// Makes a virtual device now, from the same text as [`EalOptions::vdevs`], and returns its port.
    ///
    /// # Errors
    /// When the driver is unknown or refuses; the hint says what that driver needs.
    pub fn attach_vdev(&self, devargs: &str) -> Result<PortId> {
        let name = device_name(devargs);
        let argument = text::c_string("vdev", devargs)?;
        let code = {
            let _devices = self.inner.devices();
            // SAFETY: DPDK is initialised; the string lives through the call and is copied.
            unsafe { dpdk_sys::rte_dev_probe(argument.as_ptr()) }
        };
        if code < 0 {
            // Many drivers return a bare -1, which would read as EPERM and send the reader after permissions.
            let code = if code == -1 { -libc::ENODEV } else { code };
            return Err(Error::dpdk(format!("creating device {name:?}"), code).with_hint(device_hint(name)));
        }
        find_port(self, name)
    }

    /// Lets drivers log their errors, whatever the command line says.
    fn hear_drivers(&self) {
        #[allow(clippy::cast_possible_truncation, reason = "a level is a number below 16")]
        const LEVEL: u32 = dpdk_sys::RTE_LOG_WARNING as u32;
        // SAFETY: DPDK is initialised; the pattern is a C string that is only read. A failure leaves the log as it is.
        let _ = unsafe { dpdk_sys::rte_log_set_level_pattern(c"pmd.*".as_ptr(), LEVEL) };
    }

    pub(super) fn require_devices(&self, options: &EalOptions) -> Result<()> {
        for vdev in &options.vdevs {
            let name = device_name(vdev);
            if ETHERNET.iter().any(|prefix| name.starts_with(prefix)) && find_port(self, name).is_err() {
                // Start-up swallowed the reason; asking once more, with every driver's errors in the log again, brings
                // it out.
                self.hear_drivers();
                self.attach_vdev(vdev)?;
            }
        }
        for address in &options.pci {
            let address = device_name(address);
            if !crate::port::port_names().iter().any(|name| name.contains(address)) {
                return Err(Error::dpdk(format!("finding PCI device {address:?}"), libc::ENODEV).with_hint(format!(
                    "write the address as in `lspci -D` and bind the device: dpdk-devbind.py -b vfio-pci {address}"
                )));
            }
        }
        Ok(())
    }
}

pub(super) fn device_hint(name: &str) -> String {
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let needs = match driver {
        "net_tap" | "net_tun" => {
            "run as root or with CAP_NET_ADMIN; /dev/net/tun must exist and iface= must be a free name"
        }
        "net_af_packet" => "iface= must name an existing interface; run as root or with CAP_NET_RAW",
        "net_af_xdp" => {
            "iface= must name an existing interface; run as root or with CAP_NET_ADMIN and CAP_BPF"
        }
        "net_pcap" => {
            "rx_pcap= must name a readable capture, tx_pcap= a writable place, iface= an existing interface"
        }
        "net_memif" => {
            "socket= must be a path in an existing directory (with socket-abstract=no) and role= client or server"
        }
        "net_virtio_user" => "path= must name the socket of a running vhost server or /dev/vhost-net",
        "net_vhost" | "eth_vhost" => "iface= must be a socket path in an existing directory, and not taken",
        "net_null" | "net_ring" => "check the options behind the name",
        _ => {
            "known drivers: net_tap, net_af_packet, net_af_xdp, net_memif, net_virtio_user, net_vhost, net_pcap, net_ring, net_null, \
             each followed by a number, as in net_tap0"
        }
    };
    needs.to_owned()
}
