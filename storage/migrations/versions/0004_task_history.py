"""What agencies report of a task before it is decided (RB-4.6)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the history of a task, and how far its process was told."""
    # Without batch: SQLite would copy the table, on which others depend.
    op.add_column(
        "tasks",
        sa.Column("history", sa.Text(), nullable=False, server_default=sa.text("'[]'")),
    )
    for name in ("changes", "changes_told"):
        op.add_column(
            "tasks",
            sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")),
        )
    op.create_index(
        "ix_tasks_untold",
        "tasks",
        ["id"],
        sqlite_where=sa.text("changes_told < changes"),
        postgresql_where=sa.text("changes_told < changes"),
    )
