//! The appliance under load: its configuration and its process.
//!
//! Invariant: the process ends with this one: the kernel is told to stop it when its parent is gone.

use crate::metrics::Metrics;
use crate::{upstream, wire};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// TCP and UDP ports of the configuration.
pub(crate) mod port {
    pub(crate) const ECHO: u16 = 7;
    pub(crate) const DISCARD: u16 = 9;
    pub(crate) const CHARGEN: u16 = 19;
    pub(crate) const HTTP: u16 = 80;
    /// Joined to servers, of HTTP, endless answers and datagrams.
    pub(crate) const PROXY_HTTP: u16 = 81;
    pub(crate) const PROXY_BULK: u16 = 82;
    pub(crate) const PROXY_ECHO: u16 = 83;
    /// No service.
    pub(crate) const NOBODY: u16 = 9999;
}

/// What the HTTP service answers.
pub(crate) const BODY: &str = "hello from millrace\n";
/// A worker leaves its numbers every 100 ms.
const SETTLE: Duration = Duration::from_millis(220);

/// What the daemon is started with.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) program: PathBuf,
    pub(crate) cpu: usize,
    pub(crate) listen: u16,
    pub(crate) hugepages: bool,
    /// Directory for socket, configuration and log.
    pub(crate) directory: PathBuf,
    /// The virtual device.
    pub(crate) device: String,
    /// That of the upstream side, for the proxy's scenarios.
    pub(crate) back: Option<String>,
    /// Connections that may have a stack at a time (`limits.live`).
    pub(crate) live: u32,
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    listen: u16,
}

/// The configuration of the run.
fn configuration(options: &Options) -> String {
    let Options { cpu, listen, hugepages, directory, device, back, live, .. } = options;
    let (back_port, back_services) = back.as_deref().map(upstream_side).unwrap_or_default();
    let directory = directory.display();
    let mac = mac(crate::wire::SERVER_MAC);
    format!(
        "workers: [{cpu}]
eal: {{hugepages: {hugepages}, memory_mb: 512, file_prefix: millrace-bench}}
mempool: {{mbufs: 32768, cache: 512}}
ports:
  - name: link
    device: {device}
    mac: \"{mac}\"
    addresses: [10.64.0.1/16]
    offloads: {{checksum: off}}
{back_port}services:
  - {{name: web, match: {{protocol: tcp, port: {http}}}, action: terminate, application: {{http: {{body: {BODY:?}}}}}}}
  - {{name: echo, match: {{port: {echo}}}, action: terminate, application: echo}}
  - {{name: discard, match: {{protocol: tcp, port: {discard}}}, action: terminate, application: discard}}
  - {{name: chargen, match: {{protocol: tcp, port: {chargen}}}, action: terminate, application: chargen}}
{back_services}limits: {{flows: 1048576, live: {live}, half_open: 65536, half_open_per_source: 0}}
idle: {{mode: busy}}
metrics: {{listen: \"127.0.0.1:{listen}\"}}
admin: {{socket: {directory}/admin.sock}}
log: {{level: warn}}
shutdown: {{drain: 0s}}
",
        http = port::HTTP,
        echo = port::ECHO,
        discard = port::DISCARD,
        chargen = port::CHARGEN,
    )
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

/// The port of the upstream side, and the services that are joined to the servers there.
fn upstream_side(device: &str) -> (String, String) {
    let mac = mac(wire::BACK_MAC);
    let sources: Vec<_> = (0..upstream::SOURCES)
        .map(|n| format!("{}/16", Ipv4Addr::from_bits(upstream::FIRST_SOURCE + n)))
        .collect();
    let sources = sources.join(", ");
    let port = format!(
        "  - name: upstream
    device: {device}
    mac: \"{mac}\"
    addresses: [{sources}]
    offloads: {{checksum: off}}
"
    );
    let group = |name: &str, port: u16| {
        let servers = (0..upstream::SERVERS).map(upstream::server).map(Ipv4Addr::from_bits);
        let servers: Vec<_> = servers.map(|server| format!("{{address: \"{server}:{port}\"}}")).collect();
        format!("  - {{name: {name}, balance: round_robin, servers: [{}]}}\n", servers.join(", "))
    };
    let service = |group: &str, protocol: &str, port: u16| {
        format!(
            "  - {{name: proxy-{group}, match: {{protocol: {protocol}, port: {port}}}, action: proxy, \
             proxy: {{upstream: {group}, source: own}}}}\n"
        )
    };
    let services = [
        service("web", "tcp", port::PROXY_HTTP),
        service("bulk", "tcp", port::PROXY_BULK),
        service("echo", "udp", port::PROXY_ECHO),
        "upstreams:\n".into(),
        group("web", port::HTTP),
        group("bulk", port::CHARGEN),
        group("echo", port::ECHO),
    ];
    (port, services.concat())
}

impl Daemon {
    /// Starts the daemon and waits until it serves its metrics.
    pub(crate) fn start(options: &Options) -> io::Result<Self> {
        let file = options.directory.join("millrace.yaml");
        fs::write(&file, configuration(options))?;
        // Sockets that an earlier run left behind would be taken for ones in use.
        for socket in ["link.sock", "upstream.sock"] {
            let _ = fs::remove_file(options.directory.join(socket));
        }
        let log = fs::File::create(options.directory.join("millrace.log"))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(&options.program)
            .arg("run")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut daemon = Self { child, listen: options.listen };
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = daemon.child.try_wait()? {
                return Err(io::Error::other(format!("{} ended: {status}", options.program.display())));
            }
            if daemon.metrics().is_ok() {
                return Ok(daemon);
            }
            if Instant::now() >= end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no metrics within 30 s"));
            }
            sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its numbers once the last packets are in them.
    pub(crate) fn settled(&self) -> io::Result<Metrics> {
        sleep(SETTLE);
        self.metrics()
    }

    fn metrics(&self) -> io::Result<Metrics> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.listen))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Metrics::parse(&text))
    }

    /// Stops it and waits.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let end = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= end {
                self.child.kill()?;
                self.child.wait()?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, "did not stop within 10 s"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The end of the daemon's log, for whoever has to say why it does not run.
pub(crate) fn log_tail(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join("millrace.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already reaped after `stop`; otherwise something went wrong, and it must not stay behind.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxys_scenarios_have_an_upstream_side() {
        let mut options = Options {
            program: PathBuf::new(),
            cpu: 0,
            listen: 9,
            hugepages: false,
            directory: PathBuf::from("/d"),
            device: "net_memif0".into(),
            back: None,
            live: 7,
        };
        let plain = configuration(&options);
        assert!(!plain.contains("upstream") && !plain.contains("proxy"), "{plain}");
        options.back = Some("net_memif1".into());
        let text = configuration(&options);
        for line in [
            "  - name: upstream\n    device: net_memif1\n    mac: \"02:00:00:00:00:03\"\n    addresses: [10.65.0.1/16, 10.65.0.2/16]\n",
            "{name: echo, balance: round_robin, servers: [{address: \"10.65.1.0:7\"}, {address: \"10.65.1.1:7\"}, ",
            "action: proxy, proxy: {upstream: web, source: own}}\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
