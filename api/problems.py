"""Refusals as RFC 9457 problem details, in both languages. One table says which is which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy import exc as sa
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from domain import errors, system_keys
from domain.errors import FieldProblem

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem: its stable name, status, and title in both languages."""

    slug: str
    status: int
    en: str
    zh: str


INVALID = Problem("invalid-input", 422, "The input breaks a rule", "输入不符合规定")
MALFORMED = Problem("malformed-json", 400, "The body is not JSON", "请求正文不是有效的 JSON")
TOO_LARGE = Problem("body-too-large", 413, "The body is over the limit", "请求正文超过大小限制")
NO_KEY = Problem("not-signed-in", 401, "A valid key is required", "需要有效的密钥")
NOT_ALLOWED = Problem("not-allowed", 403, "Your agency may not do this", "本单位无权执行此操作")
KEYS_OFF = Problem("keys-off", 409, "Keys on file are off here", "本系统未启用在册密钥")
NOT_FOUND = Problem("not-found", 404, "There is no such resource", "没有此资源")
NO_METHOD = Problem(
    "method-not-allowed", 405, "Not possible on this resource", "此资源不支持该操作"
)
CASE_FILE_AWAY = Problem(
    "case-file-away", 503, "The case file does not answer; ask again", "案卷库暂无响应，请稍后重试"
)
WRONG_SECRET = Problem(
    "wrong-secret", 401, "Number and follow code do not fit", "办件编号与查询码不符"
)
TOO_MANY_TRIES = Problem("too-many-tries", 429, "Too many wrong tries", "错误次数过多")
FOLLOWING_OFF = Problem("following-off", 404, "Cases cannot be followed here", "未开通网上查询")
INTERNAL = Problem("internal", 500, "Something failed on our side", "系统内部错误")

TABLE: Mapping[type[Exception], Problem] = {
    errors.InputRefused: INVALID,
    errors.UnknownCase: Problem("unknown-case", 404, "There is no such case", "没有此办件"),
    errors.UnknownTask: Problem("unknown-task", 404, "There is no such task", "没有此任务"),
    errors.NotYourTask: Problem(
        "not-your-task", 403, "The task is owed by another agency", "此任务由其他单位承办"
    ),
    errors.TaskClosed: Problem(
        "task-closed", 409, "The task is no longer open", "此任务已关闭，不再接收结果"
    ),
    errors.OutcomeConflict: Problem(
        "other-outcome", 409, "The task already has another outcome", "此任务已有不同的办理结果"
    ),
    errors.IllegalTaskEvent: Problem(
        "illegal-report", 409, "Not possible as the task stands", "任务当前状态不允许此上报"
    ),
    errors.IdempotencyConflict: Problem(
        "key-reused",
        409,
        "The Idempotency-Key was used with another body",
        "该 Idempotency-Key 已用于内容不同的请求",
    ),
    errors.IllegalAction: Problem(
        "illegal-action", 409, "Not possible where the case stands", "办件当前状态不允许此操作"
    ),
    errors.CaseEnded: Problem("case-ended", 409, "The case has ended", "办件已办结"),
    errors.UnknownNotice: Problem("unknown-notice", 404, "There is no such notice", "没有此通知"),
    errors.ReplyConflict: Problem(
        "other-reply", 409, "There already is another reply", "此前已有不同的回复"
    ),
    errors.UnknownDocument: Problem(
        "unknown-document", 404, "There is no such document", "没有此文件"
    ),
    errors.UnknownOpinion: Problem("unknown-link", 404, "There is no such link", "链接无效"),
    errors.OpinionClosed: Problem(
        "opinion-closed", 410, "No opinion is taken any more", "征求意见已截止"
    ),
    errors.LimitReached: Problem(
        "limit-reached", 409, "There are as many as there may be", "数量已达上限"
    ),
    errors.CalendarMoved: Problem(
        "calendar-moved",
        409,
        "Another version of the calendar was published; look again",
        "工作日历已有新版本，请重新查看后再发布",
    ),
    errors.NothingToRetract: Problem(
        "not-retractable",
        409,
        "This version of the calendar cannot be taken back",
        "该版日历不存在、为初始版本，或该年度此后已重新发布，不能撤回",
    ),
    errors.UnknownReplay: Problem("unknown-replay", 404, "There is no such replay", "没有此重放"),
    errors.UnknownRepair: Problem("unknown-repair", 404, "There is no such repair", "没有此修复"),
    errors.IllegalRepair: Problem(
        "illegal-repair", 409, "This repair is not possible as things stand", "当前状态不允许此修复"
    ),
    errors.StalePlan: Problem(
        "stale-plan",
        409,
        "The case has moved on since the plan was made; make a new plan",
        "办件在计划之后已有变化，请重新制定计划",
    ),
    errors.OwnPlan: Problem(
        "own-plan",
        403,
        "Another administrator must approve it",
        "本人制定的计划须由另一名管理员批准",
    ),
    system_keys.UnknownKey: Problem("unknown-key", 404, "There is no such key", "没有此密钥"),
    system_keys.KeyEnded: Problem(
        "key-ended", 409, "The key has ended; make a new one", "密钥已失效，请新建密钥"
    ),
    errors.UnknownVersion: Problem(
        "unknown-version", 409, "No worker of this version is running", "没有运行该版本的工作进程"
    ),
    errors.EngineAway: Problem(
        "engine-away",
        503,
        "The process does not answer; ask again under the same Idempotency-Key",
        "流程引擎暂无响应，尚未确认是否生效，请使用同一 Idempotency-Key 重试",
    ),
}
_BY_STATUS = {404: NOT_FOUND, 405: NO_METHOD, 401: NO_KEY, 403: NOT_ALLOWED, 400: MALFORMED}

PROBLEMS: tuple[Problem, ...] = (
    INVALID,
    MALFORMED,
    TOO_LARGE,
    NO_KEY,
    NOT_ALLOWED,
    KEYS_OFF,
    NOT_FOUND,
    NO_METHOD,
    CASE_FILE_AWAY,
    WRONG_SECRET,
    TOO_MANY_TRIES,
    FOLLOWING_OFF,
    INTERNAL,
    *(problem for problem in TABLE.values() if problem is not INVALID),
)


class Refused(Exception):
    """A refusal by the API itself, before any rule of the domain is asked."""

    def __init__(
        self, problem: Problem, en: str, zh: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(en)
        self.problem, self.en, self.zh = problem, en, zh
        self.headers = headers or {}


def respond(
    problem: Problem,
    *,
    en: str,
    zh: str,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
    **extras: object,
) -> Response:
    """Spell a problem."""
    return _answered(spelled_out(problem, en=en, zh=zh, fields=fields, **extras), headers)


def spelled_out(
    problem: Problem, *, en: str, zh: str, fields: Sequence[FieldProblem] = (), **extras: object
) -> dict[str, Any]:
    """Return the body of a problem."""
    body: dict[str, Any] = {
        "type": f"/problems/{problem.slug}",
        "title": problem.en,
        "title_zh": problem.zh,
        "status": problem.status,
        "detail": en,
        "detail_zh": zh,
        **extras,
    }
    if fields:
        body["errors"] = [{"field": f.field, "message": f.en, "message_zh": f.zh} for f in fields]
    return body


def _answered(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    status = body["status"]
    again = {"Retry-After": str(RETRY_AFTER_S)} if status == CASE_FILE_AWAY.status else {}
    return Response(
        orjson.dumps(body),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**again, **(headers or {})},
    )


def install(app: FastAPI) -> None:
    """Have `app` answer every refusal as a problem."""
    app.add_exception_handler(errors.OneWindowError, _of_domain)
    app.add_exception_handler(Refused, _of_api)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    for away in (sa.OperationalError, sa.InterfaceError, sa.TimeoutError):
        app.add_exception_handler(away, _of_failure)
    app.add_exception_handler(Exception, _of_failure)


async def _of_domain(_request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.OneWindowError)
    return _answered(_refusal(error))


def body_of(error: Exception, request: Request) -> dict[str, Any]:
    """Return the problem with which a call is answered that fails so; log what is no refusal."""
    match error:
        case errors.OneWindowError():
            return _refusal(error)
        case sa.OperationalError() | sa.InterfaceError() | sa.TimeoutError():
            log.error("case_file_away", error=type(error).__name__)
            return spelled_out(CASE_FILE_AWAY, en=CASE_FILE_AWAY.en, zh=CASE_FILE_AWAY.zh)
        case _:
            _log_bug(error, request)
            return spelled_out(INTERNAL, en=INTERNAL.en, zh=INTERNAL.zh)


def _refusal(error: errors.OneWindowError) -> dict[str, Any]:
    problem = TABLE.get(type(error), INTERNAL)
    match error:
        case errors.InputRefused():
            return _invalid(error.problems)
        case errors.EngineAway():
            return spelled_out(problem, en=problem.en, zh=problem.zh)
        case errors.IllegalRepair():
            return spelled_out(problem, en=error.en, zh=error.zh)
        case errors.TaskClosed():
            return spelled_out(
                problem,
                en=str(error),
                zh=f"任务 {error.task_id} 已于 {error.closed_at} 关闭（{error.closed_by}）",
                closed_by=error.closed_by,
                closed_at=error.closed_at,
            )
        case errors.IllegalTaskEvent() | errors.OwnPlan() | system_keys.KeyEnded():
            return spelled_out(problem, en=str(error), zh=error.zh)
        case errors.OutcomeConflict():
            return spelled_out(
                problem,
                en=str(error),
                zh=f"任务 {error.task_id} 已于 {error.decided_at} 收到不同的结果，原结果不变",
                decided_at=error.decided_at,
            )
        case errors.OpinionClosed():
            return spelled_out(problem, en=error.en, zh=error.zh, closed_by=error.closed_by)
        case errors.LimitReached():
            return spelled_out(problem, en=error.en, zh=error.zh, limit=error.limit)
        case _:
            return spelled_out(problem, en=str(error), zh=problem.zh)


async def _of_api(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    needed = {"WWW-Authenticate": "Bearer"} if error.problem is NO_KEY else {}
    headers = {**needed, **error.headers}
    return respond(error.problem, en=error.en, zh=error.zh, headers=headers)


async def _of_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return respond(MALFORMED, en=MALFORMED.en, zh=MALFORMED.zh)
    return _answered(_invalid(field_problems(found)))


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = _BY_STATUS.get(error.status_code, INTERNAL)
    headers = dict(error.headers or {})
    if problem is NO_METHOD:
        # The framework names the methods of the first function only that serves this address.
        headers["Allow"] = ", ".join(_methods(request)) or headers.get("Allow", "")
    return respond(problem, en=problem.en, zh=problem.zh, headers=headers)


def _methods(request: Request) -> list[str]:
    app: FastAPI = request.app
    served = app.openapi()["paths"]
    matching = [each for each in served if compile_path(each)[0].match(request.url.path)]
    if not matching:
        return []
    # An address in so many words comes before one with a placeholder that it would fit, too.
    return sorted(method.upper() for method in served[min(matching, key=lambda a: a.count("{"))])


async def _of_failure(request: Request, error: Exception) -> Response:
    return _answered(body_of(error, request))


def _log_bug(error: Exception, request: Request) -> None:
    # The error's message may quote what was sent, so only its type and place are told (RB-13.3).
    where = [f"{Path(f.filename).name}:{f.lineno}" for f in extract_tb(error.__traceback__)[-5:]]
    path = request.scope["route"].path if "route" in request.scope else "?"
    log.error("bug", error=type(error).__name__, where=where, method=request.method, path=path)


def _invalid(problems: Sequence[FieldProblem]) -> dict[str, Any]:
    return spelled_out(
        INVALID,
        en="; ".join(f"{p.field}: {p.en}" for p in problems),
        zh="；".join(f"{p.field}：{p.zh}" for p in problems),
        fields=problems,
    )


# What pydantic finds, in words; `{…}` are its own parameters.
_ZH: Mapping[str, str] = {
    "missing": "必填",
    "extra_forbidden": "不认识的字段，请删除",
    "string_type": "须为文本",
    "string_too_short": "不能少于 {min_length} 个字符",
    "string_too_long": "不能超过 {max_length} 个字符",
    "string_pattern_mismatch": "格式不正确",
    "string_unicode": "含有无效字符",
    "float_type": "须为数字",
    "finite_number": "须为有限的数字",
    "int_type": "须为整数",
    "int_parsing": "须为整数",
    "bool_type": "须为 true 或 false",
    "list_type": "须为数组",
    "tuple_type": "须为数组",
    "dict_type": "须为对象",
    "model_type": "须为对象",
    "model_attributes_type": "须为对象",
    "literal_error": "须为以下之一：{expected}",
    "enum": "须为以下之一：{expected}",
    "greater_than": "须大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than": "须小于 {lt}",
    "less_than_equal": "不能大于 {le}",
    "too_short": "不能少于 {min_length} 项",
    "too_long": "不能超过 {max_length} 项",
    "date_type": "须为日期（YYYY-MM-DD）",
    "date_parsing": "须为日期（YYYY-MM-DD）",
    "date_from_datetime_parsing": "须为日期（YYYY-MM-DD）",
    "highway_class_missing": "填写与公路的距离时须填写公路等级（highway_class）",
}


def field_problems(found: Iterable[Any]) -> list[FieldProblem]:
    """Translate pydantic's findings; where it found nothing to name, the whole body is meant."""
    found = list(found)
    problems = []
    for each in found:
        # Items that were refused do not count, so their list seems too short as well.
        if each["type"] == "too_short" and any(_is_within(other, each) for other in found):
            continue
        where = [
            str(part) for part in each["loc"] if part not in ("body", "path", "query", "header")
        ]
        zh = _ZH.get(each["type"], "不符合要求：{msg}")
        context = {"msg": each["msg"], **(each.get("ctx") or {})}
        problems.append(
            FieldProblem(".".join(where) or "(body)", each["msg"], zh.format_map(context))
        )
    return problems


def _is_within(inner: Any, outer: Any) -> bool:
    depth = len(outer["loc"])
    return len(inner["loc"]) > depth and inner["loc"][:depth] == outer["loc"]
