//! The command line.
//!
//! Invariant: every path and device of a run lies in its own directory, so two runs do not meet.

use crate::daemon::Options;
use crate::scenario::{Effort, LIVE_OF_MILLION, Scenario};
use clap::ValueEnum;
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
    /// Run only this one, or `proxy` for all of the proxy's and what they are compared with; can be given several times.
    #[arg(long, value_name = "SCENARIO", value_parser = wanted)]
    scenario: Vec<Wanted>,
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
    /// Virtual device of the appliance's upstream side, for the proxy's scenarios.
    #[arg(
        long,
        default_value = "net_memif1,role=server,socket={}/upstream.sock,socket-abstract=no,rsize=8,bsize=2112"
    )]
    upstream_server_device: String,
    /// Virtual device of the generator there.
    #[arg(
        long,
        default_value = "net_memif1,role=client,socket={}/upstream.sock,socket-abstract=no,rsize=8,bsize=2112"
    )]
    upstream_client_device: String,
}

/// One word on the command line.
#[derive(Debug, Clone)]
enum Wanted {
    One(Scenario),
    Proxy,
}

fn wanted(word: &str) -> Result<Wanted, String> {
    if word == "proxy" {
        return Ok(Wanted::Proxy);
    }
    Scenario::from_str(word, false).map(Wanted::One).map_err(|_| {
        let names: Vec<_> = Scenario::value_variants().iter().map(|scenario| scenario.name()).collect();
        format!("there are {} and proxy", names.join(", "))
    })
}

impl Args {
    pub(crate) fn effort(&self) -> Effort {
        if self.quick { Effort::quick() } else { Effort::full() }
    }

    /// The scenarios to run, in their order.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for word in &self.scenario {
            match word {
                Wanted::One(scenario) => scenarios.push(*scenario),
                Wanted::Proxy => scenarios.extend(Scenario::PROXY),
            }
        }
        if scenarios.is_empty() {
            scenarios.extend(Scenario::ALL);
        }
        scenarios.sort_unstable();
        scenarios.dedup();
        scenarios
    }

    /// Whether there has to be an upstream side.
    pub(crate) fn has_proxy(&self) -> bool {
        self.scenarios().iter().any(|scenario| scenario.terminated().is_some())
    }

    pub(crate) fn upstream_device(&self) -> io::Result<Option<String>> {
        self.has_proxy().then(|| self.place(&self.upstream_client_device)).transpose()
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
            back: self.has_proxy().then(|| self.place(&self.upstream_server_device)).transpose()?,
            live: if self.scenarios() == [Scenario::Million] { LIVE_OF_MILLION } else { 65_536 },
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
        assert_eq!((args.upstream_device().unwrap(), args.daemon().unwrap().back), (None, None));
        assert_eq!(args.scenarios(), Scenario::ALL);
    }

    #[test]
    fn the_proxys_scenarios_come_with_what_they_are_compared_with() {
        let args = Args::parse_from(["millrace-load", "--scenario", "proxy", "--scenario", "requests"]);
        assert_eq!(args.scenarios(), Scenario::PROXY);
        assert!(args.upstream_device().unwrap().unwrap().contains("net_memif1,role=client"));
        for scenario in Scenario::value_variants() {
            let args = Args::parse_from(["millrace-load", "--scenario", scenario.name()]);
            assert_eq!(args.scenarios(), [*scenario]);
            assert_eq!(args.has_proxy(), scenario.name().starts_with("proxy-"));
        }
        assert!(Args::try_parse_from(["millrace-load", "--scenario", "nothing"]).is_err());
    }
}
