//! Stage 5, throttle: whether the caller may call now.
//!
//! *Reads* the [`Caller`]. *Writes* nothing. *May end with* 429 `THROTTLED` or `QUOTA_EXCEEDED`. No limit can be declared in this
//! version, so every request is admitted; the stage stands here because the order of stages is part of the design: after the
//! caller is known, before anything is read or computed on its behalf.

use moongate_exchange::{Caller, Exchange, Exit};

use crate::plan::RoutePlan;

pub(super) fn admit(_route: &RoutePlan, _caller: &Caller, _exchange: &mut Exchange) -> Result<(), Exit> {
    Ok(())
}
