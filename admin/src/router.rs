//! Every URL of the control plane on one screen.
//!
//! The management API is `/api/v1` on the admin listener. The list below is what requests are routed by and what the OpenAPI document
//! is made from: what is not in it is not there, and what is there is described.

use std::future::Future;
use std::pin::Pin;

use moongate_config::{Deployment, Manifest};
use serde_json::Value;

use crate::api::{
    access, apis, applying, audit, deployments, documents, domains, feed, files, keys, nodes, plans, revisions, routes,
    settings, stages,
};
use crate::call::{Call, List, Outcome};
use crate::openapi::{Query, SchemaOf, schema};
use crate::publish::apply::{Applied, ApplyRequest};
use crate::publish::change::Published;
use crate::publish::deploy::DeployRequest;
use crate::publish::feed::{Acknowledgement, CredentialFeed, Measurements};
use crate::publish::stage::{CanaryInput, StageInput};

/// Where the management API begins.
pub const API: &str = "/api/v1";

/// Answers a call.
pub(crate) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One method of one URL.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: Query,
    /// The body's schema and whether there must be one.
    pub(crate) request: Option<(SchemaOf, bool)>,
    /// The status and schema of what is answered when all is well.
    pub(crate) answer: (u16, Option<SchemaOf>),
    /// Whether 204 can come instead.
    pub(crate) may_be_empty: bool,
    pub(crate) handler: Handler,
}

impl Operation {
    /// What the URL is about: its first segment.
    pub(crate) fn tag(&self) -> &'static str {
        self.path.trim_start_matches('/').split('/').next().unwrap_or_default()
    }
}

const NONE: Query = &[];
const DRY_RUN: (&str, &str, &str) = ("dry_run", r#"{"type": "boolean"}"#, "check and compare only, write nothing");
const LIMIT: (&str, &str, &str) = ("limit", r#"{"type": "integer", "minimum": 1, "maximum": 500}"#, "items of a page");
const AFTER: (&str, &str, &str) = ("after", r#"{"type": "string"}"#, "what `next` of the page before says");
const NAME: (&str, &str, &str) = ("name", r#"{"type": "string"}"#, "only those whose name or id contains this");
const STAGE: (&str, &str, &str) =
    ("stage", r#"{"type": "string"}"#, "the stage to compare with or to export; default: the draft");
const BEFORE: (&str, &str, &str) =
    ("before", r#"{"type": "integer", "minimum": 1, "maximum": 9000000000000000}"#, "older than this number");
const AT: (&str, &str, &str) =
    ("at", r#"{"type": "string"}"#, "only the one that was served at this time: RFC 3339, or `-1h`");
const FROM: (&str, &str, &str) = (
    "from",
    r#"{"type": "integer", "minimum": 0, "maximum": 9000000000000000}"#,
    "compare with this revision; default: the one before",
);
const WAIT: (&str, &str, &str) =
    ("wait_ms", r#"{"type": "integer", "minimum": 0, "maximum": 60000}"#, "how long to wait for news");
const KNOWN: (&str, &str, &str) =
    ("after", r#"{"type": "integer", "minimum": 0, "maximum": 9000000000000000}"#, "the version that is known already");
const TARGET: (&str, &str, &str) =
    ("target", r#"{"type": "string"}"#, "only what was done to this or below it: `apis/orders`");
const USER: (&str, &str, &str) = ("user", r#"{"type": "string"}"#, "only what this user did");
const PLAN: (&str, &str, &str) = ("plan", r#"{"type": "string"}"#, "only keys of this usage plan");

macro_rules! op {
    ($method:ident $path:literal $id:ident $summary:literal, $query:expr, $request:expr, $status:literal $answer:expr, $handler:path) => {
        Operation {
            method: stringify!($method),
            path: $path,
            id: stringify!($id),
            summary: $summary,
            query: $query,
            request: $request,
            answer: ($status, $answer),
            may_be_empty: false,
            handler: |call| Box::pin($handler(call)),
        }
    };
}

/// The body must be of a type.
const fn takes(schema: SchemaOf) -> Option<(SchemaOf, bool)> {
    Some((schema, true))
}

/// The body may be of a type.
const fn may_take(schema: SchemaOf) -> Option<(SchemaOf, bool)> {
    Some((schema, false))
}

const fn waits(operation: Operation) -> Operation {
    Operation { may_be_empty: true, ..operation }
}

/// All of it.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    op!(GET    "/apis" listApis "List APIs", &[LIMIT, AFTER, NAME], None, 200 Some(schema::<List<apis::ApiSummary>>), apis::list),
    op!(POST   "/apis" createApi "Make an API", NONE, takes(schema::<apis::ApiInput>), 201 Some(schema::<apis::ApiView>), apis::create),
    op!(GET    "/apis/{api}" getApi "Show an API's draft", NONE, None, 200 Some(schema::<apis::ApiView>), apis::show),
    op!(PUT    "/apis/{api}" putApi "Write an API's draft", &[DRY_RUN], takes(schema::<apis::ApiInput>), 200 Some(schema::<apis::ApiView>), apis::put),
    op!(PATCH  "/apis/{api}" patchApi "Change parts of an API's draft", &[DRY_RUN], takes(schema::<apis::ApiInput>), 200 Some(schema::<apis::ApiView>), apis::patch),
    op!(DELETE "/apis/{api}" deleteApi "Remove an API from all stages, with its draft", NONE, None, 200 Some(schema::<Published>), apis::delete),
    op!(GET    "/apis/{api}/check" checkApi "Compile an API's draft as gateways would", NONE, None, 200 Some(schema::<apis::Checked>), apis::check),
    op!(GET    "/apis/{api}/diff" diffApi "Compare an API's draft with a stage", &[STAGE], None, 200 Some(schema::<apis::Differences>), apis::diff),
    op!(GET    "/apis/{api}/export" exportApi "Show an API as an OpenAPI 3.1 document", &[STAGE], None, 200 Some(schema::<Value>), documents::export),
    op!(POST   "/import" importApi "Make or replace a draft from an OpenAPI document", &[DRY_RUN], takes(schema::<documents::ImportInput>), 200 Some(schema::<apis::ApiView>), documents::import),
    op!(GET    "/apis/{api}/routes" listRoutes "List an API's routes", NONE, None, 200 Some(schema::<List<routes::RouteView>>), routes::list),
    op!(POST   "/apis/{api}/routes" createRoute "Add a route to the draft", NONE, takes(schema::<routes::RouteInput>), 201 Some(schema::<routes::RouteView>), routes::create),
    op!(GET    "/apis/{api}/routes/{route}" getRoute "Show a route", NONE, None, 200 Some(schema::<routes::RouteView>), routes::show),
    op!(PUT    "/apis/{api}/routes/{route}" putRoute "Write a route", NONE, takes(schema::<routes::RouteInput>), 200 Some(schema::<routes::RouteView>), routes::put),
    op!(PATCH  "/apis/{api}/routes/{route}" patchRoute "Change parts of a route", NONE, takes(schema::<routes::RouteInput>), 200 Some(schema::<routes::RouteView>), routes::patch),
    op!(DELETE "/apis/{api}/routes/{route}" deleteRoute "Remove a route from the draft", NONE, None, 204 None, routes::delete),
    op!(GET    "/apis/{api}/files/{*path}" getFile "Show a file of the draft", NONE, None, 200 Some(schema::<files::FileView>), files::show),
    op!(PUT    "/apis/{api}/files/{*path}" putFile "Write a file of the draft", NONE, takes(schema::<files::FileInput>), 200 Some(schema::<files::FileView>), files::put),
    op!(DELETE "/apis/{api}/files/{*path}" deleteFile "Remove a file from the draft", NONE, None, 204 None, files::delete),
    op!(GET    "/apis/{api}/deployments" listDeployments "List an API's deployments, newest first", &[LIMIT], None, 200 Some(schema::<List<deployments::DeploymentView>>), deployments::list),
    op!(POST   "/apis/{api}/deployments" deploy "Deploy the draft to a stage, or to a share of its requests", &[DRY_RUN], takes(schema::<DeployRequest>), 200 Some(schema::<deployments::Deployed>), deployments::create),
    op!(GET    "/apis/{api}/deployments/{digest}" getDeployment "Show what was deployed", NONE, None, 200 Some(schema::<Deployment>), deployments::show),
    op!(GET    "/apis/{api}/stages" listStages "List an API's stages", NONE, None, 200 Some(schema::<List<stages::StageView>>), stages::list),
    op!(GET    "/apis/{api}/stages/{stage}" getStage "Show a stage", NONE, None, 200 Some(schema::<stages::StageView>), stages::show),
    op!(PUT    "/apis/{api}/stages/{stage}" putStage "Write a stage's settings, live at once", &[DRY_RUN], takes(schema::<StageInput>), 200 Some(schema::<Published>), stages::put),
    op!(PATCH  "/apis/{api}/stages/{stage}" patchStage "Change parts of a stage's settings, live at once", &[DRY_RUN], takes(schema::<StageInput>), 200 Some(schema::<Published>), stages::patch),
    op!(DELETE "/apis/{api}/stages/{stage}" deleteStage "Stop serving an API on a stage", NONE, None, 200 Some(schema::<Published>), stages::delete),
    op!(POST   "/apis/{api}/stages/{stage}/rollback" rollbackStage "Put a stage back to what it ran before", &[DRY_RUN], may_take(schema::<stages::RollbackInput>), 200 Some(schema::<Published>), stages::rollback),
    op!(GET    "/apis/{api}/stages/{stage}/canary" getCanary "Show a canary with its verdict", NONE, None, 200 Some(schema::<stages::CanaryView>), stages::canary),
    op!(PATCH  "/apis/{api}/stages/{stage}/canary" patchCanary "Change a canary's share or rule", NONE, takes(schema::<CanaryInput>), 200 Some(schema::<Published>), stages::set_canary),
    op!(DELETE "/apis/{api}/stages/{stage}/canary" endCanary "Roll a canary back", NONE, None, 200 Some(schema::<Published>), stages::end_canary),
    op!(POST   "/apis/{api}/stages/{stage}/canary/promote" promoteCanary "Make a canary what the stage serves", NONE, None, 200 Some(schema::<Published>), stages::promote),
    op!(POST   "/apply" apply "Apply a project's folder in one revision", &[DRY_RUN], takes(schema::<ApplyRequest>), 200 Some(schema::<Applied>), applying::apply),
    op!(GET    "/export" exportProject "Show everything as a project's folder", NONE, None, 200 Some(schema::<documents::ProjectFiles>), documents::project),
    op!(GET    "/revisions" listRevisions "List revisions, newest first", &[LIMIT, BEFORE, AT], None, 200 Some(schema::<List<revisions::RevisionView>>), revisions::list),
    op!(GET    "/revisions/{revision}" getRevision "Show what a revision serves", NONE, None, 200 Some(schema::<Manifest>), revisions::show),
    op!(GET    "/revisions/{revision}/diff" diffRevision "Compare a revision with another", &[FROM], None, 200 Some(schema::<apis::Differences>), revisions::diff),
    op!(POST   "/revisions/{revision}/restore" restoreRevision "Serve again what a revision served", &[DRY_RUN], None, 200 Some(schema::<Published>), revisions::restore),
    op!(GET    "/domains" listDomains "List custom domains", NONE, None, 200 Some(schema::<List<domains::DomainView>>), domains::list),
    op!(GET    "/domains/{domain}" getDomain "Show a custom domain", NONE, None, 200 Some(schema::<domains::DomainView>), domains::show),
    op!(PUT    "/domains/{domain}" putDomain "Write a custom domain, live at once", &[DRY_RUN], takes(schema::<domains::DomainInput>), 200 Some(schema::<Published>), domains::put),
    op!(DELETE "/domains/{domain}" deleteDomain "Stop serving a custom domain", NONE, None, 200 Some(schema::<Published>), domains::delete),
    op!(GET    "/usage-plans" listUsagePlans "List usage plans", &[LIMIT, AFTER], None, 200 Some(schema::<List<plans::PlanView>>), plans::list),
    op!(GET    "/usage-plans/{plan}" getUsagePlan "Show a usage plan", NONE, None, 200 Some(schema::<plans::PlanView>), plans::show),
    op!(PUT    "/usage-plans/{plan}" putUsagePlan "Write a usage plan", NONE, takes(schema::<plans::PlanInput>), 200 Some(schema::<plans::PlanView>), plans::put),
    op!(PATCH  "/usage-plans/{plan}" patchUsagePlan "Change parts of a usage plan", NONE, takes(schema::<plans::PlanInput>), 200 Some(schema::<plans::PlanView>), plans::patch),
    op!(DELETE "/usage-plans/{plan}" deleteUsagePlan "Remove a usage plan", NONE, None, 204 None, plans::delete),
    op!(GET    "/keys" listKeys "List API keys", &[LIMIT, AFTER, NAME, PLAN], None, 200 Some(schema::<List<keys::KeyView>>), keys::list),
    op!(POST   "/keys" createKey "Make an API key; it is shown once", NONE, takes(schema::<keys::KeyInput>), 201 Some(schema::<keys::MadeKey>), keys::create),
    op!(GET    "/keys/{key}" getKey "Show an API key, but for the key itself", NONE, None, 200 Some(schema::<keys::KeyView>), keys::show),
    op!(PATCH  "/keys/{key}" patchKey "Change an API key: its plans, whether it is accepted, until when", NONE, takes(schema::<keys::KeyInput>), 200 Some(schema::<keys::KeyView>), keys::patch),
    op!(DELETE "/keys/{key}" deleteKey "Revoke an API key for good", NONE, None, 204 None, keys::delete),
    op!(GET    "/users" listUsers "List users", &[LIMIT, AFTER], None, 200 Some(schema::<List<access::UserView>>), access::list_users),
    op!(GET    "/users/{user}" getUser "Show a user", NONE, None, 200 Some(schema::<access::UserView>), access::show_user),
    op!(PUT    "/users/{user}" putUser "Write a user", NONE, takes(schema::<access::UserInput>), 200 Some(schema::<access::UserView>), access::put_user),
    op!(DELETE "/users/{user}" deleteUser "Remove a user and their tokens", NONE, None, 204 None, access::delete_user),
    op!(GET    "/roles" listRoles "List roles and what they may do", NONE, None, 200 Some(schema::<List<access::RoleView>>), access::roles),
    op!(GET    "/tokens" listTokens "List tokens", &[LIMIT, AFTER], None, 200 Some(schema::<List<access::TokenView>>), access::list_tokens),
    op!(POST   "/tokens" createToken "Make a token; it is shown once", NONE, takes(schema::<access::TokenInput>), 201 Some(schema::<access::MadeToken>), access::create_token),
    op!(DELETE "/tokens/{token}" deleteToken "Revoke a token", NONE, None, 204 None, access::delete_token),
    op!(GET    "/me" getMe "Show who the token belongs to and what it opens", NONE, None, 200 Some(schema::<access::Me>), access::me),
    op!(GET    "/nodes" listNodes "List gateways and what each serves", NONE, None, 200 Some(schema::<List<nodes::NodeView>>), nodes::list),
    op!(DELETE "/nodes/{node}" deleteNode "Forget a gateway that is gone", NONE, None, 204 None, nodes::delete),
    op!(GET    "/audit" listAudit "List what was done, newest first", &[LIMIT, BEFORE, TARGET, USER], None, 200 Some(schema::<List<audit::AuditView>>), audit::list),
    op!(GET    "/audit/verify" verifyAudit "Follow the audit log's chain of hashes", NONE, None, 200 Some(schema::<audit::Verified>), audit::verify),
    op!(GET    "/settings/{setting}" getSetting "Show a setting", NONE, None, 200 Some(schema::<settings::SettingView>), settings::show),
    op!(PUT    "/settings/{setting}" putSetting "Write a setting", NONE, takes(schema::<settings::SettingInput>), 200 Some(schema::<settings::SettingView>), settings::put),
    op!(DELETE "/settings/{setting}" deleteSetting "Remove a setting", NONE, None, 204 None, settings::delete),
    waits(op!(GET "/feed/manifest" nextManifest "Wait for the newest revision (gateways)", &[KNOWN, WAIT], None, 200 Some(schema::<Manifest>), feed::manifest)),
    waits(op!(GET "/feed/credentials" nextCredentials "Wait for the newest credentials (gateways)", &[KNOWN, WAIT], None, 200 Some(schema::<CredentialFeed>), feed::credentials)),
    op!(GET    "/feed/deployments/{digest}" fetchDeployment "Fetch a deployment (gateways)", NONE, None, 200 Some(schema::<Deployment>), feed::deployment),
    op!(POST   "/feed/acknowledgements" acknowledge "Say what is served (gateways)", NONE, takes(schema::<Acknowledgement>), 204 None, feed::acknowledge),
    op!(POST   "/feed/measurements" measure "Say what was counted (gateways)", NONE, takes(schema::<Measurements>), 204 None, feed::measure),
];
