"""Repairs: planned, approved, carried out and reported, case by case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UNDER_WAY = sa.text("state in ('planning', 'executing')")
LEFT = sa.text("state in ('new', 'planned', 'executing')")


def upgrade() -> None:
    """Add the table of repairs, and that of their cases."""
    op.create_table(
        "repairs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("planned_by", sa.String(length=40), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("per_second", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("approved_by", sa.String(length=40), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("executed_by", sa.String(length=40), nullable=True),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_repairs")),
        sa.UniqueConstraint(
            "planned_by", "idempotency_key", name=op.f("uq_repairs_planned_by_idempotency_key")
        ),
    )
    op.create_index(
        "ix_repairs_under_way",
        "repairs",
        ["number"],
        sqlite_where=UNDER_WAY,
        postgresql_where=UNDER_WAY,
    )
    op.create_table(
        "repair_items",
        sa.Column("repair", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("case_no", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["repair"], ["repairs.number"], name=op.f("fk_repair_items_repair")
        ),
        sa.ForeignKeyConstraint(
            ["case_no"], ["applications.no"], name=op.f("fk_repair_items_case_no")
        ),
        sa.PrimaryKeyConstraint("repair", "position", name=op.f("pk_repair_items")),
    )
    op.create_index(op.f("ix_repair_items_case_no"), "repair_items", ["case_no"])
    op.create_index(
        "ix_repair_items_left",
        "repair_items",
        ["repair", "position"],
        sqlite_where=LEFT,
        postgresql_where=LEFT,
    )
