"""Everything of HL7 v2 that a site may want is a setting, and a slip in it is found where it is written."""

from __future__ import annotations

import msgspec
import pytest

from canonical.findings import Rejection
from connectors.file.settings import FileIn, FileOut
from connectors.hl7v2.settings import MllpIn, MllpOut
from mapper import document

ALL = [
    (MllpIn, """
port: 2575
tls: {cert: a.pem, key: a.key, min_version: "1.3", reload_s: 10, warn_days: 14,
      names: {lab.example: {cert: b.pem, key: b.key}}}
keep_alive_s: 30
commit_bytes: true
batch_counts: reject
sequence: true
continuation: {wait_s: 600, max_bytes: 1000000}
application_ack: {host: ehr.example, port: 2576, when_parked: error, confirm: false, give_up_s: 3600, commit_bytes: true}
"""),
    (MllpOut, """
port: 2575
tls: {ca: ca.pem, cert: a.pem, key: a.key, server_name: lab.example, min_version: "1.3"}
keep_alive_s: 30
max_rate_per_s: 5
sequence: true
fit: {charset: 8859/1, unencodable: transliterate, lengths: {PID-5.1: 30, NTE-3: 200}, too_long: reject}
"""),
    (FileIn, """
path: /in
batch_counts: reject
responses: /out
max_message_bytes: 100000
continuation: {join: false}
"""),
    (FileOut, """
path: /out
fit: {lengths: {PID-5.1: 30}}
""")]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_a_site_can_say_all_of_it(kind: type[msgspec.Struct], text: str) -> None:
    """F16, F18, A02, B02, B04, B06, C04, K01 to K03, L02, S05"""
    assert isinstance(document.to_struct(document.parse(text.encode(), "site.yaml"), kind), kind)


@pytest.mark.parametrize(("kind", "text"), [
    (MllpIn, "port: 1\nbatch_counts: maybe\n"), (MllpIn, "port: 1\ncontinuation: {wait: 5}\n"),
    (MllpIn, "port: 1\ntls: {cert: a, key: b, min_version: '1.0'}\n"), (MllpIn, "port: 1\napplication_ack: {host: a}\n"),
    (MllpOut, "port: 1\nsequence: true\nmax_sessions: 4\n"), (MllpOut, "port: 1\nfit: {charset: klingon}\n"),
    (MllpOut, "port: 1\nfit: {lengths: {PID5: 30}}\n"), (FileIn, "path: a\nmax_message_bytes: 0\n"),
    (FileIn, "path: /in\nresponses: /in/\n")])
def test_a_slip_is_told_with_its_line(kind: type[msgspec.Struct], text: str) -> None:
    """By `dragoman check`, before anything starts."""
    with pytest.raises(Rejection) as caught:
        document.to_struct(document.parse(text.encode(), "site.yaml"), kind)
    assert all(found.row.startswith("site.yaml:") for found in caught.value.findings)
