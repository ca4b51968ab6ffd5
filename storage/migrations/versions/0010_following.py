"""Which secret of a case counts, and who follows a case by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the count of a case's secrets, and the visits of those who follow one."""
    op.add_column(
        "applications",
        sa.Column("follow_generation", sa.Integer(), nullable=False, server_default=sa.text("1")),
    )
    op.create_table(
        "follow_sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_no"], ["applications.no"], name=op.f("fk_follow_sessions_case_no")
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_follow_sessions")),
    )
    op.add_column("actions", sa.Column("through", sa.String(length=20), nullable=True))
    op.create_index("ix_follow_sessions_case_no", "follow_sessions", ["case_no"])
