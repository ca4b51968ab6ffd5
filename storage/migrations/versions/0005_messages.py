"""What agencies' systems are still to be told, and which pushes fail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNDELIVERED = sa.text("delivered_at is null")
FAILING = sa.text("state = 'open' and push_failing_since is not null")


def upgrade() -> None:
    """Add the table of messages, and since when the push of a task fails."""
    op.create_table(
        "messages",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("task_id", sa.String(length=80), nullable=False),
        sa.Column("agency", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_refused", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_messages_case_no")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_messages")),
        sa.UniqueConstraint("id", name=op.f("uq_messages_id")),
    )
    op.create_index("ix_messages_case_no", "messages", ["case_no"])
    op.create_index(
        "ix_messages_undelivered",
        "messages",
        ["agency", "is_refused", "number"],
        sqlite_where=UNDELIVERED,
        postgresql_where=UNDELIVERED,
    )
    # Without batch: SQLite would copy the table, on which others depend.
    op.add_column("tasks", sa.Column("push_failure", sa.String(length=200), nullable=True))
    op.add_column(
        "tasks", sa.Column("push_failing_since", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute(
        "UPDATE tasks SET push_failing_since = opened_at "
        "WHERE state = 'open' AND push_problem IS NOT NULL"
    )
    op.create_index(
        "ix_tasks_push_failing",
        "tasks",
        ["id"],
        sqlite_where=FAILING,
        postgresql_where=FAILING,
    )
