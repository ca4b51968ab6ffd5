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
    # Which of the secrets that its applicant was given to follow it counts; the others ended.
    Column("follow_generation", Integer, nullable=False, server_default=sa.text("1")),
    # The applicant's telephone number in its one spelling, to be searched for; null where it is
    # none. As it is and no digest: that would keep nobody from it (see its migration).
    Column("phone", String(20)),
    sa.UniqueConstraint("submitted_by", "idempotency_key"),
    Index("ix_applications_phone", "phone", "sequence"),
    # Holds all that a search looks at, so that the rows themselves, which are long, are not read.
    Index(
        "ix_applications_search",
        "sequence",
        "applicant_name",
        "address",
        "state",
        "stage",
        "district",
        "channel",
        "submitted_by",
    ),
    Index("ix_applications_state_stage", "state", "stage"),
    # What is counted of open cases; SQLite reads only the index if the state stands in it, too.
    Index(
        "ix_applications_open",
        "state",
        "district",
        "stage",
        "voltage",
        "supply",
        "policy",
        "calendar",
        "submitted_at",
        "accepted_at",
        "no",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    # The district of what only names its case.
    Index("ix_applications_no_district", "no", "district"),
    Index("ix_applications_policy_state", "policy", "state"),
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
    # Why its agency's system does not take it, if it did not answer; refusals are in push_problem.
    Column("push_failure", String(200)),
    # Since when (civil) the push was refused or not answered; null once it is taken.
    Column("push_failing_since", Instant),
    # What was reported of it before it was decided, in order; only grows (RB-2.1).
    Column("history", Text, nullable=False, server_default=sa.text("'[]'")),
    # How many changes of its deadline there were, and of how many its process was told.
    Column("changes", Integer, nullable=False, server_default=sa.text("0")),
    Column("changes_told", Integer, nullable=False, server_default=sa.text("0")),
    # Who within its agency holds it, as the history has it; kept to be asked for.
    Column("held_by", String(40)),
    Index("ix_tasks_owed_by_state", "owed_by", "state", "opened_at", "id"),
    # An inbox: what an agency owes, by deadline; all of it, or what one of its officers holds.
    Index(
        "ix_tasks_inbox",
        "owed_by",
        "due_on",
        "id",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    # The same of all agencies, for those who look on.
    Index(
        "ix_tasks_due",
        "due_on",
        "id",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    Index(
        "ix_tasks_held_by",
        "held_by",
        "due_on",
        "id",
        sqlite_where=sa.text("state = 'open' and held_by is not null"),
        postgresql_where=sa.text("state = 'open' and held_by is not null"),
    ),
    Index(
        "ix_tasks_push_failing",
        "id",
        sqlite_where=sa.text("state = 'open' and push_failing_since is not null"),
        postgresql_where=sa.text("state = 'open' and push_failing_since is not null"),
    ),
    Index(
        "ix_tasks_undelivered",
        "id",
        sqlite_where=sa.text("state = 'done' and delivered = 0"),
        postgresql_where=sa.text("state = 'done' and delivered = false"),
    ),
    # What departments decided in a period, and how much of it late.
    Index(
        "ix_tasks_permits_done",
        "done_at",
        "owed_by",
        "is_late",
        "case_no",
        "id",
        sqlite_where=sa.text("kind = 'permits' and state = 'done'"),
        postgresql_where=sa.text("kind = 'permits' and state = 'done'"),
    ),
    # What is owed, for the lights and ages; holds all they ask for, as those of open cases do.
    Index(
        "ix_tasks_watched",
        "state",
        "owed_by",
        "kind",
        "due_on",
        "limit_working_days",
        "opened_at",
        "case_no",
        "id",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    Index(
        "ix_tasks_untold",
        "id",
        sqlite_where=sa.text("changes_told < changes"),
        postgresql_where=sa.text("changes_told < changes"),
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
    Index(
        "ix_events_numbers_shown",
        "at",
        sqlite_where=sa.text("kind = 'numbers_shown'"),
        postgresql_where=sa.text("kind = 'numbers_shown'"),
    ),
)

actions = Table(
    "actions",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("action", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(40), nullable=False),
    # Which way it came from an applicant who follows the case.
    Column("through", String(20)),
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
    # Supervision notices: those that nobody has replied to, due first, and the others.
    Index(
        "ix_notices_supervision",
        "replied_at",
        "reply_by",
        "id",
        sqlite_where=sa.text("kind = 'supervision'"),
        postgresql_where=sa.text("kind = 'supervision'"),
    ),
)

# What agencies' systems are told of. The id names the cause, so that each is told once.
messages = Table(
    "messages",
    metadata,
    # In the order in which they are sent.
    Column("number", Integer, primary_key=True),
    Column("id", String(200), nullable=False, unique=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("task_id", String(80), nullable=False),
    Column("agency", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", Instant),
    Column("is_refused", Boolean, nullable=False),
    Column("problem", String(200)),
    Column("delivered_at", Instant),
    Index(
        "ix_messages_undelivered",
        "agency",
        "is_refused",
        "number",
        sqlite_where=sa.text("delivered_at is null"),
        postgresql_where=sa.text("delivered_at is null"),
    ),
)

# What a stopped clock came to; a row is written with the event that stopped it and never changed.
results = Table(
    "results",
    metadata,
    Column("case_no", ForeignKey("applications.no"), primary_key=True),
    Column("clock", String(40), primary_key=True),
    # Of the bundle; 0 for a clock of the case itself.
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("district", String(6), nullable=False),
    Column("started_on", sa.Date, nullable=False),
    Column("stopped_on", sa.Date, nullable=False),
    Column("gross", Integer, nullable=False),
    Column("net", Integer, nullable=False),
    Column("limit_working_days", Integer),
    Column("is_met", Boolean),
    Column("calendar_version", String(40), nullable=False),
    # Holds all that an average asks for, so that the rows themselves are not read.
    Index(
        "ix_results_stopped_on",
        "stopped_on",
        "clock",
        "limit_working_days",
        "district",
        "net",
        "is_met",
    ),
)

# What agencies put with their tasks: the documents that state their decisions. Never changed.
documents = Table(
    "documents",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("media_type", String(40), nullable=False),
    Column("size", Integer, nullable=False),
    Column("name", String(200)),
    Column("put_by", String(40), nullable=False),
    Column("put_at", Instant, nullable=False),
    Column("content", sa.LargeBinary, nullable=False),
)

# What units without an account were asked, and said. Of a link, only the digest of its secret.
opinions = Table(
    "opinions",
    metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("idempotency_key", String(200), nullable=False),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("unit", String(200), nullable=False),
    Column("question", Text, nullable=False),
    Column("answer_by", sa.Date, nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("opinion", String(20)),
    Column("text", Text),
    Column("by_unit", String(200)),
    Column("answered_at", Instant),
    sa.UniqueConstraint("task_id", "idempotency_key"),
)

# Cases that today's code is tried on, for an administrator; nothing is changed by it (RB-12.2).
replays = Table(
    "replays",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asked_by", String(40), nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("scope", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("problem", Text),
    Column("stopped_by", String(40)),
    Column("ended_at", Instant),
    # How often a process took it up: one that ends whoever takes it up is given up at last.
    Column("attempts", Integer, nullable=False),
    # Who works on it, and until when (engine's instant) unless it says so again.
    Column("claim", String(32)),
    Column("claimed_until", Instant),
    sa.UniqueConstraint("asked_by", "idempotency_key"),
    Index(
        "ix_replays_running",
        "id",
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    ),
)

# Each case of a replay; without a result it is still to be replayed.
replay_cases = Table(
    "replay_cases",
    metadata,
    Column("replay_id", ForeignKey("replays.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("case_no", String(16), nullable=False),
    Column("result", String(12)),
    # How many histories were replayed.
    Column("processes", Integer, nullable=False),
    Column("findings", Text),
    Index(
        "ix_replay_cases_left",
        "replay_id",
        "position",
        sqlite_where=sa.text("result is null"),
        postgresql_where=sa.text("result is null"),
    ),
    Index(
        "ix_replay_cases_not_carried",
        "replay_id",
        "position",
        sqlite_where=sa.text("result = 'not_carried'"),
        postgresql_where=sa.text("result = 'not_carried'"),
    ),
)

# Who may sign in to the console. Of a password, only its argon2id hash.
accounts = Table(
    "accounts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("display_name", String(100), nullable=False),
    # None: an administrator.
    Column("agency", String(40)),
    Column("role", String(20), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("must_change_password", Boolean, nullable=False),
    Column("failed_attempts", Integer, nullable=False),
    Column("locked_until", Instant),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Who is signed in. Of a session's secret, only the digest.
sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    # The identity provider that vouched for whoever it is; None: a password did.
    Column("issuer", String(255)),
)

# Who an account is at the identity provider: one person has one account, and the other way round.
identities = Table(
    "identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, unique=True),
    Column("linked_at", Instant, nullable=False),
)

# Sign-ins that are under way at the identity provider; each is taken back once, soon, by the visit
# that began it.
provider_requests = Table(
    "provider_requests",
    metadata,
    Column("state_sha256", String(64), primary_key=True),
    Column("visit_sha256", String(64), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("code_verifier", String(128), nullable=False),
    Column("go_on", Text, nullable=False),
    # The account that wants to be linked; None: somebody wants to sign in.
    Column("link_to", ForeignKey("accounts.id")),
    Column("asked_at", Instant, nullable=False, index=True),
)

# Who follows a case by its number and secret. Of a visit's token, only the digest.
follow_sessions = Table(
    "follow_sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
)

# Repairs: what an administrator plans to do to one case or to many, and what came of it (RB-12.2).
repairs = Table(
    "repairs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    # What was asked for, as sent; the outcome that is to be put on file is in it.
    Column("asked", Text, nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("planned_by", String(40), nullable=False),
    Column("planned_at", Instant, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("per_second", sa.Float, nullable=False),
    Column("state", String(10), nullable=False),
    Column("approved_by", String(40)),
    Column("approved_at", Instant),
    Column("executed_by", String(40)),
    Column("executed_at", Instant),
    Column("ended_at", Instant),
    # When (engine's instant) the next case may be taken up, so that the rate is kept.
    Column("next_at", Instant),
    sa.UniqueConstraint("planned_by", "idempotency_key"),
    Index(
        "ix_repairs_under_way",
        "number",
        sqlite_where=sa.text("state in ('planning', 'executing')"),
        postgresql_where=sa.text("state in ('planning', 'executing')"),
    ),
)

# Each case of a repair, with its plan and its report; what was done to it is on its record, too.
repair_items = Table(
    "repair_items",
    metadata,
    Column("repair", ForeignKey("repairs.number"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("case_no", ForeignKey("applications.no"), nullable=False, index=True),
    Column("target", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("plan", Text),
    Column("problem", Text),
    # How the case stood when it was begun.
    Column("before", Text),
    Column("report", Text),
    Column("begun_at", Instant),
    Column("ended_at", Instant),
    # Until when (engine's instant) nobody else takes it up.
    Column("claimed_until", Instant),
    Index(
        "ix_repair_items_left",
        "repair",
        "position",
        sqlite_where=sa.text("state in ('new', 'planned', 'executing')"),
        postgresql_where=sa.text("state in ('new', 'planned', 'executing')"),
    ),
)

# What administrators did beside their work on cases, which is on the cases' own records: numbered
# without a gap and chained by hash. Append-only.
admin_acts = Table(
    "admin_acts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    # The engine's instant: accounts and keys live in real time, also in training mode.
    Column("at", Instant, nullable=False),
    Column("by", String(40), nullable=False),
    Column("act", String(40), nullable=False),
    Column("subject", String(80), nullable=False),
    Column("details", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

# Keys of agencies' systems. What is secret of them lies nowhere: it is derived from the server's
# own secret. All instants are the engine's.
system_keys = Table(
    "system_keys",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("agency", String(40), nullable=False),
    Column("label", String(100), nullable=False),
    # Tells one server's secret from another, and nothing about it.
    Column("made_under", String(16), nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("created_by", String(40), nullable=False),
    Column("created_at", Instant, nullable=False),
    # It ends then: as it was made, or sooner by a rotation or a revocation.
    Column("not_after", Instant, nullable=False),
    Column("replaced_by", String(20)),
    Column("revoked_at", Instant),
    Column("revoked_by", String(40)),
    Column("last_used_at", Instant),
    sa.UniqueConstraint("created_by", "idempotency_key"),
    Index("ix_system_keys_not_after", "not_after", "id"),
)

# Signed requests that were taken, until their signature is too old to be taken again.
signed_requests = Table(
    "signed_requests",
    metadata,
    Column("key_id", ForeignKey("system_keys.id"), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("until", Instant, nullable=False, index=True),
)
