"""The error body, and the status of each problem: here and nowhere else."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from libs.chassis.outages import is_outage
from services.api.use_cases.content import problem_of_issues
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


def body_of(problem: Problem) -> dict[str, object]:
    """Write a problem as the API does: a sentence, a code, and details where there are some."""
    body: dict[str, object] = {"error": problem.message, "error_code": problem.code}
    return body | {"details": problem.details} if problem.details else body


def answer(problem: Problem) -> JSONResponse:
    """Answer with a problem."""
    headers = {"Retry-After": "1"} if problem.kind == "unavailable" else None
    return JSONResponse(body_of(problem), STATUS[problem.kind], headers=headers)


def install(app: FastAPI) -> None:
    """Let the app answer every problem with the error body."""

    async def on_problem(_request: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)  # noqa: S101  (registered for this type alone)
        return answer(problem)

    async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101  (as above)
        return answer(_invalid(error))

    async def on_http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101  (as above)
        code = _CODES.get(error.status_code, "invalid_request")
        body = {"error": str(error.detail), "error_code": code}
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def on_error(_request: Request, error: Exception) -> JSONResponse:
        if is_outage(error):
            return answer(unavailable())
        body = {"error": "Something went wrong on our side", "error_code": "internal_error"}
        return JSONResponse(body, 500)

    app.add_exception_handler(Exception, on_error)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def _invalid(error: RequestValidationError) -> Problem:
    issues = []
    for one in error.errors():
        location = tuple(one["loc"])
        issues.append((location[1:] if location[0] in _PLACES else location, str(one["msg"])))
    return problem_of_issues(issues, error.body)
