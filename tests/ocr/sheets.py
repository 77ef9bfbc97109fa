"""Pages drawn for tests: a short referral in large print, as a picture, a fax, a PDF with and without text."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zlib
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont

LINES = ("Referral for cardiology", "Patient name Jordan Example", "Date of birth March 4 1961",
         "Please schedule an appointment", "within the next four weeks")


def drawn(dpi: int = 200, lines: Sequence[str] = LINES, *, ticked: bool | None = None) -> Image.Image:
    """A letter page in grey."""
    image = Image.new("L", (int(8.5 * dpi), 11 * dpi), 255)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=dpi // 5)
    for number, line in enumerate(lines):
        pen.text((dpi, dpi + number * dpi // 2), line, fill=0, font=font)
    if ticked is not None:
        left, top, side = dpi, dpi * 6, int(0.16 * dpi)
        pen.rectangle((left, top, left + side, top + side), outline=0, width=max(2, dpi // 100))
        if ticked:
            pen.line((left, top, left + side, top + side), fill=0, width=max(3, dpi // 60))
            pen.line((left, top + side, left + side, top), fill=0, width=max(3, dpi // 60))
        pen.text((left + side * 2, top - side // 3), "urgent request", fill=0, font=font)
    image.info["dpi"] = (dpi, dpi)
    return image


def saved(*images: Image.Image, form: str = "TIFF", dpi: tuple[float, float] | None = None, **options: object) -> bytes:
    """The bytes of a file."""
    into = io.BytesIO()
    more: dict[str, object] = {"dpi": dpi or images[0].info.get("dpi", (200, 200)), **options}
    if form == "PDF":
        more = {"resolution": 200.0}
    if len(images) > 1:
        more |= {"save_all": True, "append_images": images[1:]}
    images[0].save(into, form, **more)
    return into.getvalue()


def fax(*images: Image.Image, fine: bool = True) -> bytes:
    """A TIFF as a fax server writes it: 1728 dots a line, one bit, T.6; `fine` is 196 lines an inch, else 98."""
    height = 2156 if fine else 1078
    pages = [image.resize((1728, height), Image.Resampling.BICUBIC).point(lambda v: 255 if v > 140 else 0).convert("1")
             for image in images]
    return saved(*pages, dpi=(204.0, 196.0 if fine else 98.0), compression="group4")


def speckled(image: Image.Image, share: float = 0.01, seed: int = 7) -> Image.Image:
    """With single black dots all over."""
    chance = random.Random(seed)
    made = image.copy()
    for _ in range(int(image.width * image.height * share)):
        made.putpixel((chance.randrange(image.width), chance.randrange(image.height)), 0)
    return made


def text_pdf(*pages: Sequence[str], rotate: int = 0, box: tuple[float, float] = (612, 792),
             content: bytes | None = None) -> bytes:
    """A PDF with a text layer, written by hand."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"",
                            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        stream = content if content is not None else b"".join(
            b"BT /F1 18 Tf 72 %d Td (%s) Tj ET\n" % (700 - 36 * at, line.encode()) for at, line in enumerate(lines))
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Rotate %d /Contents %d 0 R /Resources "
                       b"<< /Font << /F1 3 0 R >> >> >>" % (*box, rotate, len(objects)))
        kids.append(len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(b"%d 0 R" % kid for kid in kids))
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + (b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
                  % (len(objects) + 1, table, len(objects) + 1, len(out)))


def locked_pdf(lines: Sequence[str], password: bytes) -> bytes:
    """A PDF that needs a password to be opened: RC4, 40 bits (ISO 32000-1 §7.6.3, revision 2)."""
    owner = _rc4(hashlib.md5(_padded(password)).digest()[:5], _padded(password))
    key = hashlib.md5(_padded(password) + owner + struct.pack("<i", -4) + b"0123456789abcdef").digest()[:5]
    user = _rc4(key, _PADDING)
    raw, _, _ = text_pdf(lines).rpartition(b"startxref")
    return raw.replace(b"/Root 1 0 R", b"/Root 1 0 R /ID [<%b> <%b>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 "
                       b"/O <%b> /U <%b> >>" % (*[b"0123456789abcdef".hex().encode()] * 2, owner.hex().encode(),
                                                user.hex().encode())) + b"startxref\n%d\n%%%%EOF\n" % raw.rindex(b"xref\n0 ")


#: ISO 32000-1, algorithm 2, step a.
_PADDING: Final = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def _padded(password: bytes) -> bytes:
    return (password + _PADDING)[:32]


def _rc4(key: bytes, data: bytes) -> bytes:
    state, at, out = list(range(256)), 0, bytearray()
    for n in range(256):
        at = (at + state[n] + key[n % len(key)]) % 256
        state[n], state[at] = state[at], state[n]
    at = 0
    for n, byte in enumerate(data, 1):
        one = n % 256
        at = (at + state[one]) % 256
        state[one], state[at] = state[at], state[one]
        out.append(byte ^ state[(state[one] + state[at]) % 256])
    return bytes(out)


def png_bomb(side: int = 60_000) -> bytes:
    """A picture of 3.6 thousand million dots in half a megabyte."""
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packed = zlib.compressobj(9)
    row = b"\0" + b"\0" * (side // 8)
    body = b"".join(packed.compress(row) for _ in range(side)) + packed.flush()
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
            + chunk(b"IDAT", body) + chunk(b"IEND", b""))
