//! `/api/exchanges/ID/request/body` and `.../response/body`: bodies as files, with their codings or without.
//!
//! Invariant: whatever a body is, it goes out as bytes to keep, never as a document.

use hyper::header::HeaderValue;

use super::answer::{Answer, Payload, Problem, file};
use super::query::Query;
use super::{Server, exchanges};

pub(super) async fn get(server: &Server, id: &str, side: &str, query: &Query) -> Result<Answer, Problem> {
    let exchange = exchanges::find(server, id)?;
    let message = match side {
        "request" => exchange.request.clone(),
        _ => exchange.response.clone(),
    };
    let message = message.ok_or_else(Problem::gone)?;
    let name = format!("exchange-{}-{side}.bin", exchange.id);
    let binary = "application/octet-stream";
    if !query.is_set("decode") {
        return Ok(file(&name, binary, Payload::Whole(message.payload.clone())));
    }
    let decoded = server.work(move |shared| shared.limits.decode(&message)).await?;
    let mut answer = file(&name, binary, Payload::Whole(decoded.bytes));
    let mut note = |name: &'static str, text: String| {
        let value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("yes"));
        answer.headers_mut().insert(name, value);
    };
    if !decoded.taken.is_empty() {
        note("x-millrace-decoded", decoded.taken.join(", "));
    }
    if let Some(stop) = decoded.stopped {
        note("x-millrace-stopped", stop.to_string());
    }
    Ok(answer)
}
