"""Entry of the API process."""

from __future__ import annotations

import uvicorn

from api.app import build_app
from settings import Settings


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    settings = Settings()
    uvicorn.run(
        build_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_level=settings.log_level.lower(),
        access_log=False,
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
