//! The command line.
//!
//! Invariant: every path and device of a run lies in its own directory, so two runs do not meet.

use crate::daemon::Options;
use crate::scenario::{Effort, LIVE_OF_MILLION, Scenario};
use std::io;
use std::path::PathBuf;

/// Measures one Millrace worker over a shared-memory link.
#[derive(Debug, clap::Parser)]
#[command(name = "millrace-load", version)]
pub(crate) struct Args {
    /// The appliance.
    #[arg(long, default_value = "target/release/millrace")]
    pub(crate) millrace: PathBuf,
    /// CPU of its worker.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// CPU of the generator.
    #[arg(long, default_value_t = 1)]
    pub(crate) client_cpu: usize,
    /// One short sample of each scenario.
    #[arg(long)]
    quick: bool,
    /// Run only this one; can be given several times.
    #[arg(long, value_enum)]
    pub(crate) scenario: Vec<Scenario>,
    /// Write the numbers here.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Figures to compare with: a JSON object of scenario names and rates.
    #[arg(long)]
    pub(crate) yardstick: Option<PathBuf>,
    /// Use hugepages (2 MiB pages reserved beforehand).
    #[arg(long)]
    pub(crate) hugepages: bool,
    /// Directory for sockets, configuration and log; it must exist.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Port of the appliance's metrics on 127.0.0.1.
    #[arg(long, default_value_t = 9465)]
    listen: u16,
    /// Virtual device of the appliance; `{}` stands for the directory.
    #[arg(
        long,
        default_value = "net_memif0,role=server,socket={}/link.sock,socket-abstract=no,rsize=8,bsize=2112"
    )]
    server_device: String,
    /// Virtual device of the generator.
    #[arg(
        long,
        default_value = "net_memif0,role=client,socket={}/link.sock,socket-abstract=no,rsize=8,bsize=2112"
    )]
    client_device: String,
}

impl Args {
    pub(crate) fn effort(&self) -> Effort {
        if self.quick { Effort::quick() } else { Effort::full() }
    }

    pub(crate) fn client_device(&self) -> io::Result<String> {
        self.place(&self.client_device)
    }

    pub(crate) fn daemon(&self) -> io::Result<Options> {
        Ok(Options {
            program: self.millrace.clone(),
            cpu: self.server_cpu,
            listen: self.listen,
            hugepages: self.hugepages,
            directory: self.directory.canonicalize()?,
            device: self.place(&self.server_device)?,
            live: if self.scenario == [Scenario::Million] { LIVE_OF_MILLION } else { 65_536 },
        })
    }

    fn place(&self, device: &str) -> io::Result<String> {
        Ok(device.replace("{}", &self.directory.canonicalize()?.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn devices_are_placed_in_the_directory() {
        let args =
            Args::parse_from(["millrace-load", "--directory", "/", "--client-device", "net_x,path={}a"]);
        assert_eq!(args.client_device().unwrap(), "net_x,path=/a");
        assert!(args.daemon().unwrap().device.contains("role=server,socket=//link.sock"));
    }
}
