"""Rendering: Jinja2 with everything escaped, and the words, dates and lights that pages use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.services import Services
from console import words
from console.guard import FOLLOW, FORM_TOKEN, PATH, VISIT, Visitor, keep, kept
from console.language import Language, said
from domain.access import Act
from domain.errors import FieldProblem
from domain.policy import Policy, Titled
from domain.words import Words
from domain.working_time import CIVIL_ZONE

STATIC = Path(__file__).parent / "static"
MENU: tuple[tuple[Act, str], ...] = (
    (Act.SEE_TASKS, "/tasks"),
    (Act.SEE_CASES, "/cases"),
    (Act.SUBMIT_APPLICATION, "/cases/new"),
    (Act.SEE_SUPERVISION, "/supervision"),
    (Act.SEE_NOTICES, "/escalations"),
    (Act.WHY_THIS_DATE, "/deadline"),
    (Act.SEE_ADMINISTRATION, "/admin"),
)
"""What stands on the left, each for those whose role has it."""

TEXT_SIZE = "onewindow_text_size"
"""The cookie of those who want larger text on the pages for the public (关怀版)."""

_WEEKDAYS = "一二三四五六日"

_FORM_TOKEN = Markup('<input type="hidden" name="{}" value="{}">')

_templates = Environment(
    loader=PackageLoader("console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    request: Request,
    visitor: Visitor,
    template: str,
    *,
    status: int = 200,
    back: str | None = None,
    **context: object,
) -> HTMLResponse:
    """Render a page for a visitor.

    Args:
        back: where the choice of a language leads back to; needed where the page answers a form.
        context: what the template shows; the functions below are there besides.
    """
    services: Services = request.app.state.services
    body = _templates.get_template(template).render(
        **_speaking(visitor.language),
        visitor=visitor,
        Act=Act,
        W=words,
        path=PATH,
        here=request.url.path,
        back=back or _here(request),
        menu=_menu(visitor),
        static=static_path,
        civil_now=services.settings.clock.civil(services.now()),
        speed=services.settings.clock.speed,
        agency=_agency(visitor, services.policy),
        query=query,
        frame=_frame(request),
        is_large=request.cookies.get(TEXT_SIZE) == "large",
        form_token=lambda: _FORM_TOKEN.format(FORM_TOKEN, visitor.form_token),
        **context,
    )
    response = HTMLResponse(body, status_code=status)
    is_nobody = visitor.account is None and visitor.follows is None
    if is_nobody and kept(request, VISIT) != visitor.secret:
        keep(response, request, VISIT, visitor.secret)
    return response


def _frame(request: Request) -> str:
    """Return what a page stands in: that of the public, or that of those who work here."""
    is_public = request.url.path.startswith((FOLLOW, f"{PATH}/guide"))
    return "base_public.html" if is_public else "base.html"


def _menu(visitor: Visitor) -> list[tuple[Act, str]]:
    account = visitor.account
    if account is None or account.must_change_password:
        return []
    return [(act, PATH + path) for act, path in MENU if visitor.may(act)]


def _speaking(language: Language) -> Mapping[str, object]:
    """Return the functions with which a template says something in one language."""

    def t(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    def say(pair: Words | Mapping[str, str]) -> str:
        return said(pair, language)

    def word(table: Mapping[str, Words], key: str | None) -> str:
        # What a newer part of the system writes may not be in the table yet.
        return "–" if key is None else say(table.get(key) or Words(key, key))

    def day(value: date | str | None) -> str:
        if not value:
            return "–"
        on = date.fromisoformat(value) if isinstance(value, str) else value
        return f"{on} 周{_WEEKDAYS[on.weekday()]}" if language == "zh" else f"{on} {on:%a}"

    def moment(value: datetime | str | None) -> str:
        if not value:
            return "–"
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        at = at.astimezone(CIVIL_ZONE)
        return f"{day(at.date())} {at:%H:%M}"

    def options(titled: Mapping[str, Titled]) -> list[tuple[str, str]]:
        return [(key, t(each.zh, each.en)) for key, each in titled.items()]

    def words_of(table: Mapping[str, Words]) -> list[tuple[str, str]]:
        return [(key, say(each)) for key, each in table.items()]

    return {
        "lang": language,
        "t": t,
        "say": say,
        "word": word,
        "day": day,
        "moment": moment,
        "number": _number,
        "options": options,
        "words_of": words_of,
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _agency(visitor: Visitor, policy: Policy) -> Words | None:
    """Name the visitor's agency; None where nobody is signed in."""
    if visitor.account is None:
        return None
    if visitor.account.agency is None:
        return words.ROLES[visitor.account.role]
    titled = policy.agencies.get(visitor.account.agency)
    return Words(titled.zh, titled.en) if titled else Words(*[visitor.account.agency] * 2)


def _here(request: Request) -> str:
    if request.method != "GET":
        return f"{PATH}/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def query(**parameters: object) -> str:
    """Spell the parameters of an address, without those that are empty."""
    return urlencode({name: value for name, value in parameters.items() if value})


@cache
def static_path(name: str) -> str:
    """Return the address of a file of ours, with its digest, so that it may be kept for long."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"{PATH}/static/{name}?v={digest[:12]}"


class Problems:
    """What is wrong with a form, by field, as its page shows it."""

    def __init__(self, found: Iterable[FieldProblem] = ()) -> None:
        self.found = tuple(found)

    def __bool__(self) -> bool:
        return bool(self.found)

    def of(self, field: str) -> tuple[FieldProblem, ...]:
        """Return the problems of one field."""
        return tuple(each for each in self.found if each.field == field)

    def named(self) -> list[tuple[str, Words, FieldProblem]]:
        """Return every problem with the id of its field on the page, and what that is called."""
        return [(field_id(each.field), _field_words(each.field), each) for each in self.found]


def field_id(field: str) -> str:
    """Return the id that a field has on its page."""
    return "f-" + field.replace(".", "-").replace("_", "-")


def _field_words(field: str) -> Words:
    parts = field.split(".")
    positions = [int(part) + 1 for part in parts if part.isdigit()]
    general = ".".join("*" if part.isdigit() else part for part in parts)
    named = words.FIELDS.get(general) or words.FIELDS.get(parts[0]) or Words(field, field)
    if not positions:
        return named
    if parts[:2] == ["route", "segments"]:
        return Words(f"第 {positions[0]} 段{named.zh}", f"Segment {positions[0]}, {named.en}")
    return Words(f"第 {positions[0]} 项{named.zh}", f"Item {positions[0]}, {named.en.lower()}")
