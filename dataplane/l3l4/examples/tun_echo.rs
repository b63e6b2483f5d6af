//! Echoes TCP and UDP for every address routed to a tun device: the engine against the kernel's own TCP.
//!
//! As root: `cargo run --release -p l3l4 --example tun_echo`, then as it says.

#[cfg(target_os = "linux")]
mod common;

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use common::Echo;
    use l3l4::{Builder, Instant, L3l4, Limits, RxChecksum};
    use std::io::{ErrorKind, Read};
    use std::time::Duration;

    const MTU: u16 = 1500;
    let name = std::env::args().nth(1).unwrap_or_else(|| "l3l4".into());
    let device = tun_rs::DeviceBuilder::new()
        .name(&name)
        .mtu(MTU)
        .ipv4("10.77.0.1", 24, None)
        .ipv6("fd77::1", 64)
        .build_sync()?;
    device.set_nonblocking(true)?;
    let mut secret = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let limits = Limits { flows: 4096, udp_flows: 1024, half_open: 1024, ..Limits::default() };
    let mut engine: L3l4<Vec<u8>> = Builder::new(secret).mtu(MTU.into()).limits(limits).build()?;
    println!("every address of 10.77.0.0/24 and fd77::/64 but the first echoes on every port; try");
    println!("  head -c 100M /dev/urandom > /tmp/x; nc -N 10.77.0.2 7 < /tmp/x | cmp - /tmp/x && echo same");
    println!("  echo hello | nc -u -w1 fd77::2 9");

    let start = std::time::Instant::now();
    let mut app = Echo {
        mtu: MTU.into(),
        pool: vec![],
        // A packet that the device does not take is lost, as on any link.
        out: |packet: &[u8]| drop(device.send(packet)),
    };
    let mut packet = [0; MTU as usize];
    let mut printed = 0;
    loop {
        let now = Instant::from_micros(start.elapsed().as_micros() as u64);
        for _ in 0..32 {
            match device.recv(&mut packet) {
                Ok(len) => {
                    let _ = engine.l3_rx(&mut app, now, &mut packet[..len], 0, RxChecksum::default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_micros(20));
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        engine.l4_poll(&mut app, now);
        let seconds = start.elapsed().as_secs();
        if seconds >= printed + 10 {
            printed = seconds;
            common::print(engine.counters());
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("tun_echo needs a Linux tun device");
}
