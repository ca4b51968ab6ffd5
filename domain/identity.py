"""Numbers of identity papers and telephones (RB-3.4).

A check that the library is known to get wrong for valid papers warns; it does not refuse. So a
problem is always certain: a malformed number, a wrong check digit, a birth in the future.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal, assert_never

import phonenumbers
from stdnum.cn import ric, uscc
from stdnum.exceptions import InvalidComponent, ValidationError

from domain.errors import FieldProblem

IdType = Literal["resident_id", "hmt_residence_permit", "foreign_permit", "uscc"]

_RESIDENT = re.compile(r"[0-9]{17}[0-9X]")
# 港澳台居民居住证: 810000 Hong Kong, 820000 Macao, 830000 Taiwan; otherwise built as GB 11643.
_HMT = re.compile(r"8[123]0000[0-9]{11}[0-9X]")
# 外国人永久居留身份证: from December 2023 18 digits that begin with 9 and end as GB 11643;
# before, 3 letters and 12 digits.
_FOREIGN_18 = re.compile(r"9[0-9]{16}[0-9X]")
_FOREIGN_15 = re.compile(r"[A-Z]{3}[0-9]{12}")
_USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")  # GB 32100: no I, O, S, V, Z
_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,30}")

_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: `problems` refuse, `warnings` are shown to whoever checks the papers."""

    problems: tuple[FieldProblem, ...] = ()
    warnings: tuple[FieldProblem, ...] = ()

    def __add__(self, other: Checked) -> Checked:
        return Checked(self.problems + other.problems, self.warnings + other.warnings)


def check_identity(
    id_type: IdType, id_number: str, on: date, field: str = "applicant.id_number"
) -> Checked:
    """Check the number of an identity paper.

    Args:
        id_number: in capitals and without separators.
        on: civil date; nobody is born after it.
        field: path for the messages.
    """
    match id_type:
        case "resident_id":
            return _resident(id_number, on, field)
        case "hmt_residence_permit":
            return _hmt(id_number, on, field)
        case "foreign_permit":
            return _foreign(id_number, field)
        case "uscc":
            return _credit_code(id_number, field)
        case _:
            assert_never(id_type)


def check_phone(phone: str, field: str = "applicant.phone") -> Checked:
    """Check a telephone number; without a country code it is one of mainland China."""
    try:
        is_valid = _PHONE.fullmatch(phone) is not None and phonenumbers.is_valid_number(
            phonenumbers.parse(phone, "CN")
        )
    except phonenumbers.NumberParseException:
        is_valid = False
    if is_valid:
        return Checked()
    return _refused(
        field,
        "is not a telephone number; a number abroad begins with + and the country code",
        "不是有效的电话号码；境外号码以 + 和国家（地区）代码开头",
    )


def normal_phone(phone: str) -> str | None:
    """Return a telephone number in its one international spelling (E.164), e.g. `+8613800000001`.

    However it was written down, with or without spaces, hyphens or `+86`, it is the same number.

    Returns:
        None for what is no valid telephone number.
    """
    if check_phone(phone.strip()).problems:
        return None
    number = phonenumbers.parse(phone, "CN")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _refused(field: str, en: str, zh: str) -> Checked:
    return Checked(problems=(FieldProblem(field, en, zh),))


def _warned(field: str, en: str, zh: str) -> Checked:
    return Checked(warnings=(FieldProblem(field, en, zh),))


def _resident(number: str, on: date, field: str) -> Checked:
    if _RESIDENT.fullmatch(number) is None:
        return _refused(
            field,
            "a resident identity number has 17 digits and a digit or X",
            "公民身份号码应为17位数字加1位数字或X",
        )
    if ric.calc_check_digit(number) != number[-1]:
        return _refused(
            field,
            "the check digit is wrong (GB 11643): compare with the card",
            "校验码错误（GB 11643），请与证件核对",
        )
    if future := _birth_problem(number, on, field):
        return future
    try:
        ric.get_birth_place(number)
    except InvalidComponent:
        # Its table lacks codes that were in use, and the permits of _HMT and _FOREIGN_18.
        return _warned(
            field,
            "the district code is not in our table: look at the card and its kind",
            "地址码不在本系统的代码表中，请核对证件及其类型",
        )
    return Checked()


def _birth_problem(number: str, on: date, field: str) -> Checked | None:
    try:
        born_on = ric.get_birth_date(number)
    except ValidationError:
        return _refused(field, "the date of birth in it does not exist", "号码中的出生日期不存在")
    if born_on > on:
        return _refused(
            field, "the date of birth in it lies in the future", "号码中的出生日期晚于今天"
        )
    return None


def _hmt(number: str, on: date, field: str) -> Checked:
    if _HMT.fullmatch(number) is None or ric.calc_check_digit(number) != number[-1]:
        return _warned(
            field,
            "does not look like a residence permit of Hong Kong, Macao or Taiwan (18 digits from "
            "810000, 820000 or 830000 and a check digit): look at the paper",
            "不像港澳台居民居住证号码（以810000、820000或830000开头的18位号码，末位为校验码），"
            "请核对证件",
        )
    return _birth_problem(number, on, field) or Checked()


def _foreign(number: str, field: str) -> Checked:
    is_new = _FOREIGN_18.fullmatch(number) is not None
    if _FOREIGN_15.fullmatch(number) or (is_new and ric.calc_check_digit(number) == number[-1]):
        return Checked()
    return _warned(
        field,
        "does not look like a foreigner's permanent residence card (18 digits from 9 with a check "
        "digit, or 3 letters and 12 digits): look at the paper",
        "不像外国人永久居留身份证号码（以9开头的18位号码，末位为校验码；或3位字母加12位数字），"
        "请核对证件",
    )


def _credit_code(code: str, field: str) -> Checked:
    if _USCC.fullmatch(code) is None:
        return _refused(
            field,
            "a unified social credit code has 18 digits and capitals, without I, O, S, V, Z",
            "统一社会信用代码应为18位数字或大写字母（不含I、O、S、V、Z）",
        )
    if uscc.calc_check_digit(code[:17]) != code[-1]:
        return _refused(
            field,
            "the check character is wrong (GB 32100): compare with the licence",
            "校验码错误（GB 32100），请与执照核对",
        )
    found = Checked()
    if not uscc.is_valid(code):
        # It takes no letters in front, which collectives have.
        found += _warned(
            field,
            "an unusual registering authority or region: look at the certificate",
            "登记管理部门或行政区划码不常见，请核对证照",
        )
    if _organisation_check(code[8:16]) != code[16]:
        found += _warned(
            field,
            "the organisation code in it has a wrong check character (GB 11714): look at the "
            "certificate",
            "其中的主体标识码（组织机构代码）校验码不符（GB 11714），请核对证照",
        )
    return found


def _organisation_check(body: str) -> str:
    total = sum(int(c, 36) * w for c, w in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X"[-total % 11]
