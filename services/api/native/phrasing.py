"""How the native API phrases what the engine finds: readiness paths, error codes, sentences."""

from collections.abc import Mapping
from typing import Any

from libs.domain.issue import Issue
from libs.domain.readiness import Readiness
from services.api.use_cases.problems import Problem

_CODES: Mapping[str, str] = {
    "flow_not_found": "campaign_not_found",
    "step_not_found": "campaign_flow_step_not_found",
    "membership_not_found": "campaign_flow_membership_not_found",
    "flow_not_editable": "campaign_not_editable",
    "flow_edited_elsewhere": "campaign_not_editable",
    "wrong_flow_status": "campaign_invalid_state_transition",
    "duplicate_step_id": "campaign_flow_duplicate_step_id",
    "step_referenced": "campaign_flow_step_referenced",
    "flow_not_active": "campaign_flow_not_active",
    "already_in_flow": "campaign_flow_already_in_flow",
    "reentry_denied": "campaign_flow_reentry_denied",
    "contact_disqualified": "campaign_flow_contact_disqualified",
    "flow_not_ready": "campaign_flow_not_ready",
    "step_not_email": "campaign_flow_step_not_email",
}
"""What this API calls a problem, where it has a name of its own."""
_LISTS = {"steps": "flow_nodes", "guards": "disqualification_rules"}
_NAMES = {
    "list_ids": "list_id",
    "operations": "updates",
    "offset_days": "mode",
    "url": "endpoint_url",
    "alias": "custom_page_alias",
    "name": "tent_name",
}
"""What this API calls fields that the engine calls otherwise."""
_BY_CODE = {
    ("email_id", "not_approved"): "email_approval",
    ("email_id", "unknown_tags"): "email_tokens",
    ("email_id", "no_text"): "email_plain_text",
    ("duration_amount", "missing"): "wait",
}


def code_of(problem: Problem) -> str:
    """Name a problem as this API does (README.md, "Errors")."""
    return _CODES.get(problem.code, problem.code)


def body_of(problem: Problem) -> dict[str, Any]:
    """Write a problem as this API does: a sentence, a code, and details where there are some."""
    message, details = problem.message, problem.details
    if problem.readiness is not None:
        shown = readiness(problem.readiness)
        missing = ", ".join(shown["missing"])
        message = f"Triggered flow is missing required activation fields: {missing}"
        details = {"activation_readiness": shown}
    body: dict[str, Any] = {"error": message, "error_code": code_of(problem)}
    return body | {"details": details} if details else body


def readiness(found: Readiness) -> dict[str, Any]:
    """Write whether a flow may be activated, as paths into its document."""
    return {
        "ready": found.ready,
        "missing": list(dict.fromkeys(map(path_of, found.missing))),
        "warnings": list(dict.fromkeys(map(path_of, found.warnings))),
    }


def path_of(issue: Issue) -> str:
    """Write an issue as a path, as `flow_nodes.0.email_approval`."""
    first, *rest = issue.place
    path = [_LISTS.get(str(first), str(first)), *map(str, rest)]
    if first == "guards":
        return path[0]
    if issue.code == "leads_nowhere":
        path[-1] = "branch"
    elif "edges" in path:
        path = [*path[: path.index("edges")], f"{path[-1]}_step_id"]
    elif issue.code == "endless_circle":
        path.append("cycle")
    elif issue.code == "unreachable":
        path.append("unreachable")
    else:
        path = path[:3]  # what stands deeper is named by its field
        path[-1] = _BY_CODE.get((path[-1], issue.code), _NAMES.get(path[-1], path[-1]))
    return ".".join(path)
