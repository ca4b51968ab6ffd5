"""Finding where numbers were shown, and counting the cases of a policy, without reading it all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SHOWN = sa.text("kind = 'numbers_shown'")


def upgrade() -> None:
    """Add both indexes."""
    op.create_index(
        "ix_events_numbers_shown", "events", ["at"], sqlite_where=SHOWN, postgresql_where=SHOWN
    )
    op.create_index("ix_applications_policy_state", "applications", ["policy", "state"])


def downgrade() -> None:
    """Take them back."""
    op.drop_index("ix_applications_policy_state", "applications")
    op.drop_index("ix_events_numbers_shown", "events")
