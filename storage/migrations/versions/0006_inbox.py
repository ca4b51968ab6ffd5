"""Who holds a task, documents put with it, and opinions asked of units without an account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "sqlite": [
        f"""
        CREATE TRIGGER documents_refuse_{act} BEFORE {act.upper()} ON documents
        BEGIN SELECT RAISE(ABORT, 'documents are append-only'); END
        """
        for act in ("update", "delete")
    ]
    # REPLACE deletes without asking the trigger for that.
    + [
        """
        CREATE TRIGGER documents_refuse_replace BEFORE INSERT ON documents
        WHEN EXISTS (
            SELECT 1 FROM documents WHERE task_id = NEW.task_id AND sha256 = NEW.sha256
        )
        BEGIN SELECT RAISE(ABORT, 'documents are append-only'); END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_change_of_documents() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'documents are append-only'; END $$
        """,
        """
        CREATE TRIGGER documents_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON documents
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_documents()
        """,
    ],
}
INBOX = sa.text("state = 'open'")
HELD = sa.text("state = 'open' and held_by is not null")


def upgrade() -> None:
    """Add the column, its indices and both tables."""
    # Without batch: SQLite would copy the table, on which others depend.
    op.add_column("tasks", sa.Column("held_by", sa.String(length=40), nullable=True))
    op.create_index(
        "ix_tasks_inbox",
        "tasks",
        ["owed_by", "due_on", "id"],
        sqlite_where=INBOX,
        postgresql_where=INBOX,
    )
    op.create_index(
        "ix_tasks_held_by",
        "tasks",
        ["held_by", "due_on", "id"],
        sqlite_where=HELD,
        postgresql_where=HELD,
    )
    op.create_table(
        "documents",
        sa.Column("task_id", sa.String(length=80), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("put_by", sa.String(length=40), nullable=False),
        sa.Column("put_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_no"], ["applications.no"], name=op.f("fk_documents_case_no")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_documents_task_id")),
        sa.PrimaryKeyConstraint("task_id", "sha256", name=op.f("pk_documents")),
    )
    op.create_index("ix_documents_case_no", "documents", ["case_no"])
    op.create_table(
        "opinions",
        sa.Column("task_id", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opinion", sa.String(length=20), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("by_unit", sa.String(length=200), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_no"], ["applications.no"], name=op.f("fk_opinions_case_no")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_opinions_task_id")),
        sa.PrimaryKeyConstraint("task_id", "number", name=op.f("pk_opinions")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_opinions_token_sha256")),
        sa.UniqueConstraint(
            "task_id", "idempotency_key", name=op.f("uq_opinions_task_id_idempotency_key")
        ),
    )
    op.create_index("ix_opinions_case_no", "opinions", ["case_no"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
