"""Tables of the case file. `migrations/` must lead to exactly these (tested)."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Index, Integer, String, Table, Text

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class Instant(sa.TypeDecorator[datetime]):
    """An aware instant, kept as UTC (RB-1.1); SQLite has no zones, so reading puts it back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse a naive instant; store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant needs its zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give back an aware instant."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# One row: the last number given, and the hash of the first event of the case that got it. Each
# case's chain begins from its predecessor's first event, so a case cannot be taken out unseen.
register = Table(
    "register",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("last_sequence", Integer, nullable=False),
    Column("last_hash", String(64), nullable=False),
)

applications = Table(
    "applications",
    metadata,
    Column("no", String(16), primary_key=True),
    Column("sequence", Integer, nullable=False, unique=True),
    Column("policy", String(80), nullable=False),
    Column("clock", Text, nullable=False),
    Column("channel", String(20), nullable=False),
    Column("voltage", String(8), nullable=False),
    Column("supply", String(8), nullable=False),
    Column("district", String(6), nullable=False),
    Column("applicant_name", String(200), nullable=False),
    Column("address", String(400), nullable=False),
    Column("content", Text, nullable=False),
    Column("submitted_by", String(40), nullable=False),
    Column("submitted_at", Instant, nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("stage", String(40), nullable=False),
    Column("reached", String(40)),
    Column("state", String(8), nullable=False),
    Column("ending", String(40)),
    Column("accepted_at", Instant),
    Column("ended_at", Instant),
    Column("investment", Text),
    Column("route", Text),
    Column("asks_area", Boolean, nullable=False),
    Column("process_started", Boolean, nullable=False),
    Column("head_seq", Integer, nullable=False),
    Column("head_hash", String(64), nullable=False),
    # Number of the calendar with which the dates of an open case were last computed, and with which
    # those of an ended one stay (RB-1.7).
    Column("calendar", Integer, nullable=False, server_default=sa.text("1")),
    # The same, as far as its process was told; bookkeeping of delivery.
    Column("calendar_told", Integer, nullable=False, server_default=sa.text("1")),
    sa.UniqueConstraint("submitted_by", "idempotency_key"),
    Index("ix_applications_state_stage", "state", "stage"),
    Index(
        "ix_applications_unstarted",
        "no",
        sqlite_where=sa.text("process_started = 0"),
        postgresql_where=sa.text("process_started = false"),
    ),
    Index(
        "ix_applications_untold",
        "no",
        sqlite_where=sa.text("state = 'open' and calendar_told < calendar"),
        postgresql_where=sa.text("state = 'open' and calendar_told < calendar"),
    ),
    Index(
        "ix_applications_behind",
        "calendar",
        "no",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("workflow_id", String(80), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("department", String(40)),
    Column("owed_by", String(40), nullable=False),
    Column("round", Integer, nullable=False),
    Column("link", String(40), nullable=False),
    Column("segment", String(20), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due_on", sa.Date),
    Column("is_provisional", Boolean, nullable=False),
    Column("calendar_version", String(40), nullable=False),
    Column("limit_working_days", Integer),
    Column("clause", String(200), nullable=False),
    Column("asked", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("outcome", Text),
    Column("done_at", Instant),
    Column("is_late", Boolean, nullable=False),
    Column("decided_by", String(40)),
    Column("closed_by", String(40)),
    Column("delivered", Boolean, nullable=False),
    Column("push_problem", Text),
    Index("ix_tasks_owed_by_state", "owed_by", "state", "opened_at", "id"),
    Index(
        "ix_tasks_undelivered",
        "id",
        sqlite_where=sa.text("state = 'done' and delivered = 0"),
        postgresql_where=sa.text("state = 'done' and delivered = false"),
    ),
)

events = Table(
    "events",
    metadata,
    Column("case_no", ForeignKey("applications.no"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("by", String(40), nullable=False),
    Column("task_id", String(80)),
    Column("once", String(80)),
    Column("body", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    sa.UniqueConstraint("case_no", "once"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("action", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(40), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("taken_at", Instant),
)

calendars = Table(
    "calendars",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("version", String(40), nullable=False, unique=True),
    Column("years", Text, nullable=False),
    Column("year", Integer),
    Column("notice", Text, nullable=False),
    Column("retracts", Integer),
    Column("published_by", String(40), nullable=False),
    Column("published_at", Instant, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

# What people were told. The id names the cause, so that each is told once.
notices = Table(
    "notices",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("task_id", String(80)),
    Column("kind", String(40), nullable=False),
    Column("recipient", String(40), nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Column("reply_by", sa.Date),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", String(40)),
    Column("reply", Text),
    Column("replied_at", Instant),
    Index("ix_notices_recipient", "recipient", "sent_at", "id"),
)
