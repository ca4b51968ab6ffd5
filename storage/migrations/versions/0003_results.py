"""What stopped clocks came to, and indices for the figures of supervision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "sqlite": [
        f"""
        CREATE TRIGGER results_refuse_{act} BEFORE {act.upper()} ON results
        BEGIN SELECT RAISE(ABORT, 'results are append-only'); END
        """
        for act in ("update", "delete")
    ]
    # REPLACE deletes without asking the trigger for that.
    + [
        """
        CREATE TRIGGER results_refuse_replace BEFORE INSERT ON results
        WHEN EXISTS (
            SELECT 1 FROM results
            WHERE case_no = NEW.case_no AND clock = NEW.clock AND round = NEW.round
        )
        BEGIN SELECT RAISE(ABORT, 'results are append-only'); END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_change_of_results() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'results are append-only'; END $$
        """,
        """
        CREATE TRIGGER results_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON results
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_results()
        """,
    ],
}
PERMITS_DONE = sa.text("kind = 'permits' and state = 'done'")
WATCHED = sa.text("state = 'open' and limit_working_days is not null")


def upgrade() -> None:
    """Add the table and the indices."""
    op.create_table(
        "results",
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("clock", sa.String(length=40), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("district", sa.String(length=6), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("stopped_on", sa.Date(), nullable=False),
        sa.Column("gross", sa.Integer(), nullable=False),
        sa.Column("net", sa.Integer(), nullable=False),
        sa.Column("limit_working_days", sa.Integer(), nullable=True),
        sa.Column("is_met", sa.Boolean(), nullable=True),
        sa.Column("calendar_version", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_results_case_no")),
        sa.PrimaryKeyConstraint("case_no", "clock", "round", name=op.f("pk_results")),
    )
    op.create_index(
        "ix_results_stopped_on",
        "results",
        ["stopped_on", "clock", "limit_working_days", "district", "net", "is_met"],
    )
    op.create_index(
        "ix_tasks_permits_done",
        "tasks",
        ["done_at", "owed_by", "is_late"],
        sqlite_where=PERMITS_DONE,
        postgresql_where=PERMITS_DONE,
    )
    op.create_index(
        "ix_tasks_watched",
        "tasks",
        ["owed_by", "kind", "due_on"],
        sqlite_where=WATCHED,
        postgresql_where=WATCHED,
    )
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
