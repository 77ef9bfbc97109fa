"""The site of the end-to-end benchmark: one MLLP channel in, two destinations out, the shipped mappings."""

from __future__ import annotations

from pathlib import Path

from bench.report import ROOT

_SITE = """\
site: bench
mappings: {mappings}
channels:
  in:
    connector: mllp
    mapping: hl7v2/siu
    settings: {{host: 127.0.0.1, port: {port}}}
destinations:
  downstream:
    connector: mllp
    mapping: hl7v2/siu
    settings: {{host: 127.0.0.1, port: {mllp}, max_sessions: {sessions}}}
    idempotent: yes
    max_in_flight: {sessions}
    context:
      sending_application: DRAGOMAN
      sending_facility: HUB
      receiving_application: SINK
      receiving_facility: BENCH
      processing_id: P
  erp:
    connector: http
    mapping: erp/staffing_demand
    settings: {{url: "http://127.0.0.1:{http}/", max_sessions: {sessions}}}
    idempotent: yes
    max_in_flight: {sessions}
routes:
  - {{route: everything, to: [downstream, erp]}}
broker: {{prefix: {prefix}}}
translators: {translators}
"""


def write(folder: Path, *, port: int, mllp: int, http: int, prefix: str, sessions: int = 8,
          translators: int = 0) -> None:
    """Write ``site.yaml`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text(_SITE.format(mappings=ROOT / "mappings", port=port, mllp=mllp, http=http,
                                                   prefix=prefix, sessions=sessions, translators=translators))
