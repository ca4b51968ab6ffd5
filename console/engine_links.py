"""Addresses in the engine's own web page, where its operators set one (RB-12.2)."""

from __future__ import annotations

from urllib.parse import quote

from settings import Settings


def workflow_address(
    settings: Settings, workflow_id: str | None, run_id: str | None = None
) -> str | None:
    """Return where the engine shows a process; its latest run unless one is named.

    Returns:
        None where no address of the engine's page is set, or there is no process.
    """
    if not settings.engine_ui or workflow_id is None:
        return None
    namespace = quote(settings.engine_namespace, safe="")
    address = f"{settings.engine_ui.rstrip('/')}/namespaces/{namespace}/workflows"
    address += f"/{quote(workflow_id, safe='')}"
    return f"{address}/{quote(run_id, safe='')}/history" if run_id else address
