"""The API beside a town's worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from api.app import build_app
from tests.support.serving import ADMINISTRATORS, AGENCIES, Api, key_of
from tests.workflows.harness import Town


@asynccontextmanager
async def serving(town: Town) -> AsyncIterator[Api]:
    """Run the API beside a town's worker: same case file, engine and time."""
    settings = town.settings.model_copy(
        update={
            "agency_keys": {agency: SecretStr(key_of(agency)) for agency in AGENCIES},
            "administrator_keys": {each: SecretStr(key_of(each)) for each in ADMINISTRATORS},
            "agency_bases": town.bases,
            "engine_origin": town.clock.engine_origin,
            "civil_origin": town.clock.civil_origin,
        }
    )
    app = build_app(settings, town.engine_now)
    async with app.router.lifespan_context(app):
        yield Api(app, settings.database_url)
