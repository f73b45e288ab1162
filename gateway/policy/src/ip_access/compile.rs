//! From settings to a policy: every check, all problems at once.

use std::sync::Arc;

use serde_json::Value;

use super::{Config, IpAccessPolicy, NETWORKS_MAX};
use crate::cidr::Cidr;
use crate::{CompileContext, Compiled};

pub(super) fn compile(config: &Value, cx: &mut CompileContext<'_>) -> Option<Compiled> {
    let config: Config = cx.decode(config)?;
    let allow = compile_networks(&config.allow, &mut cx.below("/allow"));
    let deny = compile_networks(&config.deny, &mut cx.below("/deny"));
    let (allow, deny) = (allow?, deny?);
    if allow.is_empty() && deny.is_empty() {
        cx.warn_without_effect("neither `allow` nor `deny` names a network, so that everybody passes");
    }
    Some(Compiled::Guard(Arc::new(IpAccessPolicy::new(allow, deny))))
}

fn compile_networks(texts: &[String], cx: &mut CompileContext<'_>) -> Option<Box<[Cidr]>> {
    if texts.len() > NETWORKS_MAX {
        cx.issue("", format!("must name at most {NETWORKS_MAX} networks"));
        return None;
    }
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<Cidr>() {
            Ok(network) => networks.push(network),
            Err(error) => cx.issue(&format!("/{index}"), error.to_string()),
        }
    }
    (networks.len() == texts.len()).then(|| networks.into())
}
