"""Documents an agency puts with its task: the papers that state its decisions.

A document is known by the SHA-256 of its bytes, under which an outcome names it, and nothing is
believed of it that its bytes do not show.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_to_bytes

from domain.errors import FieldProblem, InputRefused, LimitReached

MOST_PER_TASK = 50
LONGEST_NAME = 120

# Beside its magic bytes nothing of a file is read: it is kept and given back, never opened here.
MAGIC = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}
ENDINGS = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}

# Control characters and what separates folders, on any system.
NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\u202a-\u202e\u2066-\u2069]')


@dataclass(frozen=True, slots=True)
class TaskDocument:
    """A document as it was received.

    Attributes:
        sha256: of its bytes, as 64 hexadecimal digits.
        media_type: as its bytes show.
        name: of the file at its sender; None if none was given.
    """

    content: bytes
    sha256: str
    media_type: str
    name: str | None

    @classmethod
    def received(
        cls, content: bytes, *, sha256: str, declared: str | None, name: str | None
    ) -> Self:
        """Check a document against what was said of it.

        Args:
            sha256: the digest under which it was sent.
            declared: its media type as sent; None if nothing was said.
            name: percent-encoded, as it was sent.

        Raises:
            InputRefused: names everything that does not fit.
        """
        problems = []
        if (found := hashlib.sha256(content).hexdigest()) != sha256:
            problems.append(
                FieldProblem(
                    "sha256",
                    f"the body's is {found}: it was changed on its way, or is another document",
                    f"正文的摘要为 {found}：内容在途中已改变，或不是同一份文件",
                )
            )
        kind = media_type_of(content)
        if kind is None:
            problems.append(
                FieldProblem(
                    "(body)", f"not one of: {', '.join(MAGIC)}", "须为 PDF、PNG 或 JPEG 文件"
                )
            )
        elif declared is not None and declared.partition(";")[0].strip().lower() != kind:
            problems.append(
                FieldProblem("Content-Type", f"the body is {kind}", f"与正文不符：正文为 {kind}")
            )
        spelled = None if name is None else _name(name)
        if name is not None and spelled is None:
            problems.append(
                FieldProblem(
                    "X-Document-Name",
                    f"a file name in percent-encoded UTF-8, 1 to {LONGEST_NAME} characters, "
                    'without control characters and / \\ : * ? " < > |',
                    f"须为百分号编码的 UTF-8 文件名，1 至 {LONGEST_NAME} 个字符，"
                    '不含控制字符和 / \\ : * ? " < > |',
                )
            )
        if problems or kind is None:
            raise InputRefused(*problems)
        return cls(content, sha256, kind, spelled)


def too_many() -> LimitReached:
    """Return the refusal of one document more than a task may have."""
    return LimitReached(
        MOST_PER_TASK,
        f"a task may have {MOST_PER_TASK} documents; put several papers into one",
        f"每项任务最多 {MOST_PER_TASK} 份文件，请合并后上传",
    )


def media_type_of(content: bytes) -> str | None:
    """Return what the first bytes of a document say it is; None if it is nothing that is taken."""
    return next((kind for kind, magic in MAGIC.items() if content.startswith(magic)), None)


def file_name(sha256: str, media_type: str, name: str | None) -> str:
    """Return the name under which a document is given back."""
    return name or f"{sha256[:12]}.{ENDINGS[media_type]}"


def _name(encoded: str) -> str | None:
    try:
        name = unquote_to_bytes(encoded.encode("ascii")).decode().strip()
    except UnicodeError:
        return None
    is_fit = 0 < len(name) <= LONGEST_NAME and NOT_IN_NAMES.search(name) is None
    return name if is_fit and name.strip(".") else None
