//! Listings of flows and sessions: every worker is asked through its mailbox.
//!
//! Invariant: the wait and the number of flows are bounded, whatever the workers do.

use core::time::Duration;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use dataplane::mailbox::{Command, FlowFilter, SessionFilter};
use dataplane::proxy::ServerName;
use l3l4::{Addr, Protocol};

use super::state::Daemon;
use crate::admin::show;
use crate::protocol::{
    DEFAULT_FLOWS, FlowList, FlowQuery, MAX_FLOWS, Refusal, RefusalCode, SessionList, SessionQuery, Transport,
};
use crate::snapshot::Source;

/// How long the workers may take together.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn flows(daemon: &Daemon, query: FlowQuery) -> Result<FlowList, Refusal> {
    let limit = query.limit.unwrap_or(DEFAULT_FLOWS);
    if limit > MAX_FLOWS {
        let message =
            format!("{limit} flows are more than one listing may have: ask for {MAX_FLOWS} or less");
        return Err(Refusal::new(RefusalCode::Malformed, message));
    }
    let filter = filter(daemon, &query)?;
    let asked: Vec<_> = daemon
        .mailboxes()
        .into_iter()
        .map(|mailbox| {
            let (answer, list) = sync_channel(1);
            // A mailbox that is full belongs to a worker that is stuck: it counts among the silent.
            // One more than wanted tells whether there are more.
            let _ = mailbox.send(Command::Flows { filter: filter.clone(), most: limit + 1, answer });
            list
        })
        .collect();
    let lists = tokio::task::spawn_blocking(move || collect(&asked)).await.unwrap_or_default();
    let silent = lists.iter().enumerate().filter(|(_, list)| list.is_none());
    let silent_workers = silent.map(|(worker, _)| worker).collect();
    let (views, cut) = share(lists.into_iter().flatten().collect(), limit);
    let flows = daemon.look(|now| views.iter().map(|view| show::flow(now, view)).collect());
    Ok(FlowList { flows, cut, silent_workers })
}

pub(super) async fn sessions(daemon: &Daemon, query: SessionQuery) -> Result<SessionList, Refusal> {
    let limit = query.leg.limit.unwrap_or(DEFAULT_FLOWS);
    if limit > MAX_FLOWS {
        let message =
            format!("{limit} sessions are more than one listing may have: ask for {MAX_FLOWS} or less");
        return Err(Refusal::new(RefusalCode::Malformed, message));
    }
    let servers = match &query.upstream {
        None => Vec::new(),
        Some(name) => servers(daemon, name)?,
    };
    let filter = SessionFilter { flow: filter(daemon, &query.leg)?, servers };
    let asked: Vec<_> = daemon
        .mailboxes()
        .into_iter()
        .map(|mailbox| {
            let (answer, list) = sync_channel(1);
            let _ = mailbox.send(Command::Sessions { filter: filter.clone(), most: limit + 1, answer });
            list
        })
        .collect();
    let lists = tokio::task::spawn_blocking(move || collect(&asked)).await.unwrap_or_default();
    let silent = lists.iter().enumerate().filter(|(_, list)| list.is_none());
    let silent_workers = silent.map(|(worker, _)| worker).collect();
    let (views, cut) = share(lists.into_iter().flatten().collect(), limit);
    let sessions = daemon.look(|now| views.iter().map(|view| show::session(now, view)).collect());
    Ok(SessionList { sessions, cut, silent_workers })
}

/// The numbers of an upstream's servers, or of one of them.
fn servers(daemon: &Daemon, name: &str) -> Result<Vec<u16>, Refusal> {
    let (upstream, server) = name.split_once('/').map_or((name, None), |(u, s)| (u, Some(s)));
    let names = &daemon.in_force.borrow().services.upstreams.servers;
    let fits = |is: &ServerName| *is.upstream == *upstream && server.is_none_or(|s| *is.server == *s);
    let numbers: Vec<u16> =
        (0..).zip(names).filter(|(_, name)| fits(name)).map(|(number, _)| number).collect();
    if numbers.is_empty() {
        let message = format!("there is no upstream `{name}`: see `millctl show upstreams`");
        return Err(Refusal::new(RefusalCode::Unknown, message));
    }
    Ok(numbers)
}

fn filter(daemon: &Daemon, query: &FlowQuery) -> Result<FlowFilter, Refusal> {
    let service = match &query.service {
        None => None,
        Some(name) => {
            let services = &daemon.in_force.borrow().services.services;
            let number = services.iter().position(|service| service.name == *name);
            let number = number.and_then(|number| u16::try_from(number).ok());
            let unknown = || {
                let message = format!("there is no service `{name}`: see `millctl show services`");
                Refusal::new(RefusalCode::Unknown, message)
            };
            Some(number.ok_or_else(unknown)?)
        }
    };
    Ok(FlowFilter {
        address: query.address.map(Addr::from),
        port: query.port,
        protocol: query.protocol.map(|protocol| match protocol {
            Transport::Tcp => Protocol::TCP,
            Transport::Udp => Protocol::UDP,
        }),
        service,
        state: query.state.clone(),
    })
}

/// The list of each worker; none where it did not come in time.
fn collect<T>(asked: &[Receiver<Vec<T>>]) -> Vec<Option<Vec<T>>> {
    let until = Instant::now() + PATIENCE;
    let wait = |list: &Receiver<_>| list.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    asked.iter().map(wait).collect()
}

/// At most `limit` flows, as evenly from all lists as they have them; and whether some were left out.
fn share<T>(lists: Vec<Vec<T>>, limit: usize) -> (Vec<T>, bool) {
    let total: usize = lists.iter().map(Vec::len).sum();
    let mut rest = limit;
    let mut open = lists.len();
    let mut shortest_first = lists;
    shortest_first.sort_by_key(Vec::len);
    let mut shared = Vec::with_capacity(limit.min(total));
    for mut list in shortest_first {
        list.truncate(rest.div_ceil(open));
        (rest, open) = (rest - list.len(), open - 1);
        shared.append(&mut list);
    }
    (shared, total > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_gets_its_share() {
        assert_eq!(
            share(vec![vec![1; 10], vec![2; 1], vec![3; 10]], 9),
            ([vec![2; 1], vec![1; 4], vec![3; 4]].concat(), true)
        );
        assert_eq!(share(vec![vec![1; 3], vec![2; 2]], 5), (vec![2, 2, 1, 1, 1], false));
        assert_eq!(share(vec![vec![1; 3], vec![]], 0), (vec![], true));
        assert_eq!(share::<u8>(vec![], 7), (vec![], false));
    }
}
