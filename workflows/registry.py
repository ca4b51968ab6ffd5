"""Every workflow there is; the worker and the replay gate share this list."""

from __future__ import annotations

from workflows.application import Application
from workflows.approval_bundle import ApprovalBundle

WORKFLOWS: tuple[type, ...] = (Application, ApprovalBundle)
