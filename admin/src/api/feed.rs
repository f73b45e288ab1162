//! `/feed`: what gateways on other machines follow, by long polls.

use std::time::Duration;

use moongate_config::Digest;

use crate::api::check_id;
use crate::call::{Call, Outcome, Reply};
use crate::problem::Problem;
use crate::publish::feed::{Acknowledgement, Measurements};

/// How long a gateway waits unless it says otherwise.
const WAIT_MS: u64 = 25_000;

fn wait(call: &Call) -> Result<Duration, Problem> {
    Ok(Duration::from_millis(call.number("wait_ms", 0, 60_000)?.unwrap_or(WAIT_MS)))
}

fn known(call: &Call) -> Result<u64, Problem> {
    Ok(call.number("after", 0, i64::MAX as u64)?.unwrap_or(0))
}

pub(crate) async fn manifest(call: Call) -> Outcome {
    call.access.need_node()?;
    match call.control.next_manifest(known(&call)?, wait(&call)?).await? {
        Some(manifest) => Reply::ok(manifest),
        None => Reply::nothing(),
    }
}

pub(crate) async fn credentials(call: Call) -> Outcome {
    call.access.need_node()?;
    let known = i64::try_from(known(&call)?).unwrap_or(i64::MAX);
    match call.control.next_credentials(known, wait(&call)?).await? {
        Some(credentials) => Reply::ok(credentials),
        None => Reply::nothing(),
    }
}

pub(crate) async fn deployment(call: Call) -> Outcome {
    call.access.need_node()?;
    let name = call.param("digest");
    let digest = Digest::try_from(name.to_owned()).map_err(|_| Problem::missing("deployment", name))?;
    Reply::ok(call.control.deployment(&digest).await?)
}

pub(crate) async fn acknowledge(call: Call) -> Outcome {
    call.access.need_node()?;
    let said: Acknowledgement = call.body()?;
    check_id("node", &said.node)?;
    if said.issues.len() > 100 || said.version.len() > 64 {
        return Err(Problem::field("/issues", "at most 100 issues are kept"));
    }
    call.control.acknowledge(said).await?;
    Reply::nothing()
}

pub(crate) async fn measure(call: Call) -> Outcome {
    call.access.need_node()?;
    let said: Measurements = call.body()?;
    if said.node.is_empty()
        || said.node.len() > 192
        || said.arms.len() > 10_000
        || said.arms.iter().any(|arm| arm.durations.len() > 200)
    {
        return Err(Problem::field(
            "",
            "a node's name has 1 to 192 bytes, and it measures at most 10000 arms in 200 buckets",
        ));
    }
    call.control.measure(&said).await?;
    Reply::nothing()
}
