"""Our own test messages: written for these tests, about nobody."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from connectors.hl7v2.framing import frame

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples" / "hl7v2"


def sample_files() -> list[Path]:
    """The shared HL7 v2 samples; skips where they are not there."""
    if not SAMPLES.is_dir():
        pytest.skip(f"no sample messages at {SAMPLES}")
    return sorted(path for path in SAMPLES.rglob("*") if path.is_file() and ".expected." not in path.name)


def siu(control_id: str = "MSG00001", *, event: str = "S12", accept: str = "", application: str = "",
        processing_id: str = "P", version: str = "2.5.1", patient: str = "MRN12345",
        charset: str = "") -> bytes:
    """A SIU of about 1.3 KB with all four kinds of resources."""
    return "\r".join([
        rf"MSH|^~\&|CADENCE^1.2.3^ISO|MERCY^4.5.6^ISO|DRAGOMAN^7.8^ISO|HUB^9.1^ISO|20260310081500-0600||SIU^{event}"
        rf"^SIU_S12|{control_id}|{processing_id}|{version}|||{accept}|{application}|USA|{charset}",
        "SCH|PL123^CADENCE|FL998877^CADENCE|||CHK001^Routine^L|BOOKED^Booked^HL70276|CHECKUP^Check-up^HL70276|"
        "NORMAL^Normal^HL70277|50|min^minutes^UCUM|^^50^20260310143000-0500^20260310152000-0500|"
        "4711^Welby^Marcus^^^^MD|^WPN^PH^^1^312^5550100|100 Main St^^Chicago^IL^60601|||4712^Clerk^Sam|||"
        "4712^Clerk^Sam|||||Booked^Booked^HL70278",
        "TQ1|1||||||20260310143000-0500|20260310152000-0500|R^Routine^HL70485",
        r"NTE|1|P|Wheelchair access and an interpreter\.br\Call one day before",
        f"PID|1||{patient}^^^MERCY&1.2.3&ISO^MR~999-11-2222^^^SSA^SS||CANARY^Eve^E^^Ms^^L||19800102|F|||"
        "2222 Home Street^Apt 3^Chicago^IL^60601^USA^H||^PRN^PH^^1^312^5550101|||M",
        "PV1|1|O|CLIN1^ROOM2^^MERCY^^C||||4711^Welby^Marcus^^^^MD|||CAR||||||||V123^^^MERCY^VN",
        "DG1|1||I10^Essential hypertension^I10|||A",
        "RGS|1|A|GRP1",
        "AIS|1|A|99213^Office visit^C4|20260310143000-0500|0|min|50|min|NO|Booked",
        "NTE|1|P|Fasting",
        "AIG|1|A|EQ17^ECG cart^L|EQUIP^Equipment^L|||||20260310143000-0500|||50|min|NO|Booked",
        "AIL|1|A|CLIN1^ROOM2^^MERCY|ROOM^Room^L||20260310143000-0500|0|min|50|min|NO|Booked",
        "AIP|1|A|4711^Welby^Marcus^^^^MD|ATT^Attending^L||20260310143000-0500|0|min|50|min|NO|Booked",
        ""]).encode()


def merge(control_id: str = "MRG00001") -> bytes:
    """An ADT^A40: OLD1 becomes NEW1."""
    return (rf"MSH|^~\&|ADT1|MERCY|X|Y|20260310||ADT^A40^ADT_A39|{control_id}|P|2.5.1" "\r"
            "EVN||20260310\r"
            "PID|1||NEW1^^^MERCY^MR||Doe^Jo\r"
            "MRG|OLD1^^^MERCY^MR\r").encode()


def acknowledgement(code: str, control_id: str, *, error: str = "", text: str = "") -> bytes:
    """An ACK as a peer would write it, framed."""
    segments = [rf"MSH|^~\&|PEER|THERE|DRAGOMAN|HUB|20260310||ACK^S12^ACK|A{control_id}|P|2.5.1",
                f"MSA|{code}|{control_id}"]
    if error or text:
        segments.append(f"ERR||SCH^1^2|{error}^^HL70357|E||||{text}")
    return frame("\r".join([*segments, ""]).encode())


@contextlib.contextmanager
def certificates(folder: Path) -> Iterator[dict[str, str]]:
    """Files of a throw-away authority: ``ca``, ``cert`` and ``key`` of the server (127.0.0.1) and
    ``client_cert``, ``client_key``."""
    authority = trustme.CA()
    files = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key", "client_cert", "client_key")}
    authority.cert_pem.write_to_path(files["ca"])
    for prefix, name in (("", "127.0.0.1"), ("client_", "sender.example")):
        leaf = authority.issue_cert(name)
        leaf.private_key_pem.write_to_path(files[f"{prefix}key"])
        with Path(files[f"{prefix}cert"]).open("wb") as file:
            for blob in leaf.cert_chain_pems:
                file.write(blob.bytes())
    yield files


def client_context(files: dict[str, str], *, with_certificate: bool) -> ssl.SSLContext:
    """What a raw TLS client uses towards a server of `certificates`."""
    context = ssl.create_default_context(cafile=files["ca"])
    if with_certificate:
        context.load_cert_chain(files["client_cert"], files["client_key"])
    return context
