"""Replays: which cases today's code was tried on, and which of them it cannot carry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RUNNING = sa.text("state = 'running'")
LEFT = sa.text("result is null")
NOT_CARRIED = sa.text("result = 'not_carried'")


def upgrade() -> None:
    """Add the table of replays, and that of their cases."""
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("stopped_by", sa.String(length=40), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
        sa.UniqueConstraint(
            "asked_by", "idempotency_key", name=op.f("uq_replays_asked_by_idempotency_key")
        ),
    )
    op.create_index(
        "ix_replays_running",
        "replays",
        ["id"],
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )
    op.create_table(
        "replay_cases",
        sa.Column("replay_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("result", sa.String(length=12), nullable=True),
        sa.Column("processes", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["replay_id"], ["replays.id"], name=op.f("fk_replay_cases_replay_id")
        ),
        sa.PrimaryKeyConstraint("replay_id", "position", name=op.f("pk_replay_cases")),
    )
    op.create_index(
        "ix_replay_cases_left",
        "replay_cases",
        ["replay_id", "position"],
        sqlite_where=LEFT,
        postgresql_where=LEFT,
    )
    op.create_index(
        "ix_replay_cases_not_carried",
        "replay_cases",
        ["replay_id", "position"],
        sqlite_where=NOT_CARRIED,
        postgresql_where=NOT_CARRIED,
    )
