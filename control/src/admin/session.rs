//! One session on the admin socket: requests in, answers out, one after the other.
//!
//! Invariant: at most one request and its answer are in memory; a request longer than its bound ends the session.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Shared, show, write_line};
use crate::protocol::{
    Answer, MAX_REQUEST, Message, Outcome, Refusal, RefusalCode, Reply, Request, VERSION, to_line,
};
use crate::snapshot::Source;

/// What came in.
enum Input {
    Line,
    TooLong,
    /// The client is gone, was silent too long, or ended in the middle of a line.
    End,
}

pub(super) async fn run<S: Source>(stream: UnixStream, shared: &Shared<S>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(MAX_REQUEST as u64);
        let input = match timeout(shared.bounds.idle, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(_)) if line.ends_with(b"\n") => Input::Line,
            Ok(Ok(_)) if line.len() >= MAX_REQUEST => Input::TooLong,
            _ => Input::End,
        };
        let parsed = match input {
            Input::End => return,
            Input::TooLong => {
                let message = format!("the request is longer than {MAX_REQUEST} bytes: shorten it");
                Err(Refusal::new(RefusalCode::TooLong, message))
            }
            Input::Line => parse(&line),
        };
        let listing = matches!(parsed, Ok(Request::Flows(_) | Request::Sessions(_)));
        let place = match listing {
            true => timeout(shared.bounds.listing, shared.listings.acquire()).await.ok(),
            false => None,
        };
        let outcome = match parsed {
            Ok(_) if listing && place.is_none() => Err(Refusal::new(
                RefusalCode::Busy,
                "another session is listing flows: try again in a few seconds",
            )),
            Ok(request) => answer(&*shared.source, request).await,
            Err(refusal) => Err(refusal),
        };
        shared.tally.request(outcome.is_ok());
        let outcome = match outcome {
            Ok(answer) => Outcome::Answer(answer),
            Err(refusal) => Outcome::Error(refusal),
        };
        let Ok(reply) = to_line(&Reply { version: VERSION, outcome }) else { return };
        if !write_line(&mut writer, &reply, shared.bounds.write).await || matches!(input, Input::TooLong) {
            return;
        }
    }
}

fn parse(line: &[u8]) -> Result<Request, Refusal> {
    // The version first: a newer client's request may have keys that are not known here.
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let malformed = |error: serde_json::Error| {
        let example = r#"{"version":1,"request":"workers"}"#;
        Refusal::new(RefusalCode::Malformed, format!("not a request: {error}: write a line like {example}"))
    };
    let Version { version } = serde_json::from_slice(line).map_err(malformed)?;
    if version != VERSION {
        let message = format!(
            "the client speaks version {version} of the protocol, the daemon {VERSION}: use the millctl that came \
             with the daemon"
        );
        return Err(Refusal::new(RefusalCode::Version, message));
    }
    serde_json::from_slice::<Message>(line).map(|message| message.request).map_err(malformed)
}

async fn answer<S: Source>(source: &S, request: Request) -> Result<Answer, Refusal> {
    Ok(match request {
        Request::Workers => Answer::Workers(source.look(show::workers)),
        Request::Ports => Answer::Ports(source.look(show::ports)),
        Request::Flows(query) => Answer::Flows(source.flows(query).await?),
        Request::Neighbours => {
            let neighbours = source.neighbours();
            Answer::Neighbours(source.look(|now| show::neighbours(now, &neighbours)))
        }
        Request::Mempools => Answer::Mempools(source.look(show::mempools)),
        Request::Services => Answer::Services(source.look(show::services)),
        Request::Drops => Answer::Drops(source.look(show::drops)),
        Request::Config => Answer::Config(source.config()),
        Request::Version => Answer::Version(source.look(show::version)),
        Request::Reload => Answer::Reload(source.reload().await),
        Request::Upstreams => Answer::Upstreams(source.look(show::upstreams)),
        Request::Sessions(query) => Answer::Sessions(source.sessions(query).await?),
        Request::UpstreamSet { upstream, server, to } => {
            Answer::Done(source.upstream_set(&upstream, &server, to)?)
        }
        Request::ShutdownFlow { worker, id } => Answer::Done(source.shutdown_flow(worker, &id).await?),
    })
}
