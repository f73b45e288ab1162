//! What runs: which network does the client belong to.

use moongate_exchange::{Exchange, Kind, Rejection};

use crate::Guard;
use crate::cidr::Cidr;

/// Lets requests pass by the address they come from.
#[derive(Debug)]
pub struct IpAccessPolicy {
    allow: Box<[Cidr]>,
    deny: Box<[Cidr]>,
}

impl IpAccessPolicy {
    /// A policy that refuses the denied networks and, unless `allow` is empty, all that are not allowed.
    pub fn new(allow: Box<[Cidr]>, deny: Box<[Cidr]>) -> Self {
        Self { allow, deny }
    }
}

impl Guard for IpAccessPolicy {
    fn check(&self, exchange: &Exchange) -> Result<(), Rejection> {
        let client = exchange.client_ip();
        if Cidr::any_contains(&self.deny, client) {
            return Err(Rejection::new(
                Kind::AccessDenied,
                format!("{} is in a denied network", client.to_canonical()),
            ));
        }
        if !self.allow.is_empty() && !Cidr::any_contains(&self.allow, client) {
            return Err(Rejection::new(
                Kind::AccessDenied,
                format!("{} is in no allowed network", client.to_canonical()),
            ));
        }
        Ok(())
    }
}
