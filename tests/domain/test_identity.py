"""Numbers of identity papers and telephones. All of them are made up; their check digits fit."""

from __future__ import annotations

from datetime import date

import pytest
from stdnum.cn import uscc

from domain.identity import Checked, IdType, check_identity, check_phone

ON = date(2026, 9, 16)


def iso7064(body: str) -> str:
    """`body` with its check digit after GB 11643, reckoned from the standard's weights."""
    total = sum(int(c) * (2 ** (17 - i) % 11) for i, c in enumerate(body))
    return body + "10X98765432"[total % 11]


def credit_code(front: str, organisation: str) -> str:
    """A credit code whose organisation code and check character both fit."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(c, 36) * w for c, w in zip(organisation, weights, strict=True))
    body = front + organisation + "0X987654321"[total % 11]
    return body + uscc.calc_check_digit(body)


def verdict(checked: Checked) -> str:
    return "refused" if checked.problems else "warned" if checked.warnings else "fine"


RESIDENT = iso7064("44080219900307001")
COMPANY = credit_code("91440802", "MA4X2Q1R")


def changed_last(number: str) -> str:
    return number[:-1] + ("1" if number[-1] != "1" else "2")


@pytest.mark.rule("RB-3.4")
@pytest.mark.parametrize(
    ("id_type", "number", "expected"),
    [
        ("resident_id", RESIDENT, "fine"),
        ("resident_id", changed_last(RESIDENT), "refused"),
        ("resident_id", RESIDENT[:17], "refused"),
        ("resident_id", RESIDENT + "0", "refused"),
        ("resident_id", "44080 219900307001X", "refused"),
        ("resident_id", "４４０８０２１９９００３０７００１Ｘ", "refused"),
        ("resident_id", "440802900307001", "refused"),
        ("resident_id", iso7064("44080219900230001"), "refused"),
        ("resident_id", iso7064("44080200000307001"), "refused"),
        ("resident_id", iso7064("44080220260916001"), "fine"),
        ("resident_id", iso7064("44080220260917001"), "refused"),
        ("resident_id", iso7064("99999919900307001"), "warned"),
        ("resident_id", iso7064("81000019900307001"), "warned"),
        ("hmt_residence_permit", iso7064("81000019900307001"), "fine"),
        ("hmt_residence_permit", iso7064("82000019900307001"), "fine"),
        ("hmt_residence_permit", iso7064("83000019900307001"), "fine"),
        ("hmt_residence_permit", changed_last(iso7064("83000019900307001")), "warned"),
        ("hmt_residence_permit", "H12345678", "warned"),
        ("hmt_residence_permit", iso7064("81000020270307001"), "refused"),
        ("foreign_permit", iso7064("91144019900307001"), "fine"),
        ("foreign_permit", changed_last(iso7064("91144019900307001")), "warned"),
        ("foreign_permit", "USA440890030701", "fine"),
        ("foreign_permit", "E1234", "warned"),
        ("uscc", COMPANY, "fine"),
        ("uscc", "91110000600037341L", "fine"),  # the example of python-stdnum
        ("uscc", changed_last(COMPANY), "refused"),
        ("uscc", COMPANY[:17], "refused"),
        ("uscc", "I" + COMPANY[1:], "refused"),
        ("uscc", credit_code("N2440802", "MF1X2Q1R"), "warned"),
    ],
)
def test_a_number_is_refused_only_where_the_check_is_certain(
    id_type: IdType, number: str, expected: str
) -> None:
    checked = check_identity(id_type, number, ON)
    assert verdict(checked) == expected
    for found in checked.problems + checked.warnings:
        assert found.field == "applicant.id_number"
        assert found.en and found.zh


@pytest.mark.rule("RB-3.4")
def test_a_wrong_organisation_code_inside_a_credit_code_warns() -> None:
    organisation = COMPANY[8:16] + changed_last(COMPANY[8:17])[-1]
    body = COMPANY[:8] + organisation
    checked = check_identity("uscc", body + uscc.calc_check_digit(body), ON)
    assert verdict(checked) == "warned"
    assert "GB 11714" in checked.warnings[0].zh


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("13800138000", "fine"),
        ("+86 138 0013 8000", "fine"),
        ("0759-3388888", "fine"),
        ("+85291234567", "fine"),
        ("00000000000", "refused"),
        ("1380013800", "refused"),
        ("110", "refused"),
        ("１３８００１３８０００", "refused"),
        ("1-800-FLOWERS", "refused"),
        ("+999123456789", "refused"),
    ],
)
def test_a_telephone_number_can_be_called(phone: str, expected: str) -> None:
    checked = check_phone(phone)
    assert verdict(checked) == expected
    assert [problem.field for problem in checked.problems] in ([], ["applicant.phone"])
