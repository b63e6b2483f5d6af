//! What operators do to servers and flows while the daemon runs.
//!
//! Invariant: a word about a server holds until another one or the end of the process, whatever is reloaded.

use core::time::Duration;
use std::sync::mpsc::sync_channel;

use dataplane::mailbox::Command;
use dataplane::proxy::Admin;
use l3l4::FlowId;
use tracing::info;

use super::state::Daemon;
use crate::protocol::{Done, Refusal, RefusalCode, ServerState};

/// How long a worker may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn set(daemon: &Daemon, upstream: &str, server: &str, to: ServerState) -> Result<Done, Refusal> {
    let in_force = daemon.in_force.borrow();
    let upstreams = &in_force.services.upstreams;
    let group = upstreams.groups.iter().find(|group| *group.name == *upstream && !group.servers.is_empty());
    let Some(group) = group else {
        let message = format!("there is no upstream `{upstream}`: see `millctl show upstreams`");
        return Err(Refusal::new(RefusalCode::Unknown, message));
    };
    let at = group.roster.members().iter().position(|member| *member.name == *server);
    let Some(spec) = at.and_then(|at| group.servers.get(at)) else {
        let message =
            format!("the upstream `{upstream}` has no server `{server}`: see `millctl show upstreams`");
        return Err(Refusal::new(RefusalCode::Unknown, message));
    };
    let admin = match to {
        ServerState::Enabled => Admin::Enabled,
        ServerState::Draining => Admin::Draining,
        ServerState::Disabled => Admin::Disabled,
    };
    let before = spec.status.admin();
    spec.status.set_admin(admin);
    info!(upstream, server, before = before.name(), now = admin.name(), "an operator has spoken of a server");
    let message = format!("{upstream}/{server}: {} (it was {})", admin.name(), before.name());
    Ok(Done { message })
}

pub(super) async fn shutdown_flow(daemon: &Daemon, worker: usize, id: &str) -> Result<Done, Refusal> {
    let Ok(flow) = id.parse::<FlowId>() else {
        let message = format!("`{id}` is not a flow: write WORKER:ID as `millctl show flows` has them");
        return Err(Refusal::new(RefusalCode::Malformed, message));
    };
    let Some(mailbox) = daemon.mailboxes().into_iter().nth(worker) else {
        let message = format!("there is no worker {worker}: see `millctl show workers`");
        return Err(Refusal::new(RefusalCode::Unknown, message));
    };
    let (answer, told) = sync_channel(1);
    let busy = || Refusal::new(RefusalCode::Busy, format!("worker {worker} does not answer: try again"));
    mailbox.send(Command::Shutdown { id: flow, answer }).map_err(|_| busy())?;
    let told = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE).ok()).await.ok().flatten();
    match told {
        Some(true) => {
            info!(worker, flow = id, "an operator has reset a flow");
            Ok(Done { message: format!("{worker}:{id}: reset") })
        }
        Some(false) => {
            let message = format!("worker {worker} has no flow {id}: it may have ended meanwhile");
            Err(Refusal::new(RefusalCode::Unknown, message))
        }
        None => Err(busy()),
    }
}
