"""What stands on a page of a PDF of ours, read from the file itself: its texts, and its QR codes."""

import io
import re
from dataclasses import dataclass, field

import segno
from pyhanko.pdf_utils.reader import PdfFileReader

_DEEP = rb"[^\\()]|\\."
for _ in range(4):  # brackets inside a string need no escape where they are in pairs
    _DEEP = rb"(?:[^\\()]|\\.|\((?:" + _DEEP + rb")*\))"
_TOKEN = re.compile(
    rb"\((?:" + _DEEP + rb")*\)|<[0-9A-Fa-f]*>|/[^\s/\[\]()<>]+|[\[\]]|[^\s/\[\]()<>]+", re.DOTALL
)
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
QUIET_LINES = 21
"""Rows of the smallest QR: a drawing of fewer is none."""

Matrix = list[list[bool]]


@dataclass
class Printed:
    """The texts of the pages in the order in which they were set, and each QR as rows of modules."""

    texts: list[str] = field(default_factory=list)
    codes: list[Matrix] = field(default_factory=list)

    @property
    def words(self) -> str:
        """All of it on one line: soft breaks taken away, spaces as one."""
        return " ".join(" ".join(self.texts).replace("\u200b", "").split())

    @property
    def unspaced(self) -> str:
        """For what is broken across lines: links, IRN."""
        return re.sub(r"\s", "", "".join(self.texts))


def read(content: bytes) -> Printed:
    """Reads what typst draws: text by `TJ` and `Tj` with a map to Unicode, QR codes as strokes of one row."""
    found = Printed()
    for reference in PdfFileReader(io.BytesIO(content)).root["/Pages"]["/Kids"]:
        page = reference.get_object()
        fonts = page["/Resources"]["/Font"]
        maps = {name: _unicode(fonts[name]["/ToUnicode"].data) for name in fonts}
        _page(page["/Contents"].get_object().data, maps, found)
    return found


def code(text: str, error: str) -> Matrix:
    """The QR of a text, as it has to be printed."""
    return [[bool(module) for module in line] for line in segno.make(text, error=error, micro=False).matrix]


def _page(content: bytes, fonts: dict[str, dict[int, str]], found: Printed) -> None:
    font: dict[int, str] = {}
    given: list[bytes] = []
    strokes: list[tuple[float, float, float]] = []
    at = (0.0, 0.0)
    for token in _TOKEN.findall(content):
        match token:
            case b"Tf":
                font = fonts[given[-2].decode()]
            case b"TJ" | b"Tj":
                found.texts.append("".join(_text(each, font) for each in given if each[:1] in b"(<"))
            case b"m":
                at = float(given[-2]), float(given[-1])
            case b"l":
                strokes.append((*at, float(given[-2]) - at[0]))
            case b"B" | b"S" | b"f" | b"n":
                if code := _matrix(strokes):
                    found.codes.append(code)
                strokes = []
            case _:
                given.append(token)
                continue
        given = []


def _text(token: bytes, font: dict[int, str]) -> str:
    raw = bytes.fromhex(token[1:-1].decode()) if token[:1] == b"<" else _ESCAPED.sub(_plain, token[1:-1])
    return "".join(font.get(int.from_bytes(raw[at : at + 2], "big"), "") for at in range(0, len(raw), 2))


def _plain(escaped: re.Match[bytes]) -> bytes:
    what = escaped[1]
    return bytes([int(what, 8)]) if what[:1].isdigit() else _LETTERS.get(what, what)


def _unicode(cmap: bytes) -> dict[int, str]:
    """Glyph to text, from the `bfchar` and `bfrange` of a font."""
    found: dict[int, str] = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for glyph, text in re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            found[int(glyph, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, text in re.findall(
            rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block
        ):
            for number, glyph in enumerate(range(int(first, 16), int(last, 16) + 1)):
                found[glyph] = chr(int(text, 16) + number)
    return found


def _matrix(strokes: list[tuple[float, float, float]]) -> Matrix | None:
    """Rows of modules from strokes half a unit below each row's top; None where this is no QR."""
    rows = {y for _, y, _ in strokes}
    if len(rows) < QUIET_LINES or any(y % 1 != 0.5 for y in rows):
        return None
    size = int(max(rows) + 0.5)
    matrix = [[False] * size for _ in range(size)]
    for x, y, length in strokes:
        for column in range(int(x), int(x + length)):
            matrix[int(y)][column] = True
    return matrix
