"""Keys of systems, requests signed with them, and the record of what administrators did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "sqlite": [
        f"""
        CREATE TRIGGER admin_acts_refuse_{act} BEFORE {act.upper()} ON admin_acts
        BEGIN SELECT RAISE(ABORT, 'admin_acts are append-only'); END
        """
        for act in ("update", "delete")
    ]
    # REPLACE deletes without asking the trigger for that.
    + [
        """
        CREATE TRIGGER admin_acts_refuse_replace BEFORE INSERT ON admin_acts
        WHEN EXISTS (SELECT 1 FROM admin_acts WHERE number = NEW.number)
        BEGIN SELECT RAISE(ABORT, 'admin_acts are append-only'); END
        """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_change_of_admin_acts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'admin_acts are append-only'; END $$
        """,
        """
        CREATE TRIGGER admin_acts_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_acts
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_admin_acts()
        """,
    ],
}


def upgrade() -> None:
    """Add the three tables."""
    op.create_table(
        "admin_acts",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_admin_acts")),
    )
    op.create_table(
        "system_keys",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("agency", sa.String(length=40), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("made_under", sa.String(length=16), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_by", sa.String(length=20), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(length=40), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_system_keys")),
        sa.UniqueConstraint(
            "created_by", "idempotency_key", name=op.f("uq_system_keys_created_by_idempotency_key")
        ),
    )
    op.create_index("ix_system_keys_not_after", "system_keys", ["not_after", "id"])
    op.create_table(
        "signed_requests",
        sa.Column("key_id", sa.String(length=20), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["system_keys.id"], name=op.f("fk_signed_requests_key_id")
        ),
        sa.PrimaryKeyConstraint("key_id", "request_id", name=op.f("pk_signed_requests")),
    )
    op.create_index("ix_signed_requests_until", "signed_requests", ["until"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Take them back."""
    op.drop_table("signed_requests")
    op.drop_table("system_keys")
    op.drop_table("admin_acts")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change_of_admin_acts()")
