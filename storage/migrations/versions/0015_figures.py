"""Indices for the figures of supervision: open cases and tasks by light, district and age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OPEN = sa.text("state = 'open'")
WATCHED = sa.text("state = 'open' and limit_working_days is not null")
PERMITS_DONE = sa.text("kind = 'permits' and state = 'done'")
SUPERVISION = sa.text("kind = 'supervision'")


def upgrade() -> None:
    """Have each index hold all that its figure asks for."""
    op.create_index(
        "ix_applications_open",
        "applications",
        [
            "state",
            "district",
            "stage",
            "voltage",
            "supply",
            "policy",
            "calendar",
            "submitted_at",
            "accepted_at",
            "no",
        ],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index("ix_applications_no_district", "applications", ["no", "district"])
    op.drop_index("ix_tasks_watched", "tasks")
    op.create_index(
        "ix_tasks_watched",
        "tasks",
        [
            "state",
            "owed_by",
            "kind",
            "due_on",
            "limit_working_days",
            "opened_at",
            "case_no",
            "id",
        ],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.drop_index("ix_tasks_permits_done", "tasks")
    op.create_index(
        "ix_tasks_permits_done",
        "tasks",
        ["done_at", "owed_by", "is_late", "case_no", "id"],
        sqlite_where=PERMITS_DONE,
        postgresql_where=PERMITS_DONE,
    )
    op.create_index(
        "ix_notices_supervision",
        "notices",
        ["replied_at", "reply_by", "id"],
        sqlite_where=SUPERVISION,
        postgresql_where=SUPERVISION,
    )


def downgrade() -> None:
    """Put the former ones back."""
    op.drop_index("ix_notices_supervision", "notices")
    op.drop_index("ix_tasks_permits_done", "tasks")
    op.create_index(
        "ix_tasks_permits_done",
        "tasks",
        ["done_at", "owed_by", "is_late"],
        sqlite_where=PERMITS_DONE,
        postgresql_where=PERMITS_DONE,
    )
    op.drop_index("ix_tasks_watched", "tasks")
    op.create_index(
        "ix_tasks_watched",
        "tasks",
        ["owed_by", "kind", "due_on"],
        sqlite_where=WATCHED,
        postgresql_where=WATCHED,
    )
    op.drop_index("ix_applications_no_district", "applications")
    op.drop_index("ix_applications_open", "applications")
