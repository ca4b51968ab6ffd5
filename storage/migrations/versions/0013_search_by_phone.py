"""The applicant's telephone number, to be searched for, and an index that searching reads.

The number is kept as it is, in its one international spelling. A digest would keep nobody from it:
there are so few numbers that all are tried in minutes, and the application's content, in the same
row, holds it anyway.
"""

from __future__ import annotations

import json

import phonenumbers
import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_AT_ONCE = 1000


def upgrade() -> None:
    """Add the column, fill it in for the cases on file, and add both indices."""
    # Without batch: SQLite would copy the table, on which others depend.
    op.add_column("applications", sa.Column("phone", sa.String(length=20), nullable=True))
    _fill_in()
    op.create_index("ix_applications_phone", "applications", ["phone", "sequence"])
    op.create_index(
        "ix_applications_search",
        "applications",
        [
            "sequence",
            "applicant_name",
            "address",
            "state",
            "stage",
            "district",
            "channel",
            "submitted_by",
        ],
    )


def _fill_in() -> None:
    applications = sa.table(
        "applications", sa.column("no"), sa.column("content"), sa.column("phone")
    )
    database, last = op.get_bind(), ""
    while rows := database.execute(
        sa.select(applications.c.no, applications.c.content)
        .where(applications.c.no > last)
        .order_by(applications.c.no)
        .limit(_AT_ONCE)
    ).all():
        last = rows[-1].no
        database.execute(
            applications.update()
            .where(applications.c.no == sa.bindparam("which"))
            .values(phone=sa.bindparam("normal")),
            [
                {"which": row.no, "normal": _normal(json.loads(row.content)["applicant"]["phone"])}
                for row in rows
            ],
        )


def _normal(phone: str) -> str | None:
    """As `domain.identity.normal_phone` was on the day of this migration."""
    try:
        number = phonenumbers.parse(phone, "CN")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
