//! The same link in real time, between tun devices in two network namespaces that are made for the purpose.

use crate::link::{Link, Path};
use crate::server::Server;
use crate::{WINDOWS, megabits, paths};
use l3l4::TxChecksum;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tun_rs::SyncDevice;

const SENDER: &str = "goodput-tx";
const RECEIVER: &str = "goodput-rx";
const PORT: u16 = 19;

fn run(command: &str) -> Result<(), Box<dyn Error>> {
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().unwrap_or_default()).args(words).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}").into()) }
}

/// A namespace with a tun device, both gone when dropped.
struct Namespace {
    name: &'static str,
    device: SyncDevice,
}

impl Namespace {
    fn new(name: &'static str, address: &str) -> Result<Self, Box<dyn Error>> {
        let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
        run(&format!("ip netns add {name}"))?;
        let device = tun_rs::DeviceBuilder::new().name(name).mtu(1500).build_sync()?;
        device.set_nonblocking(true)?;
        run(&format!("ip link set {name} netns {name}"))?;
        run(&format!("ip -n {name} addr add {address}/24 dev {name}"))?;
        run(&format!("ip -n {name} link set {name} up"))?;
        Ok(Self { name, device })
    }

    fn set(&self, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
        let status = Command::new("ip")
            .args(["netns", "exec", self.name, "sysctl", "-qw", &format!("{key}={value}")])
            .status()?;
        if status.success() { Ok(()) } else { Err(format!("sysctl {key}: {status}").into()) }
    }

    fn start(&self, arguments: &[&str]) -> Result<Child, Box<dyn Error>> {
        let this = std::env::current_exe()?;
        Ok(Command::new("ip")
            .args(["netns", "exec", self.name])
            .arg(this)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", self.name]).status();
    }
}

/// Connects and reads for as many seconds as said; prints how many bytes came.
pub(crate) fn receive(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let seconds: u64 = arguments.first().and_then(|n| n.parse().ok()).unwrap_or(5);
    let mut stream = TcpStream::connect(("10.0.0.2", PORT))?;
    let (start, mut bytes, mut buffer) = (Instant::now(), 0, vec![0; 1 << 18]);
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    while start.elapsed() < Duration::from_secs(seconds) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => bytes += n,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    println!("{bytes}");
    Ok(())
}

/// Accepts one connection and writes until it ends.
pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("10.0.0.2", PORT))?;
    let (mut stream, _) = listener.accept()?;
    let data = vec![0; 1 << 16];
    while stream.write_all(&data).is_ok() {}
    Ok(())
}

/// What sends: the engine, or Linux in a namespace.
enum Sender {
    Engine(Box<Server>),
    Linux(Namespace),
}

/// Carries packets between the two until the receiver ends; returns how many bytes it got.
fn carry(path: Path, receiver: &Namespace, mut sender: Sender, seconds: u64) -> Result<u64, Box<dyn Error>> {
    let mut served = match &sender {
        Sender::Linux(namespace) => Some(namespace.start(&["serve"])?),
        Sender::Engine(_) => None,
    };
    if served.is_some() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut child = receiver.start(&["receive", &seconds.to_string()])?;
    let (mut up, mut down) = (Link::new(path, false), Link::new(path, true));
    let (start, mut buffer) = (Instant::now(), [0; 2048]);
    let limit = Duration::from_secs(seconds + 10);
    let mut turns = 0u32;
    while start.elapsed() < limit {
        let now = start.elapsed().as_micros() as u64 + 1_000_000;
        for _ in 0..64 {
            let Ok(n) = receiver.device.recv(&mut buffer) else { break };
            if buffer[0] >> 4 == 4 {
                up.send(now, buffer[..n].to_vec());
            }
        }
        match &mut sender {
            Sender::Engine(server) => {
                while let Some(mut packet) = up.take(now) {
                    server.give(now, &mut packet);
                }
                for packet in server.turn(now).0 {
                    down.send(now, packet);
                }
            }
            Sender::Linux(namespace) => {
                while let Some(packet) = up.take(now) {
                    let _ = namespace.device.send(&packet);
                }
                for _ in 0..64 {
                    let Ok(n) = namespace.device.recv(&mut buffer) else { break };
                    if buffer[0] >> 4 == 4 {
                        down.send(now, buffer[..n].to_vec());
                    }
                }
            }
        }
        while let Some(packet) = down.take(now) {
            let _ = receiver.device.send(&packet);
        }
        turns += 1;
        if turns.is_multiple_of(256) && child.try_wait()?.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_micros(30));
    }
    let _ = child.kill();
    let output = child.wait_with_output()?;
    if let Some(child) = &mut served {
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0))
}

/// A namespace with a Linux sender whose send buffer is bounded by `buffer` bytes, or as Linux would have it.
fn linux(buffer: Option<usize>) -> Result<Namespace, Box<dyn Error>> {
    let linux = Namespace::new(SENDER, "10.0.0.2")?;
    if let Some(buffer) = buffer {
        linux.set("net.ipv4.tcp_wmem", &format!("4096 {buffer} {buffer}"))?;
    }
    // By the route: the system's default may be another, and a namespace may not choose every one.
    run(&format!("ip -n {SENDER} route replace 10.0.0.0/24 dev {SENDER} congctl cubic"))?;
    linux.set("net.ipv4.tcp_no_metrics_save", "1")?;
    Ok(linux)
}

/// A Linux receiver that advertises at most `window` bytes, or as much as Linux would have it.
fn receiver(window: Option<usize>) -> Result<Namespace, Box<dyn Error>> {
    let namespace = Namespace::new(RECEIVER, "10.0.0.1")?;
    if let Some(window) = window {
        // Or the receiver raises the bound itself.
        namespace.set("net.ipv4.tcp_moderate_rcvbuf", "0")?;
        run(&format!("ip -n {RECEIVER} route replace 10.0.0.0/24 dev {RECEIVER} window {window}"))?;
    }
    Ok(namespace)
}

/// Prints the table, `seconds` for each measurement.
pub(crate) fn table(seconds: u64) -> Result<(), Box<dyn Error>> {
    println!("goodput in Mbit/s to a Linux receiver, 100 Mbit/s link, {seconds} s each");
    println!("                     windows of 64 KiB           large windows");
    println!("RTT ms  loss %     l3l4    Linux   ratio     l3l4    Linux   ratio");
    for path in paths() {
        print!("{:>6} {:>7}", path.rtt / 1000, path.loss as f64 / 1000.0);
        // The engine with nothing said, and Linux held to the same window; then the engine with a large buffer, and
        // Linux with nothing said.
        for (ours, theirs) in [(None, Some(WINDOWS[0])), (Some(WINDOWS[1]), None)] {
            let engine = Server::new(ours, None, TxChecksum::Software);
            let engine = carry(path, &receiver(theirs)?, Sender::Engine(Box::new(engine)), seconds)?;
            let linux = linux(theirs.map(|window| 3 * window))?;
            let linux = carry(path, &receiver(theirs)?, Sender::Linux(linux), seconds)?;
            let (engine, linux) = (megabits(engine, seconds), megabits(linux, seconds));
            print!(" {engine:>8.2} {linux:>8.2} {:>7.2}", engine / linux);
        }
        println!();
    }
    Ok(())
}
