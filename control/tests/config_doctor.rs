//! The doctor on made-up machines: what it finds, and the exact command it gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is the test's result")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use control::config::{Config, Host, parse, parse_for};
use control::doctor::{Check, Report, Status, System, run_on};

/// A machine made of files, removed when the test is done.
struct Machine {
    root: PathBuf,
}

impl Machine {
    /// A machine on which a net_tap port works: two CPUs, no hugepages, all rights.
    fn healthy() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("millrace-doctor-{}-{number}", std::process::id()));
        let machine = Self { root };
        let flags = "fpu sse4_2 ssse3 popcnt rdtscp constant_tsc nonstop_tsc";
        machine
            .file("proc/cpuinfo", &format!("processor\t: 0\nflags\t\t: {flags}\n"))
            .file("proc/meminfo", "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\nHugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n")
            .file("proc/self/mounts", "proc /proc proc rw 0 0\n")
            .file("proc/self/limits", "Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         8388608              8388608              bytes\n")
            .file("proc/self/status", "Name:\tx\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0\nCapEff:\t000001ffffffffff\n")
            .file("proc/self/net/tcp", "  sl  local_address rem_address   st\n")
            .file("sys/devices/system/cpu/online", "0-3\n")
            .file("sys/devices/system/cpu/present", "0-3\n")
            .file("sys/devices/system/cpu/isolated", "1\n")
            .file("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n")
            .file("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet \n")
            .file("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_tap.so.23", "")
            .file("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_af_packet.so.23", "")
            .file("dev/net/tun", "")
            .file("run/millrace/.keep", "")
    }

    /// Adds a NIC to a healthy machine, bound to vfio-pci, with hugepages and an IOMMU.
    fn with_nic() -> Self {
        let machine = Self::healthy()
            .file(
                "proc/meminfo",
                "HugePages_Total:    1024\nHugePages_Free:     1000\nHugepagesize:       2048 kB\n",
            )
            .file("proc/self/mounts", "none /dev/hugepages hugetlbfs rw 0 0\n")
            .file("sys/kernel/iommu_groups/0/type", "DMA\n")
            .file("sys/module/vfio_pci/x", "")
            .file("sys/module/vfio_iommu_type1/x", "")
            .file("sys/bus/pci/devices/0000:3b:00.0/class", "0x020000\n")
            .file("sys/bus/pci/devices/0000:3b:00.0/numa_node", "0\n")
            .file("sys/devices/system/node/node0/cpulist", "0-1\n");
        machine.driver("vfio-pci");
        machine
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        let path = self.root.join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        self
    }

    fn driver(&self, name: &str) {
        let link = self.root.join("sys/bus/pci/devices/0000:3b:00.0/driver");
        let _ = fs::remove_file(&link);
        symlink(Path::new("../../../../bus/pci/drivers").join(name), link).unwrap();
    }

    fn report(&self, config: &Config) -> Report {
        run_on(&System::at(&self.root), Some(config))
    }

    fn check(&self, config: &Config, name: &str) -> Check {
        let report = self.report(config);
        report.check(name).unwrap_or_else(|| panic!("no check {name} in\n{report}")).clone()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn config(port: &str, rest: &str) -> Config {
    let text = format!(
        "workers: [1]\nports: [{{name: lan, {port}, addresses: [10.64.0.2/24]}}]\n\
         services: [{{name: e, match: {{}}, action: terminate, application: echo}}]\n{rest}\n"
    );
    parse("x.yaml", &text).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn tap() -> Config {
    config("device: \"net_tap0,iface=mill0\"", "")
}

fn nic() -> Config {
    config("pci: \"0000:3b:00.0\"", "eal: {hugepages: true, memory_mb: 1024}")
}

fn expect(check: &Check, status: Status, found: &str, fix: &str) {
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.found.contains(found), "expected {found:?} in {check:?}");
    assert!(
        fix.is_empty() && check.fix.is_empty() || check.fix.iter().any(|step| step.contains(fix)),
        "{fix:?} in {check:?}"
    );
}

#[test]
fn a_healthy_machine_passes() {
    let report = Machine::healthy().report(&tap());
    assert_eq!(report.worst(), Status::NotApplicable, "{report}");
    let report = Machine::with_nic().report(&nic());
    assert!(report.worst() <= Status::NotApplicable, "{report}");
    assert_eq!(report.check("device lan").unwrap().found, "0000:3b:00.0 is bound to vfio-pci");
}

#[test]
fn whatever_fails_says_what_to_do() {
    let empty =
        Machine::healthy().without("proc").without("sys").without("dev").without("usr").without("run");
    for config in [tap(), nic(), config("device: \"net_af_packet0,iface=v1\"", "")] {
        for check in empty.report(&config).checks {
            let fine = matches!(check.status, Status::Pass | Status::NotApplicable);
            assert_eq!(check.fix.is_empty(), fine, "{check:?}");
        }
    }
    assert!(run_on(&System::at(&empty.root), None).worst() >= Status::Warn);
}

#[test]
fn cpus() {
    use Status::{Fail, Pass, Warn};
    let machine = Machine::healthy().file("proc/cpuinfo", "flags\t\t: fpu ssse3 popcnt\n");
    expect(&machine.check(&tap(), "cpu flags"), Fail, "missing sse4_2", "-cpu host");
    let machine = machine.file("proc/cpuinfo", "flags\t\t: sse4_2 ssse3 popcnt rdtscp\n");
    expect(&machine.check(&tap(), "cpu flags"), Warn, "missing constant_tsc, nonstop_tsc", "invtsc");

    let machine = machine.file("sys/devices/system/cpu/online", "0,2-3\n");
    expect(
        &machine.check(&tap(), "cores"),
        Fail,
        "CPU 1 is not online",
        "echo 1 > /sys/devices/system/cpu/cpu1/online",
    );
    let machine = machine.file("sys/devices/system/cpu/present", "0,2-3\n");
    expect(&machine.check(&tap(), "cores"), Fail, "CPU 1 is not online", "in `workers`: 0,2,3");
    let machine = machine.file("sys/devices/system/cpu/online", "1\n");
    expect(&machine.check(&tap(), "main thread"), Warn, "every online CPU has a worker", "leave one CPU out");
    expect(&machine.check(&tap(), "cores"), Pass, "isolated", "");
    let machine = machine.file("sys/devices/system/cpu/isolated", "\n");
    expect(&machine.check(&tap(), "cores"), Warn, "shared", "isolcpus=1 nohz_full=1");

    let clock = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let machine = machine.file(clock, "hpet\n");
    expect(&machine.check(&tap(), "clock"), Warn, "uses hpet", "echo tsc > /sys/devices/system/clocksource");
}

#[test]
fn hugepages_are_needed_only_when_asked_for() {
    use Status::{Fail, NotApplicable, Pass};
    let machine = Machine::healthy();
    expect(&machine.check(&tap(), "hugepages"), NotApplicable, "0 of 0", "");
    let asks = config("device: net_tap0", "eal: {hugepages: true, memory_mb: 512}");
    expect(&machine.check(&asks, "hugepages"), Fail, "needs 256", "echo 256 > /proc/sys/vm/nr_hugepages");
    assert!(machine.report(&asks).check("hugetlbfs").is_none(), "no mount is needed for `true`");
    let machine = machine
        .file(
            "proc/meminfo",
            "HugePages_Total:     300\nHugePages_Free:      200\nHugepagesize:       2048 kB\n",
        )
        .file("proc/self/mounts", "none /mnt/huge hugetlbfs rw 0 0\n");
    // 100 are in use; 256 free ones are needed.
    expect(&machine.check(&asks, "hugepages"), Fail, "200 of 300", "echo 356 > /proc/sys/vm/nr_hugepages");
    let there = config("device: net_tap0", "eal: {hugepages: {dir: /mnt/huge}}");
    expect(&machine.check(&there, "hugetlbfs"), Pass, "/mnt/huge", "");
    let elsewhere = config("device: net_tap0", "eal: {hugepages: {dir: /huge}}");
    expect(&machine.check(&elsewhere, "hugetlbfs"), Fail, "not mounted at /huge", "mkdir -p /huge && mount");
}

#[test]
fn pci_devices() {
    use Status::{Fail, NotApplicable, Pass, Warn};
    expect(&Machine::with_nic().check(&tap(), "iommu"), NotApplicable, "no port names", "");

    let machine = Machine::with_nic().without("sys/kernel/iommu_groups").without("sys/module/vfio_pci");
    expect(&machine.check(&nic(), "iommu"), Fail, "no IOMMU", "intel_iommu=on");
    expect(&machine.check(&nic(), "vfio"), Fail, "vfio_pci", "modprobe -a vfio_pci");
    let machine = machine.file("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    expect(&machine.check(&nic(), "iommu"), Warn, "unsafe", "iommu=pt");

    machine.driver("ixgbe");
    expect(
        &machine.check(&nic(), "device lan"),
        Fail,
        "bound to ixgbe",
        "dpdk-devbind.py -b vfio-pci 0000:3b:00.0",
    );
    let machine = machine
        .file("sys/bus/pci/devices/0000:3b:00.0/net/eth7/queues/rx-0/x", "")
        .file("sys/bus/pci/devices/0000:3b:00.0/net/eth7/queues/tx-0/x", "");
    let check = machine.check(&nic(), "device lan");
    expect(&check, Fail, "as eth7", "ip link set eth7 down");
    assert!(check.fix[0].contains("logged in"), "{check:?}");
    let many = Config {
        workers: parse("x", "workers: [1, 2]\nports: [{name: p, device: net_tap0}]").unwrap().config.workers,
        ..nic()
    };
    expect(&machine.check(&many, "queues lan"), Warn, "1 queues for 2 workers", "rx_queues: 1");
    expect(&machine.check(&many, "numa lan"), Warn, "node 0, worker CPU 2 is not", "from CPUs 0-1");

    machine.driver("mlx5_core");
    expect(&machine.check(&nic(), "device lan"), Pass, "shares with the kernel", "");
    machine.driver("uio_pci_generic");
    expect(&machine.check(&nic(), "device lan"), Warn, "no memory protection", "-b vfio-pci 0000:3b:00.0");
    let machine = machine.without("sys/bus/pci/devices/0000:3b:00.0/driver");
    expect(&machine.check(&nic(), "device lan"), Fail, "has no driver", "dpdk-devbind.py");
    let machine = machine.without("sys/bus/pci/devices/0000:3b:00.0");
    expect(&machine.check(&nic(), "device lan"), Fail, "no PCI device 0000:3b:00.0", "lspci -D");
}

#[test]
fn locked_memory_counts_for_a_nic_without_the_capability() {
    use Status::{Fail, NotApplicable, Pass};
    let status = "Uid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nGroups:\t\nCapEff:\t0000000000000000\n";
    let machine = Machine::with_nic();
    expect(&machine.check(&tap(), "memlock"), NotApplicable, "", "");
    expect(&machine.check(&nic(), "memlock"), Pass, "any amount", "");
    let machine = machine.file("proc/self/status", status);
    expect(&machine.check(&nic(), "memlock"), Fail, "8 MiB may be locked, 1024 MiB", "LimitMEMLOCK=infinity");
    let machine = machine.file(
        "proc/self/limits",
        "Max locked memory         unlimited            unlimited            bytes\n",
    );
    expect(&machine.check(&nic(), "memlock"), Pass, "unlimited", "");
}

#[test]
fn ports_that_share_the_kernels_network() {
    use Status::{Fail, Pass, Warn};
    let machine = Machine::healthy().without("dev/net/tun").file("sys/class/net/mill0/flags", "0x1003\n");
    expect(&machine.check(&tap(), "tun"), Fail, "/dev/net/tun", "modprobe tun");
    expect(&machine.check(&tap(), "tap lan"), Fail, "mill0 exists already", "ip link del mill0");
    let machine = machine.file("proc/self/status", "CapEff:\t0000000000002000\n");
    expect(
        &machine.check(&tap(), "privileges"),
        Fail,
        "missing CAP_NET_ADMIN",
        "AmbientCapabilities=CAP_NET_ADMIN",
    );

    let packet = config("device: \"net_af_packet0,iface=v1\"", "");
    expect(&machine.check(&packet, "privileges"), Pass, "CAP_NET_RAW", "");
    expect(&machine.check(&packet, "interface lan"), Fail, "no interface v1", "ip link add v1 type veth");
    let user = |path: &str| config(&format!("device: \"net_virtio_user0,path={path}\""), "");
    expect(&machine.check(&user("/dev/vhost-net"), "privileges"), Fail, "CAP_NET_ADMIN", "run as root");
    let server = user("/run/vhost.sock");
    expect(&machine.check(&server, "privileges"), Status::NotApplicable, "no port shares", "");
    let machine = machine
        .file("sys/class/net/v1/flags", "0x1002\n")
        .file("sys/class/net/v1/ifindex", "5\n")
        .file("sys/class/net/v1/iflink", "6\n")
        .file("sys/class/net/v2/ifindex", "6\n");
    expect(&machine.check(&packet, "interface lan"), Fail, "v1 is down", "ip link set v1 up");
    expect(
        &machine.check(&packet, "offloads lan"),
        Warn,
        "far side is v2",
        "ethtool -K v2 tx off rx off tso off gso off",
    );
    let machine = machine.without("sys/class/net/v2").file("sys/class/net/v1/flags", "0x1003\n");
    expect(&machine.check(&packet, "interface lan"), Pass, "is up", "");
    expect(&machine.check(&packet, "offloads lan"), Warn, "interface 6 of another namespace", "ethtool -K");
}

#[test]
fn memory_is_there_and_free() {
    use Status::{Fail, NotApplicable, Pass, Warn};
    let machine = Machine::healthy();
    let asks = |mib: u32| config("device: net_tap0", &format!("eal: {{memory_mb: {mib}}}"));
    expect(&machine.check(&asks(2048), "memory"), Pass, "2048 of 4096 MiB", "");
    expect(&machine.check(&asks(2049), "memory"), Warn, "only 2048 are available", "ps -eo rss,comm");
    expect(
        &machine.check(&asks(4097), "memory"),
        Fail,
        "this machine has, 4096 MiB",
        "lower `eal.memory_mb`",
    );
    expect(&machine.check(&nic(), "memory"), NotApplicable, "hugepages", "");
}

/// Relative to the configuration file, and that to the directory the doctor is called in.
#[test]
fn directories_are_seen_from_where_the_doctor_is_called() {
    use Status::{Fail, Pass};
    let here = std::env::current_dir().unwrap();
    let served = |directory: &str| {
        let text = format!(
            "workers: [1]\nports: [{{name: lan, device: net_tap0, addresses: [10.64.0.2/24]}}]\nservices: [{{name: web, \
             match: {{protocol: tcp}}, action: terminate, application: {{http: {{directory: {directory}}}}}}}]\n"
        );
        parse_for("x.yaml", &text, &Host { strict: false, ..Host::current(Path::new("conf/x.yaml")) })
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    };
    let inside = |path: &str| here.strip_prefix("/").unwrap().join(path).to_str().unwrap().to_owned();
    let machine = Machine::healthy().file(&inside("conf/www/index.html"), "").file("srv/www/x", "");
    expect(&machine.check(&served("www"), "directory web"), Pass, "conf/www", "");
    expect(&machine.check(&served("./www/../www"), "directory web"), Pass, "conf/", "");
    expect(&machine.check(&served("/srv/www"), "directory web"), Pass, "/srv/www", "");
    let elsewhere = machine.file("www/x", "").file("conf/other/x", "");
    for missing in ["other", "/www/none"] {
        expect(
            &elsewhere.check(&served(missing), "directory web"),
            Fail,
            "there is no directory",
            "mkdir -p",
        );
    }
}

#[test]
fn files_and_sockets() {
    use Status::{Fail, NotApplicable, Pass, Warn};
    let memif = config("device: net_memif0", "");
    let machine = Machine::healthy();
    expect(&machine.check(&memif, "dpdk drivers"), Fail, "no net_memif", "apt install librte-net-memif23");
    expect(&machine.check(&tap(), "dpdk drivers"), Pass, "pmds-23.0", "");
    let machine = machine.without("usr");
    expect(&machine.check(&tap(), "dpdk drivers"), Warn, "no pmds directory", "apt install");

    expect(&machine.check(&tap(), "admin socket"), Pass, "/run/millrace is writable", "");
    let machine = machine.without("run/millrace");
    expect(&machine.check(&tap(), "admin socket"), Pass, "is made at start", "");
    let machine = machine.without("run");
    expect(&machine.check(&tap(), "admin socket"), Fail, "no directory /run", "mkdir -p /run/millrace");
    let machine = machine
        .file("run/millrace/x", "")
        .file("proc/self/status", "Uid:\t7\t4242\t7\t7\nGid:\t7\t4242\t7\t7\n");
    expect(&machine.check(&tap(), "admin socket"), Fail, "not writable", "chown 4242 /run/millrace");

    // 127.0.0.1:9464 in LISTEN, then the same port in ESTABLISHED only, then another address, then any address.
    let line = |address: &str, state: &str| {
        format!("  sl  local_address rem_address   st\n   0: {address}:24F8 00000000:0000 {state} 0\n")
    };
    let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
    let machine = machine.file("proc/self/net/tcp", &line(&loopback, "0A"));
    expect(
        &machine.check(&tap(), "metrics port"),
        Fail,
        "listens on 127.0.0.1:9464",
        "ss -ltnp 'sport = :9464'",
    );
    let machine = machine.file("proc/self/net/tcp", &line(&loopback, "01"));
    expect(&machine.check(&tap(), "metrics port"), Pass, "is free", "");
    let other = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 2]));
    let machine = machine.file("proc/self/net/tcp", &line(&other, "0A"));
    expect(&machine.check(&tap(), "metrics port"), Pass, "is free", "");
    let machine = machine.file("proc/self/net/tcp6", &line(&"0".repeat(32), "0A"));
    expect(&machine.check(&tap(), "metrics port"), Fail, "listens on", "ss -ltnp");
    let off = config("device: net_tap0", "metrics: {listen: off}");
    expect(&machine.check(&off, "metrics port"), NotApplicable, "off", "");
    let open = config("device: net_tap0", "metrics: {listen: \"0.0.0.0:9000\"}");
    expect(&machine.check(&open, "metrics access"), Warn, "without authentication", "loopback");
}

#[test]
fn the_report_is_text_and_json() {
    let machine = Machine::healthy().without("dev/net/tun");
    let report = machine.report(&tap());
    let text = report.to_string();
    assert!(text.lines().any(|line| line.starts_with("FAIL  tun ")), "{text}");
    assert!(text.contains("fix: modprobe tun"), "{text}");
    assert!(text.trim_end().ends_with("1 failed"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    let tun = json["checks"].as_array().unwrap().iter().find(|check| check["name"] == "tun").unwrap();
    assert_eq!(tun["status"], "fail");
    assert_eq!(tun["fix"].as_array().unwrap().len(), 2);
    assert_eq!(report.worst(), Status::Fail);
}
