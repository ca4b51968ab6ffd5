"""Who an account is at the city's identity provider, and sign-ins that are under way there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables, and by whom a session was vouched for."""
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_identities_account_id")
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identities")),
        sa.UniqueConstraint("account_id", name=op.f("uq_identities_account_id")),
    )
    op.create_table(
        "provider_requests",
        sa.Column("state_sha256", sa.String(length=64), nullable=False),
        sa.Column("visit_sha256", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("code_verifier", sa.String(length=128), nullable=False),
        sa.Column("go_on", sa.Text(), nullable=False),
        sa.Column("link_to", sa.String(length=40), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["link_to"], ["accounts.id"], name=op.f("fk_provider_requests_link_to")
        ),
        sa.PrimaryKeyConstraint("state_sha256", name=op.f("pk_provider_requests")),
    )
    op.create_index("ix_provider_requests_asked_at", "provider_requests", ["asked_at"])
    op.add_column("sessions", sa.Column("issuer", sa.String(length=255), nullable=True))
