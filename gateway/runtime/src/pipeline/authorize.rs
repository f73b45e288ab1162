//! Stage 4, authorize: who calls.
//!
//! *Reads* the request's head. *Writes* [`Exchange::caller`]. *May end with* 401 `UNAUTHORIZED`, 403 `ACCESS_DENIED` or
//! `INVALID_API_KEY`, 500 `AUTHORIZER_FAILURE` or `AUTHORIZER_CONFIGURATION_ERROR`. *Limits*: the script's budgets; an
//! authorizer's policy at most 8 KiB. *Source*: API Gateway, "Use API Gateway Lambda authorizers".

use std::sync::Arc;

use moongate_exchange::{Caller, Exchange, Exit, Kind, Rejection};
use moongate_lua::{Decision, Outside};
use moongate_policy::iam;

use crate::pipeline::{lookup, plugins, script};
use crate::plan::{AuthorizerPlan, LuaAuthorizerPlan, RoutePlan, SitePlan, ValueSource};

/// What AWS tells a caller whom a policy refuses by name.
const EXPLICIT_DENY: &str = "User is not authorized to access this resource with an explicit deny";

pub(super) async fn caller(
    site: &SitePlan,
    route: &RoutePlan,
    exchange: &mut Exchange,
    outside: &impl Outside,
) -> Result<Caller, Exit> {
    let mut caller = match &route.authorizer {
        AuthorizerPlan::Open => Caller::default(),
        AuthorizerPlan::Lua(plan) => by_script(route, plan, exchange, site.is_aws_rest(), outside).await?,
        AuthorizerPlan::Unavailable(reason) => {
            return Err(Rejection::new(Kind::AuthorizerConfigurationError, reason.to_string()).into());
        }
    };
    for policy in &route.authorize {
        caller = policy.authorize(exchange, caller)?;
    }
    let caller = plugins::authorize(route, caller, exchange, outside).await?;
    exchange.caller = Some(caller.clone());
    Ok(caller)
}

async fn by_script(
    route: &RoutePlan,
    plan: &LuaAuthorizerPlan,
    exchange: &mut Exchange,
    is_aws: bool,
    outside: &impl Outside,
) -> Result<Caller, Rejection> {
    identify(plan, exchange)?;
    let answer = script::bank(route)?.authorize(plan.script, exchange, outside).await;
    let answer = answer.map_err(script::authorizer_failed)?;
    match &answer.decision {
        Decision::Allow => {}
        Decision::Deny => return Err(Rejection::new(Kind::AccessDenied, "the authorizer said no")),
        Decision::Policy(document) => by_policy(document, exchange, is_aws)?,
    }
    Ok(Caller { principal: answer.principal, context: Arc::new(answer.context), api_key_id: None })
}

/// Refuses a request that lacks what identifies its caller, without running the script.
fn identify(plan: &LuaAuthorizerPlan, exchange: &Exchange) -> Result<(), Rejection> {
    let refused = |detail: &'static str| Err(Rejection::new(Kind::Unauthorized, detail));
    for (index, source) in plan.identity.iter().enumerate() {
        // Of several values the script reads the first and a mapping the last: what is validated must be what is read.
        if let ValueSource::Header(name) = source
            && exchange.request.headers.get_all(&**name).iter().nth(1).is_some()
        {
            return refused("an identity source occurs more than once");
        }
        let Some(value) = lookup::value(source, exchange, None).filter(|value| !value.is_empty()) else {
            return refused("an identity source is missing");
        };
        if index == 0 && plan.validation.as_ref().is_some_and(|pattern| !pattern.is_match(&value)) {
            return refused("the identity source does not match the validation expression");
        }
    }
    Ok(())
}

fn by_policy(document: &serde_json::Value, exchange: &Exchange, is_aws: bool) -> Result<(), Rejection> {
    let policy = iam::PolicyDocument::parse(document).map_err(|error| {
        Rejection::new(Kind::AuthorizerConfigurationError, format!("the authorizer's policy cannot be used: {error}"))
    })?;
    let matched = exchange.matched.as_ref();
    let (api, stage) = matched.map_or(("", ""), |matched| (&*matched.route.api_id, &*matched.stage.name));
    // A HEAD request that GET's route answers is authorized as GET: a policy that denies one denies the other.
    let declared = matched.and_then(|matched| matched.route.key.split_once(' ')).map(|(method, _)| method);
    let method = declared.filter(|method| *method != "ANY").unwrap_or(exchange.request.method.as_str());
    let arn = iam::method_arn(api, stage, method, exchange.route_path());
    match policy.evaluate(iam::INVOKE, &arn, &iam::Context::of(exchange)) {
        iam::Decision::Allow => Ok(()),
        iam::Decision::Deny => {
            let rejection = Rejection::new(Kind::AccessDenied, format!("the authorizer's policy denies {arn}"));
            Err(if is_aws { rejection.public(EXPLICIT_DENY) } else { rejection })
        }
        iam::Decision::None => {
            Err(Rejection::new(Kind::AccessDenied, format!("the authorizer's policy does not allow {arn}")))
        }
    }
}
