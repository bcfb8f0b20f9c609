"""The status of each problem: here and nowhere else. Its body is the dialect's."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from libs.chassis.outages import is_outage
from services.api.use_cases.bodies import issue_of, problem_of_issues
from services.api.use_cases.problems import Kind, Problem, unavailable

STATUS: Mapping[Kind, int] = {
    "invalid": 400,
    "unauthorized": 401,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "unavailable": 503,
}
_CODES: Mapping[int, str] = {
    STATUS["not_found"]: "not_found",
    STATUS["too_large"]: "request_too_large",
}
_PLACES = frozenset({"body", "path", "query", "header"})


Phrase = Callable[[Problem], Mapping[str, Any]]
"""How a dialect writes the body of a problem."""


def answer(problem: Problem, phrase: Phrase) -> JSONResponse:
    """Answer with a problem."""
    headers = {"Retry-After": "1"} if problem.kind == "unavailable" else None
    return JSONResponse(phrase(problem), STATUS[problem.kind], headers=headers)


def install(app: FastAPI, phrase: Phrase) -> None:
    """Let the app of a dialect answer every problem in its own words."""

    async def on_problem(_request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)  # noqa: S101  (registered for this type alone)
        return answer(problem, phrase)

    async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101  (as above)
        return answer(_invalid(error), phrase)

    async def on_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101  (as above)
        code = _CODES.get(error.status_code, "invalid_request")
        body = phrase(Problem("invalid", code, str(error.detail)))
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def on_error(_request: Request, error: Exception) -> JSONResponse:
        if is_outage(error):
            return answer(unavailable(), phrase)
        failed = Problem("unavailable", "internal_error", "Something went wrong on our side")
        return JSONResponse(phrase(failed), 500)

    app.add_exception_handler(Exception, on_error)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def _invalid(error: RequestValidationError) -> Problem:
    issues = []
    for one in error.errors():
        location, message = issue_of(one)
        issues.append((location[1:] if location[0] in _PLACES else location, message))
    return problem_of_issues(issues, error.body)
