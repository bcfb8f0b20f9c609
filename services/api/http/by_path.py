"""Which dialect answers: told by the path, each an application of its own."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class ByPath:
    """Passes each request on to the application of the dialect whose path it begins with."""

    def __init__(self, dialects: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._dialects = dialects
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self._app_for(scope.get("path", ""))(scope, receive, send)

    def _app_for(self, path: str) -> ASGIApp:
        for prefix, app in self._dialects.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return app
        return self._otherwise
