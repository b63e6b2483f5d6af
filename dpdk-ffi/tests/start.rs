//! Starting DPDK: a device that does not come up stops the start, and there is no second start.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dpdk_ffi::Error;
use dpdk_ffi::eal::{Eal, EalOptions};

#[test]
fn a_missing_device_stops_the_start_and_there_is_only_one() {
    let twice = EalOptions { vdevs: vec!["net_null0".into(), "net_null0".into()], ..Default::default() };
    assert!(matches!(Eal::init(&twice), Err(Error::Invalid { .. })), "refused before DPDK is touched");

    let missing = "net_pcap0,rx_pcap=/nonexistent/file.pcap";
    let options =
        EalOptions { memory_mb: 64, vdevs: vec!["net_null0".into(), missing.into()], ..Default::default() };
    let error = Eal::init(&options).unwrap_err();
    let text = error.to_string();
    assert!(error.errno().is_some());
    assert!(
        text.starts_with("creating device \"net_pcap0\": ") && text.contains("; fix: rx_pcap= must name"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);

    let error = Eal::init(&EalOptions::default()).unwrap_err();
    assert_eq!(error, Error::AlreadyInitialised);
    assert_eq!(error.errno(), Some(libc::EALREADY));
    assert!(error.hint().contains("new process") && error.to_string().contains("fix: "), "{error}");
}
