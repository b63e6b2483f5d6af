//! Feeds the IP packets of a capture to an engine with an echo application, on the capture's own clock, and writes
//! what comes out to another.
//!
//! `cargo run -p l3l4 --example pcap_pipe -- in.pcap out.pcap`

mod common;

use common::Echo;
use l3l4::{Builder, Instant, L3l4, RxChecksum};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use std::cell::Cell;
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::time::Duration;

/// Where the IP packet starts in a captured frame.
fn ip_part(link: DataLink, frame: &[u8]) -> Option<&[u8]> {
    match link {
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => Some(frame),
        DataLink::ETHERNET => {
            let mut at = 12;
            while matches!(frame.get(at..at + 2)?, [0x81, 0] | [0x88, 0xa8]) {
                at += 4;
            }
            matches!(frame.get(at..at + 2)?, [8, 0] | [0x86, 0xdd]).then(|| &frame[at + 2..])
        }
        _ => None,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else { return Err("usage: pcap_pipe IN.pcap OUT.pcap".into()) };
    let mut reader = PcapReader::new(File::open(input).map_err(|error| format!("{input}: {error}"))?)?;
    let link = reader.header().datalink;
    let header = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(
        BufWriter::new(File::create(output).map_err(|error| format!("{output}: {error}"))?),
        header,
    )?;
    let mut engine: Option<L3l4<Vec<u8>>> = None;
    let mut out: Vec<(Duration, Vec<u8>)> = vec![];
    let now = Cell::new(Duration::ZERO);
    let mut skipped = 0u64;
    let mut app =
        Echo { mtu: 1500, pool: vec![], out: |packet: &[u8]| out.push((now.get(), packet.to_vec())) };
    while let Some(packet) = reader.next_packet() {
        let packet = packet?;
        // A clock may not run backwards, captures now and then do.
        now.set(now.get().max(packet.timestamp));
        let at = Instant::from_micros(now.get().as_micros() as u64);
        let engine = match &mut engine {
            Some(engine) => engine,
            // Not secret: the same capture gives the same answers.
            None => engine.insert(Builder::new([7; 32]).start(at).build()?),
        };
        match ip_part(link, &packet.data) {
            Some(ip) => {
                // A drop is counted; nothing else is to be done about it.
                let _ = engine.l3_rx(&mut app, at, &mut ip.to_vec(), 0, RxChecksum::default());
            }
            None => skipped += 1,
        }
        engine.l4_poll(&mut app, at);
    }
    drop(app);
    let count = out.len();
    for (at, packet) in &out {
        writer.write_packet(&PcapPacket::new(*at, packet.len() as u32, packet))?;
    }
    println!("{count} packets written; {skipped} frames that carry no IP");
    if let Some(engine) = engine {
        common::print(engine.counters());
    }
    Ok(())
}
