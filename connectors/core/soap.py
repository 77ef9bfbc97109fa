"""The envelope in SOAP 1.2 (CORE 270 §4.2.1: SOAP+WSDL), with WS-Security UsernameToken.

Payloads of real time are text (``CDATA``); those of batches are base64 in the element, or, where the peer
insists on it, MTOM: a ``multipart/related`` body whose payload stands beside the XML (XOP 1.0).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from lxml import etree

from connectors.core.envelope import OPERATIONS, REAL_TIME, Envelope, NoEnvelope, Operation, read, written
from connectors.core.form import content_of, parts_of

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
CORE: Final = "http://www.caqh.org/SOAP/WSDL/CORERule2.2.0.xsd"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_PROFILE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
_PAYLOAD_PART: Final = "payload@dragoman"


def write(envelope: Envelope, operation: Operation, element: str, user: str = "", password: str = "", *,
          mtom: bool = False) -> tuple[str, bytes]:
    """Content type and body.

    Args:
        envelope: what to say.
        operation: the exchange it belongs to.
        element: ``operation.request`` or ``operation.response``.
        user: of the WS-Security token; empty where a client certificate says who it is.
        password: likewise. PasswordText: the connection must be TLS.
        mtom: send the payload of a batch beside the XML.

    Raises:
        ValueError: the payload of a real-time envelope cannot stand in XML (a control character).
    """
    root = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP})
    header = etree.SubElement(root, f"{{{SOAP}}}Header")
    if user:
        security = etree.SubElement(header, f"{{{WSSE}}}Security", nsmap={"wsse": WSSE})
        security.set(f"{{{SOAP}}}mustUnderstand", "true")
        token = etree.SubElement(security, f"{{{WSSE}}}UsernameToken")
        etree.SubElement(token, f"{{{WSSE}}}Username").text = user
        etree.SubElement(token, f"{{{WSSE}}}Password", Type=f"{_PROFILE}#PasswordText").text = password
    body = etree.SubElement(root, f"{{{SOAP}}}Body")
    core = etree.SubElement(body, f"{{{CORE}}}{element}", nsmap={"core": CORE})
    attached: bytes | None = None
    fields = written(envelope)
    errors = {name: fields.pop(name) for name in ("ErrorCode", "ErrorMessage") if name in fields}
    for name, value in fields.items():
        etree.SubElement(core, name).text = value
    if envelope.payload is not None:
        payload, place = envelope.payload.reveal(), etree.SubElement(core, "Payload")
        if operation is REAL_TIME:
            try:
                text = payload.decode()
                place.text = text if "]]>" in text else etree.CDATA(text)
            except (UnicodeDecodeError, ValueError):
                raise ValueError("the payload holds bytes that XML cannot") from None
        elif mtom:
            etree.SubElement(place, f"{{{XOP}}}Include", href=f"cid:{_PAYLOAD_PART}", nsmap={"xop": XOP})
            attached = payload
        else:
            place.text = base64.b64encode(payload).decode()
    for name, value in errors.items():
        etree.SubElement(core, name).text = value
    xml = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    if attached is None:
        return f'application/soap+xml; charset=utf-8; action="{operation.name}"', xml
    return _related(xml, attached, operation.name)


def parse(content_type: str, body: bytes) -> Envelope:
    """The envelope of a SOAP message.

    Raises:
        NoEnvelope: there is none; a SOAP fault is told by its code.
    """
    return opened(content_type, body)[1]


def opened(content_type: str, body: bytes) -> tuple[str, Envelope, tuple[str, str]]:
    """Element, envelope, and user and password of the token (empty where there is none).

    Raises:
        NoEnvelope: there is no envelope; a SOAP fault is told by its code.
    """
    attachments: dict[str, bytes] = {}
    if content_type.lower().startswith("multipart/related"):
        parts = parts_of(content_type, body)
        if not parts:
            raise NoEnvelope("no part")
        body = content_of(parts[0])
        attachments = {str(part.get("Content-ID", "")).strip(" <>"): content_of(part) for part in parts[1:]}
    root = _xml(body)
    core = root.find(f"{{{SOAP}}}Body/*")
    if core is None:
        raise NoEnvelope("soap:Body")
    name = etree.QName(core)
    if name.localname == "Fault":
        raise NoEnvelope(f"soap:Fault {_fault(core)}")
    operation = _BY_ELEMENT.get(name.localname)
    if name.namespace != CORE or operation is None:
        raise NoEnvelope("an element that is none of the CORE schema")
    fields: dict[str, str] = {}
    payload: bytes | None = None
    for child in core:
        field = etree.QName(child).localname
        if field == "Payload":
            payload = _payload(child, operation, attachments)
        else:
            fields[field] = child.text or ""
    user = root.findtext(f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{WSSE}}}UsernameToken/{{{WSSE}}}Username") or ""
    secret = root.findtext(f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{WSSE}}}UsernameToken/{{{WSSE}}}Password") or ""
    return name.localname, read(fields, payload), (user, secret)


_BY_ELEMENT: Final = {element: operation for operation in OPERATIONS
                      for element in (operation.request, operation.response)}


def _xml(body: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
                             remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise NoEnvelope(f"XML, line {error.lineno}") from None
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr] # stubs: docinfo of a parsed tree is there
        raise NoEnvelope("a document type declaration")
    return root


def _payload(element: etree._Element, operation: Operation, attachments: dict[str, bytes]) -> bytes:
    include = element.find(f"{{{XOP}}}Include")
    if include is not None:
        found = attachments.get(str(include.get("href", "")).removeprefix("cid:"))
        if found is None:
            raise NoEnvelope("Payload: an attachment that is not there")
        return found
    text = element.text or ""
    if operation is REAL_TIME:
        return text.strip().encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return text.strip().encode()  # some payers put the text itself into batches, too


def _fault(fault: etree._Element) -> str:
    value = fault.findtext(f"{{{SOAP}}}Code/{{{SOAP}}}Value") or fault.findtext("faultcode") or ""
    word = value.rpartition(":")[2].strip()
    return word if word.isalpha() and len(word) < 40 else ""


def _related(xml: bytes, payload: bytes, action: str) -> tuple[str, bytes]:
    boundary = b"=_core_mtom"
    while boundary in payload or boundary in xml:
        boundary += b"_"
    body = b"\r\n".join((
        b"--" + boundary,
        b'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"',
        b"Content-Transfer-Encoding: 8bit", b"Content-ID: <envelope@dragoman>", b"", xml,
        b"--" + boundary,
        b"Content-Type: application/octet-stream", b"Content-Transfer-Encoding: binary",
        b"Content-ID: <" + _PAYLOAD_PART.encode() + b">", b"", payload,
        b"--" + boundary + b"--", b""))
    return (f'multipart/related; boundary="{boundary.decode()}"; type="application/xop+xml"; '
            f'start="<envelope@dragoman>"; start-info="application/soap+xml"; action="{action}"', body)
