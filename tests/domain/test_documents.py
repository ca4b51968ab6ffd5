"""A document is what its bytes say, whatever is said of it."""

from __future__ import annotations

import hashlib

import pytest

from domain.documents import LONGEST_NAME, TaskDocument, file_name, media_type_of
from domain.errors import InputRefused

PDF = b"%PDF-1.7 ..."


def _received(
    content: bytes = PDF,
    *,
    sha256: str | None = None,
    declared: str | None = None,
    name: str | None = None,
) -> TaskDocument:
    digest = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
    return TaskDocument.received(content, sha256=digest, declared=declared, name=name)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PDF, "application/pdf"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"", None),
        (b"%PDF", None),
        (b" %PDF-1.7", None),
        (b"\x89PNG\n\x1a\n", None),
        (b"GIF89a", None),
        (b"<html>", None),
        (b"MZ", None),
        (b"PK\x03\x04", None),
    ],
)
def test_the_first_bytes_say_what_it_is(content: bytes, kind: str | None) -> None:
    assert media_type_of(content) == kind


@pytest.mark.parametrize(
    "declared", [None, "application/pdf", "Application/PDF", "application/pdf; charset=binary"]
)
def test_what_agrees_with_its_bytes_is_taken(declared: str | None) -> None:
    assert _received(declared=declared).media_type == "application/pdf"


@pytest.mark.parametrize(
    ("received", "field"),
    [
        ({"sha256": "0" * 64}, "sha256"),
        ({"sha256": hashlib.sha256(PDF).hexdigest().upper()}, "sha256"),
        ({"content": b"<script>"}, "(body)"),
        ({"content": b""}, "(body)"),
        ({"declared": "image/png"}, "Content-Type"),
        ({"declared": "application/octet-stream"}, "Content-Type"),
        ({"declared": ""}, "Content-Type"),
        ({"name": "a%2Fb.pdf"}, "X-Document-Name"),
        ({"name": "a%5Cb.pdf"}, "X-Document-Name"),
        ({"name": "a%00.pdf"}, "X-Document-Name"),
        ({"name": "a%0D%0AX-Evil:1"}, "X-Document-Name"),
        ({"name": "%E2%80%AEfdp.exe"}, "X-Document-Name"),
        ({"name": "%FF"}, "X-Document-Name"),
        ({"name": "%ED%A0%80"}, "X-Document-Name"),
        ({"name": ".."}, "X-Document-Name"),
        ({"name": "%20"}, "X-Document-Name"),
        ({"name": ""}, "X-Document-Name"),
        ({"name": "\u5370.pdf"}, "X-Document-Name"),
        ({"name": "a" * (LONGEST_NAME + 1)}, "X-Document-Name"),
    ],
)
def test_what_does_not_fit_is_named(received: dict[str, bytes | str], field: str) -> None:
    with pytest.raises(InputRefused) as refused:
        _received(**received)  # type: ignore[arg-type]
    assert [each.field for each in refused.value.problems] == [field]


def test_everything_that_does_not_fit_is_named_at_once() -> None:
    with pytest.raises(InputRefused) as refused:
        _received(b"?", sha256="0" * 64, declared="image/png", name="%00")
    assert [each.field for each in refused.value.problems] == [
        "sha256",
        "(body)",
        "X-Document-Name",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a%20b.pdf", "a b.pdf"),
        ("%E5%87%86%E4%BA%88.pdf", "准予.pdf"),
        ("%20spaced%20", "spaced"),
        ("a" * LONGEST_NAME, "a" * LONGEST_NAME),
        ("100%25.pdf", "100%.pdf"),
    ],
)
def test_a_name_comes_as_percent_encoded_text(name: str, shown: str) -> None:
    document = _received(name=name)
    assert document.name == shown
    assert file_name(document.sha256, document.media_type, document.name) == shown


@pytest.mark.parametrize(
    ("kind", "ending"), [("application/pdf", "pdf"), ("image/png", "png"), ("image/jpeg", "jpg")]
)
def test_without_a_name_it_is_called_by_its_digest(kind: str, ending: str) -> None:
    assert file_name("0123456789abcdef" * 4, kind, None) == f"0123456789ab.{ending}"
