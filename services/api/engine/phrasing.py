"""How `/v1/flows` phrases what the engine finds: as places in the definition, with codes."""

from typing import Any

from libs.domain.issue import Issue
from libs.domain.readiness import Readiness
from services.api.use_cases.problems import Problem

Json = dict[str, Any]


def body_of(problem: Problem) -> Json:
    """Write a problem: a sentence, a code, and details where there are some."""
    details = problem.details
    if problem.readiness is not None:
        details = {"readiness": readiness(problem.readiness)}
    body: Json = {"error": problem.message, "code": problem.code}
    return body | {"details": details} if details else body


def readiness(found: Readiness) -> Json:
    """Write whether a flow may be activated."""
    return {
        "ready": found.ready,
        "missing": [_issue(one) for one in found.missing],
        "warnings": [_issue(one) for one in found.warnings],
    }


def _issue(issue: Issue) -> Json:
    return {"path": ".".join(map(str, issue.place)), "code": issue.code}
