"""The public guide as a page: from the policy in force, to be read, printed and asked (RB-10)."""

from __future__ import annotations

import re

import pytest

from policy.loader import policy_for
from tests.console.office import Office
from tests.support.cases import POLICY

RULES = policy_for(POLICY)


@pytest.mark.rule("RB-10.1")
async def test_anyone_reads_the_guide_and_it_is_what_the_api_publishes(office: Office) -> None:
    answer = await office.visit().get("/guide")
    assert answer.status_code == 200
    published = (await office.api.call("GET", "/api/v1/public/guide", None)).json()
    text = _text(answer.text)
    for chapter in published["chapters"]:
        assert f'id="{chapter["id"]}"' in answer.text
        assert f'href="#{chapter["id"]}"' in answer.text, "the contents lead there"
        said = [*chapter["paragraphs"]]
        said += [cell for row in (chapter["table"] or {"rows": []})["rows"] for cell in row]
        for each in said:
            assert each["zh"] in text, each
    assert POLICY in text
    assert published["sha256"][:16] in text, "RB-10.2: a stale copy is seen"
    assert "自 2020-01-01 周三 起施行" in text


@pytest.mark.rule("RB-10.1")
async def test_the_guide_follows_the_policy(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _text((await office.visit().get("/guide")).text)
    clocks = {
        name: clock.model_copy(update={"limit": 6} if name == "LV8" else {})
        for name, clock in RULES.clocks.items()
    }
    other = RULES.model_copy(update={"clocks": clocks})
    monkeypatch.setattr("api.public.in_force", lambda *_: other)
    after = _text((await office.visit().get("/guide")).text)
    assert "低压接电时长平均不超过 8 个工作日" in before
    assert "低压接电时长平均不超过 6 个工作日" in after
    assert _checksum(before) != _checksum(after)


async def test_the_guide_is_whole_in_english(office: Office) -> None:
    visit = office.visit()
    await visit.get("/language/en")
    page = (await visit.get("/guide?from=2026-09-25&days=5")).text
    text = _text(re.sub(r'<[^>]*lang="zh-CN"[^>]*>[^<]*<', "<", page))
    # Laws and notices have one name, which is Chinese; so have the sections of the plan.
    cited = {rule.basis for rule in (*RULES.permits, *RULES.exceptions)}
    for citation in sorted(cited, key=len, reverse=True):
        text = text.replace(citation, "")
    text = re.sub(
        r"516 [一二三四]+(\([一二三四五六七八]+\))?|《[^》]*》|国务院办公厅关于[^\n]*", "", text
    )
    assert re.findall("[\u4e00-\u9fff]+", text) == []


async def test_anyone_can_ask_when_a_limit_runs_out(office: Office) -> None:
    visit = office.visit()
    page = _text((await visit.get("/guide?from=2026-09-25&days=5")).text)
    asked = await office.api.call(
        "GET", "/api/v1/calendar/deadline?from=2026-09-25&working_days=5", None
    )
    counted = asked.json()
    assert f"到期日：{counted['due_on']}" in page
    for line in counted["words"]["zh"]:
        assert line in page
    assert "到期日" not in _text((await visit.get("/guide")).text).replace("到期日期", "")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=yesterday&days=5", "请填写日期"),
        ("from=2026-09-25&days=0", "请填写 1 至 400 的整数"),
        ("from=2026-09-25&days=401", "请填写 1 至 400 的整数"),
        ("from=2026-09-25&days=%E4%BA%94", "请填写 1 至 400 的整数"),
        ("days=5", "请填写日期"),
        ("from=%3Cscript%3E&days=5", "请填写日期"),
    ],
)
async def test_what_cannot_be_counted_is_told_where_it_was_asked(
    office: Office, query: str, words: str
) -> None:
    answer = await office.visit().get(f"/guide?{query}")
    assert answer.status_code == 422
    assert words in answer.text
    assert "<script>" not in answer.text
    assert "常见问题" in answer.text, "the guide is there all the same"


async def test_the_guide_asks_for_nobody_and_keeps_nothing(office: Office) -> None:
    answer = await office.visit().get("/guide")
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "/console/follow" in answer.text


def _text(page: str) -> str:
    """Return what stands on a page, without its tags."""
    plain = re.sub(r"<[^>]+>", "", page)
    return plain.replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&")


def _checksum(text: str) -> str:
    found = re.search(r"校验码 ([0-9a-f]{16})", text)
    assert found is not None
    return found[1]
