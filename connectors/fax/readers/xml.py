"""XML and HTML without what makes them dangerous: no DTD, no entities, no network, nothing huge (Z15)."""

from __future__ import annotations

from typing import Final

from lxml import etree, html

from connectors.fax.readers.limits import malformed

_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


def xml_of(raw: bytes) -> etree._Element:
    """The root of an XML document. Raises `Rejection`."""
    # One a document: a parser that has seen one document must not carry anything into the next.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
                             huge_tree=False, remove_comments=True, remove_pis=True, recover=False)
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise malformed(f"line {line}" if line else "", "not well-formed XML, or too deep") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise malformed("line 1", "a document type is declared, which is not read")
    return root


def html_of(raw: bytes) -> etree._Element:
    """The root of an HTML or XHTML document, mended where it is not well-formed. Raises `Rejection`.

    An HTML parser knows no entities but those of HTML and reads no document type.
    """
    encoding = None if raw.startswith(_BOMS) else _encoding(raw)
    parser = html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True, encoding=encoding)
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, etree.ParserError, ValueError, AssertionError):
        raise malformed("", "not HTML") from None
    if root is None:
        raise malformed("", "not HTML")
    return root


def _encoding(raw: bytes) -> str | None:
    """UTF-8 where the bytes are, whatever they declare; else what they declare."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def local(element: etree._Element) -> str:
    """The name without its namespace; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
