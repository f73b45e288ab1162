//! Stage 7, cache: an answer that is known already leaves here.
//!
//! *Reads* the [`Caller`] and the request. *Writes* nothing. *May end with* the kept answer. No caching can be declared in this
//! version, so every request goes on; the stage stands here because the order of stages is part of the design: after
//! authorization and validation, so that a kept answer never reaches a caller who may not have it.

use moongate_exchange::{Caller, Exchange, Exit};

use crate::plan::RoutePlan;

pub(super) fn look_up(_route: &RoutePlan, _caller: &Caller, _exchange: &mut Exchange) -> Result<(), Exit> {
    Ok(())
}
