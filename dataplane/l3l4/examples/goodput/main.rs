//! Goodput over a simulated link: `cargo run --release -p l3l4 --example goodput`.
//!
//! Without arguments the engine sends to a model of a receiver, on a virtual clock. With `kernel`, as root on Linux,
//! the same link runs in real time between tun devices: the engine and then Linux send to a Linux receiver.

mod link;
mod model;
mod server;

#[cfg(target_os = "linux")]
mod kernel;

use l3l4::CongestionControl;
use link::Path;

/// Round-trip times in microseconds.
const RTTS: [u64; 3] = [1_000, 20_000, 100_000];
/// Packets lost per hundred thousand.
const LOSSES: [u64; 4] = [0, 100, 1_000, 3_000];
const WINDOWS: [usize; 2] = [64 << 10, 4 << 20];

fn megabits(bytes: u64, seconds: u64) -> f64 {
    bytes as f64 * 8.0 / 1e6 / seconds as f64
}

/// All paths of the table.
fn paths() -> impl Iterator<Item = Path> {
    RTTS.into_iter().flat_map(|rtt| LOSSES.into_iter().map(move |loss| Path { rate: 100, rtt, loss }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match arguments.first().map(String::as_str) {
        #[cfg(target_os = "linux")]
        Some("kernel") => return kernel::table(arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(5)),
        #[cfg(target_os = "linux")]
        Some("receive") => return kernel::receive(&arguments[1..]),
        #[cfg(target_os = "linux")]
        Some("serve") => return kernel::serve(),
        _ => {}
    }
    let seconds = arguments.first().and_then(|n| n.parse().ok()).unwrap_or(30);
    println!("goodput in Mbit/s, 100 Mbit/s link, {seconds} s of virtual time");
    println!(
        "window KiB  RTT ms  loss %     stack     reno    cubic   cubic: fast  probes  timeouts  spurious"
    );
    for (window, path) in WINDOWS.into_iter().flat_map(|window| paths().map(move |path| (window, path))) {
        print!("{:>10} {:>7} {:>7}", window >> 10, path.rtt / 1000, path.loss as f64 / 1000.0);
        let mut counters = None;
        for kind in [CongestionControl::Stack, CongestionControl::Reno, CongestionControl::Cubic] {
            let (bytes, counted) = model::run(path, window, kind, seconds);
            print!(" {:>8.2}", megabits(bytes, seconds));
            counters = Some(counted);
        }
        let c = counters.unwrap_or_default();
        println!(
            "      {:>8} {:>7} {:>9} {:>9}",
            c.tcp_fast_retransmits, c.tcp_tail_probes, c.tcp_timeouts, c.tcp_spurious
        );
    }
    Ok(())
}
