"""What a site knows of payers and people reaches the validators of documents (issue 5, A1.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from canonical.findings import Rejection
from canonical.page import PageDocument, SourceKind, from_json, to_json
from canonical.phi import Phi
from canonical.referral import Referral
from store.records import Message
from tests.extract.test_extraction import NPI, RECEIVED, harbor
from wiring.assembly import Assembly, assemble, assembled, codecs
from wiring.demo.stage import ROOT
from wiring.explainer import SiteExplainer

SITE = """
site: records
mappings: {mappings}
channels:
  pages: {{connector: answers, mapping: documents/referral}}
documents:
  payers: {{Harbor Mutual: '{pattern}'}}
  providers: providers.csv
  patients: patients.yaml
"""
PROVIDERS = f"npi,family,given\n{NPI},Holloway,Miriam\n"
PATIENTS = "- {mrn: '12345678', family: Quillfeather, given: Aurelia, birth_date: 1979-04-22}\n"


def site(folder: Path, *, pattern: str = "HMX[0-9]{9}", providers: str = PROVIDERS, patients: str = PATIENTS) -> Path:
    (folder / "site.yaml").write_text(SITE.format(mappings=ROOT / "mappings", pattern=pattern))
    (folder / "providers.csv").write_text(providers)
    (folder / "patients.yaml").write_text(patients)
    return folder


def page() -> Message:
    body = to_json(from_json(to_json(PageDocument(source=SourceKind.OCR, producer="other", pages=(harbor(),)))))
    return Message(id="M", channel="pages", raw=Phi(body), received_at=RECEIVED, message_type="PAGES", charset="", seq=0,
                   partition=0, since=0)


def words(assembly: Assembly) -> dict[str, dict[str, str]]:
    """What the validators said, by field."""
    read = assembly.translator.read(page())
    (referral,) = [event.entity for event in read.events if isinstance(event.entity, Referral)]
    return {each.field: {str(word.validator): str(word.verdict) for word in each.validations or ()}
            for each in referral.evidence or ()}


def refused(folder: Path) -> list[tuple[str, str, str]]:
    with pytest.raises(Rejection) as caught:
        assemble(folder)
    return [(found.code, Path(str(found.row)).name, found.detail) for found in caught.value.findings]


def test_payers_and_directories_are_asked(tmp_path: Path) -> None:
    said = words(assemble(site(tmp_path)))
    assert said["coverages(0).member_id"]["member_id"] == "valid"
    assert said["referring.who.identifiers(type=NPI).value"]["provider"] == "valid"
    assert said["patient.identifiers(type=MR).value"]["patient"] == "valid"


def test_a_site_that_knows_nothing_cannot_tell(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE.format(mappings=ROOT / "mappings", pattern="x").partition("documents:\n")[0])
    assert words(assemble(tmp_path))["coverages(0).member_id"]["member_id"] == "unknown"


def test_a_member_id_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A1.3: whatever the confidence."""
    assert words(assemble(site(tmp_path, pattern="Z[0-9]{4}")))["coverages(0).member_id"]["member_id"] == "invalid"


def test_a_process_that_translates_knows_the_same(tmp_path: Path) -> None:
    """A clerk gets contents, and does not look at the files again."""
    first = assemble(site(tmp_path))
    (tmp_path / "providers.csv").unlink()
    again = assembled(str(tmp_path / "site.yaml"), first.files["site.yaml"], first.library.files, first.known_files)
    assert words(again) == words(first)
    assert again.revision == first.revision


def test_lineage_is_traced_with_what_is_known(tmp_path: Path) -> None:
    assembly = assemble(site(tmp_path, pattern="Z[0-9]{4}"))
    message = page()

    def fields(known: Any) -> set[str]:
        explainer = SiteExplainer(assembly.site, assembly.library, codecs(), known)
        return {row.field for row in explainer.lineage(message, message.raw.reveal(), None, reveal=False).rows}

    assert "coverages(0).member_id" in fields(None) - fields(assembly.known)


def test_another_list_of_people_is_another_revision_that_does_not_hold_it(tmp_path: Path) -> None:
    first = assemble(site(tmp_path))
    second = assemble(site(tmp_path, patients=PATIENTS.replace("Aurelia", "Aurora")))
    assert first.revision != second.revision
    assert not any(b"Quillfeather" in content for name, content in first.files.items() if name.startswith("known/"))


@pytest.mark.parametrize(("changes", "place", "detail"), [
    ({"pattern": "HMX["}, "site.yaml:7:12", "not a regular expression"),
    ({"providers": "npi,surname\n1,Holloway\n"}, "providers.csv:1:1", "column 2 has no use"),
    ({"providers": "npi,given\n1,Miriam\n"}, "providers.csv:1:1", "there is no column family"),
    ({"providers": "npi,family,given\n1,Holloway\n"}, "providers.csv:2:1", "2 cells where the first line has 3"),
    ({"providers": "npi,family\n,Holloway\n"}, "providers.csv:1:1", "entry 1 has no npi"),
    ({"providers": 'npi,family\n"1,Holloway\n'}, "providers.csv:2:1", "not CSV"),
    ({"patients": "- {mrn: '1'}\n"}, "patients.yaml:1:3", ""),
    ({"patients": "- {mrn: '1', family: Quillfeather, born: 1979}\n"}, "patients.yaml:1:36", ""),
])
def test_what_cannot_be_used_stops_the_start_and_is_located(tmp_path: Path, changes: dict[str, str], place: str,
                                                            detail: str) -> None:
    (found,) = refused(site(tmp_path, **changes))
    assert found[:2] == ("config.known", place)
    assert detail in found[2]
    assert "Holloway" not in found[2]
    assert "Quillfeather" not in found[2]


def test_a_file_that_is_not_there_is_named_by_its_key(tmp_path: Path) -> None:
    site(tmp_path)
    (tmp_path / "patients.yaml").unlink()
    assert refused(tmp_path) == [("config.known", "site.yaml:9:13", "the file cannot be read")]
