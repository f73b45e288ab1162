//! `gate.identity`: who calls, as the authorize stage found out.

use super::request;
use crate::host::function::{PhaseSet, function, text};
use crate::host::{Answer, Answered, Call, Noun};
use moongate_exchange::Scalar;

/// The declaration.
pub(crate) static NOUN: Noun = Noun {
    path: "gate.identity",
    about: "Who calls: what authorizers, plugins and policies of the authorize stage found out. While that stage decides, it \
            knows what was found before.",
    functions: &[
        function("principal", PhaseSet::REQUEST, principal)
            .about("The principal an authorizer named.")
            .gives("string?")
            .example("gate.identity.principal() --> 'user-1'"),
        function("claim", PhaseSet::REQUEST, claim)
            .about("What an authorizer said about the caller under a name.")
            .takes(&[text("name", "the name in the authorizer's context")])
            .gives("(string | number | boolean)?")
            .example("gate.identity.claim('plan') --> 'gold'\ngate.identity.claim('level') --> 3"),
        function("api_key_id", PhaseSet::REQUEST, api_key_id)
            .about("The id of the API key that was shown and accepted; never the key itself.")
            .gives("string?")
            .example("gate.identity.api_key_id() --> 'key-9'"),
        function("ip", PhaseSet::REQUEST, ip)
            .about("The address of the connection's other end.")
            .gives("string")
            .example("gate.identity.ip() --> '192.0.2.7'"),
    ],
    fields: &[],
    is_open: false,
};

fn principal<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let caller = request::exchange(call.run, "gate.identity.principal")?.caller.as_ref();
    let principal = caller.and_then(|caller| caller.principal.as_deref());
    Ok(principal.map_or(Answer::Nil, |principal| Answer::Text(principal.as_bytes())))
}

fn claim<'call>(mut call: Call<'call, '_>) -> Answered<'call> {
    let name = call.text(1, "gate.identity.claim")?;
    let caller = request::exchange(call.run, "gate.identity.claim")?.caller.as_ref();
    let value = caller.zip(std::str::from_utf8(name).ok()).and_then(|(caller, name)| caller.context.get(name));
    Ok(match value {
        Some(Scalar::Text(text)) => Answer::Text(text.as_bytes()),
        Some(Scalar::Number(number)) => Answer::Number(*number),
        Some(Scalar::Bool(truth)) => Answer::Boolean(*truth),
        None => Answer::Nil,
    })
}

fn api_key_id<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let caller = request::exchange(call.run, "gate.identity.api_key_id")?.caller.as_ref();
    let id = caller.and_then(|caller| caller.api_key_id.as_deref());
    Ok(id.map_or(Answer::Nil, |id| Answer::Text(id.as_bytes())))
}

fn ip<'call>(call: Call<'call, '_>) -> Answered<'call> {
    let exchange = request::exchange(call.run, "gate.identity.ip")?;
    Ok(Answer::Text(exchange.client_ip_text().as_bytes()))
}
