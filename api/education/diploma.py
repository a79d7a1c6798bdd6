"""A certificate of completion as PDF: one page that a person would hang on a wall."""

import io
import json
from pathlib import Path
from typing import Any

import segno
import typst

from api.pages import INDIA

TEMPLATE = (Path(__file__).parent / "certificate.typ").read_bytes()


def render(certificate: dict[str, Any], holder: str, issuer: str, link: str) -> bytes:
    """The PDF of a row of `education.certificates`. Blocking, some 100 ms of processor time."""
    svg = io.BytesIO()
    segno.make(link, error="m").save(svg, kind="svg", border=0, xmldecl=False, dark="#1f2937")
    data = {
        "holder": holder,
        "course": certificate["course_title"],
        "syllabus": certificate["syllabus"],
        "issued_on": certificate["issued_at"].astimezone(INDIA).strftime("%d %B %Y").lstrip("0"),
        "number": certificate["certificate_id"],
        "issuer": issuer,
        "revoked": certificate["revoked_at"] is not None,
        "link": link,
        "qr": svg.getvalue().decode(),
    }
    return bytes(typst.compile(TEMPLATE, format="pdf", sys_inputs={"data": json.dumps(data)}))
