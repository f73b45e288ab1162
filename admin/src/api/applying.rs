//! `/apply`: a project's folder in one revision.

use moongate_admin_store::records::Role;
use moongate_config::{Project, Sources};

use crate::call::{Call, Outcome, Reply};
use crate::publish::apply::{self, ApplyRequest};

pub(crate) async fn apply(call: Call) -> Outcome {
    let request: ApplyRequest = call.body()?;
    let role = if request.deploy { Role::Deployer } else { Role::Editor };
    let (project, _) = Project::load(Sources { files: request.files.clone() });
    let is_whole = request.prune || !project.domains.is_empty();
    if is_whole || project.apis.is_empty() {
        call.need(role)?;
    }
    for api in &project.apis {
        call.access.need(api.config.api.as_str(), role)?;
    }
    let is_dry_run = call.flag("dry_run")?;
    Reply::ok(apply::apply(&call.control, &call.access, request, is_dry_run).await?)
}
