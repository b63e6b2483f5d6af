//! From the command line to the exit code.
//!
//! Invariant: what was asked for goes to standard output, everything else to standard error.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command, Shutdown};
use crate::client::{ClientError, ask};
use crate::protocol::{Answer, Request};
use crate::{EXIT_NO_DAEMON, EXIT_OK, EXIT_REFUSED, table, views, watch};

/// Why a command failed.
pub(super) enum Failure {
    Client(ClientError),
    Output(io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (code, line) = match execute(&arguments, &mut io::stdout()) {
        Ok(code) => (code, None),
        // Whoever read the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => (EXIT_OK, None),
        Err(Failure::Output(error)) => (EXIT_REFUSED, Some(format!("cannot write the output: {error}"))),
        Err(Failure::Client(error @ ClientError::Refused(_))) => (EXIT_REFUSED, Some(error.to_string())),
        Err(Failure::Client(error)) => (EXIT_NO_DAEMON, Some(error.to_string())),
    };
    if let Some(line) = line {
        let _ = writeln!(io::stderr(), "millctl: {line}");
    }
    ExitCode::from(code)
}

fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Failure> {
    let socket = &arguments.socket;
    match &arguments.command {
        Command::Show { what } => {
            let form = what.form();
            if let Some(seconds) = form.watch {
                return watch::run(socket, what, form.json, seconds, out).map(|()| EXIT_OK);
            }
            let answer = ask(socket, what.request())?;
            show(&answer, what.all(), form.json, out)?;
            Ok(EXIT_OK)
        }
        Command::Reload { json } => reload(socket, *json, out),
        Command::Upstream { what } => {
            let (request, json) = what.request();
            show(&ask(socket, request)?, false, json, out)?;
            Ok(EXIT_OK)
        }
        Command::Shutdown { what: Shutdown::Flow { flow: (worker, id), json } } => {
            let request = Request::ShutdownFlow { worker: *worker, id: id.clone() };
            show(&ask(socket, request)?, false, *json, out)?;
            Ok(EXIT_OK)
        }
        Command::Version { json } => {
            if !json {
                writeln!(out, "millctl   {}", env!("CARGO_PKG_VERSION"))?;
            }
            show(&ask(socket, Request::Version)?, false, *json, out)?;
            Ok(EXIT_OK)
        }
    }
}

fn reload(socket: &Path, json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let answer = ask(socket, Request::Reload)?;
    show(&answer, false, json, out)?;
    let succeeded = matches!(answer, Answer::Reload(outcome) if outcome.succeeded);
    Ok(if succeeded { EXIT_OK } else { EXIT_REFUSED })
}

fn show(answer: &Answer, all: bool, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, &views::json(answer))?;
        writeln!(out)?;
    } else {
        write!(out, "{}", table::render(&views::tables(answer, all), None))?;
    }
    out.flush()
}
