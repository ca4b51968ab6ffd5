"""The case file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "sqlite": [
        f"""
        CREATE TRIGGER events_refuse_{act} BEFORE {act.upper()} ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """
        for act in ("update", "delete")
    ]
    # REPLACE deletes without asking the trigger for that.
    + [
        """
        CREATE TRIGGER events_refuse_replace BEFORE INSERT ON events
        WHEN EXISTS (
            SELECT 1 FROM events
            WHERE case_no = NEW.case_no AND (seq = NEW.seq OR once = NEW.once)
        )
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'events are append-only'; END $$
        """,
        """
        CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()
        """,
    ],
}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "applications",
        sa.Column("no", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("policy", sa.String(length=80), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("voltage", sa.String(length=8), nullable=False),
        sa.Column("supply", sa.String(length=8), nullable=False),
        sa.Column("district", sa.String(length=6), nullable=False),
        sa.Column("applicant_name", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=400), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("submitted_by", sa.String(length=40), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("reached", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("ending", sa.String(length=40), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("investment", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("asks_area", sa.Boolean(), nullable=False),
        sa.Column("process_started", sa.Boolean(), nullable=False),
        sa.Column("head_seq", sa.Integer(), nullable=False),
        sa.Column("head_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_applications")),
        sa.UniqueConstraint("sequence", name=op.f("uq_applications_sequence")),
        sa.UniqueConstraint(
            "submitted_by",
            "idempotency_key",
            name=op.f("uq_applications_submitted_by_idempotency_key"),
        ),
    )
    with op.batch_alter_table("applications", schema=None) as batch_op:
        batch_op.create_index("ix_applications_state_stage", ["state", "stage"], unique=False)
        batch_op.create_index(
            "ix_applications_unstarted",
            ["no"],
            unique=False,
            sqlite_where=sa.text("process_started = 0"),
            postgresql_where=sa.text("process_started = false"),
        )

    op.create_table(
        "register",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register")),
    )
    op.create_table(
        "actions",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_actions_case_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_actions")),
    )
    with op.batch_alter_table("actions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_actions_case_no"), ["case_no"], unique=False)

    op.create_table(
        "events",
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("task_id", sa.String(length=80), nullable=True),
        sa.Column("once", sa.String(length=80), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_events_case_no")),
        sa.PrimaryKeyConstraint("case_no", "seq", name=op.f("pk_events")),
        sa.UniqueConstraint("case_no", "once", name=op.f("uq_events_case_no_once")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("workflow_id", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("department", sa.String(length=40), nullable=True),
        sa.Column("owed_by", sa.String(length=40), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("link", sa.String(length=40), nullable=False),
        sa.Column("segment", sa.String(length=20), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("is_provisional", sa.Boolean(), nullable=False),
        sa.Column("calendar_version", sa.String(length=40), nullable=False),
        sa.Column("limit_working_days", sa.Integer(), nullable=True),
        sa.Column("clause", sa.String(length=200), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("closed_by", sa.String(length=40), nullable=True),
        sa.Column("delivered", sa.Boolean(), nullable=False),
        sa.Column("push_problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_tasks_case_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tasks_case_no"), ["case_no"], unique=False)
        batch_op.create_index(
            "ix_tasks_owed_by_state", ["owed_by", "state", "opened_at", "id"], unique=False
        )
        batch_op.create_index(
            "ix_tasks_undelivered",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'done' and delivered = 0"),
            postgresql_where=sa.text("state = 'done' and delivered = false"),
        )
    # The record only grows (RB-13.2): the database itself refuses to change or take out an event.
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
