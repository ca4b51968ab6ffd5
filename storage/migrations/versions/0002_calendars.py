"""Versions of the calendar; each case knows with which one its dates were computed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "sqlite": [
        f"""
        CREATE TRIGGER calendars_refuse_{act} BEFORE {act.upper()} ON calendars
        BEGIN SELECT RAISE(ABORT, 'calendars are append-only'); END
        """
        for act in ("update", "delete")
    ]
    # REPLACE deletes without asking the trigger for that.
    + [
        """
        CREATE TRIGGER calendars_refuse_replace BEFORE INSERT ON calendars
        WHEN EXISTS (SELECT 1 FROM calendars WHERE number = NEW.number)
        BEGIN SELECT RAISE(ABORT, 'calendars are append-only'); END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_change_of_calendars() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'calendars are append-only'; END $$
        """,
        """
        CREATE TRIGGER calendars_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON calendars
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_calendars()
        """,
    ],
}


def upgrade() -> None:
    """Add the table of versions, notices to people, and the version of each case."""
    op.create_table(
        "calendars",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("years", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("retracts", sa.Integer(), nullable=True),
        sa.Column("published_by", sa.String(length=40), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_calendars")),
        sa.UniqueConstraint("version", name=op.f("uq_calendars_version")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("task_id", sa.String(length=80), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=40), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reply_by", sa.Date(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=40), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("replied_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_notices_case_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_recipient", "notices", ["recipient", "sent_at", "id"])
    op.create_index("ix_notices_case_no", "notices", ["case_no"])
    # Without batch: SQLite would copy the table, on which others depend.
    for name in ("calendar", "calendar_told"):
        op.add_column(
            "applications",
            sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("1")),
        )
    op.create_index(
        "ix_applications_untold",
        "applications",
        ["no"],
        sqlite_where=sa.text("state = 'open' and calendar_told < calendar"),
        postgresql_where=sa.text("state = 'open' and calendar_told < calendar"),
    )
    op.create_index(
        "ix_applications_behind",
        "applications",
        ["calendar", "no"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
