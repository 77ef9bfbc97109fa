"""Messages of ours, in the console, in metrics and in checks."""

from __future__ import annotations

from pathlib import Path

from canonical.model import Patient
from canonical.referral import Referral
from router import internal
from router.flow_config import TASKS
from store.memory import MemoryLedger
from store.records import Looked, NewTask
from tests.workflow.cases import NOW, entity
from wiring.assembly import assemble
from wiring.check import check
from wiring.explainer import SiteExplainer
from wiring.metrics import exposition
from workflow.case import Command

DEMO = Path(__file__).parents[2] / "config" / "demo"


async def test_the_lineage_of_an_answer_names_the_person_and_masks_the_value() -> None:
    assembly = assemble(DEMO, compiled=False)
    said = internal.event("f1", 0, Command(
        event="referral.revised", subject_key="referral:C|1", effect=(),
        entity=Referral(patient=entity(Patient, birth_date="1980-01-20"))), NOW, by="ada", channel=TASKS)
    ledger = MemoryLedger(partitions=1)
    await ledger.append(internal.message("f1", internal.Letter(says=(said,), by="ada", task="aa11"), "patient:M|1", NOW,
                                         channel=TASKS))
    message = await ledger.message("f1")
    assert message is not None
    assert assembly.translator.read(message).events == (said,)
    explainer = SiteExplainer(assembly.site, assembly.library, {})
    masked = explainer.lineage(message, message.raw.reveal(), None, reveal=False)
    assert [(row.field, row.value, row.source, row.how) for row in masked.rows] == [
        ("patient.birth_date", "‹phi›", "ada, answering task aa11", "person")]
    shown = explainer.lineage(message, message.raw.reveal(), None, reveal=True)
    assert shown.rows[0].value == "1980-01-20"
    assert explainer.lineage(message, b"no letter", None, reveal=False).note == "no lineage: flow.letter"


async def test_tasks_are_counted_by_queue_and_status() -> None:
    """Names of the configuration only (invariant 12)."""
    ledger = MemoryLedger(partitions=1)
    lease = await ledger.acquire(0, "test", NOW, 60)
    assert lease is not None
    from canonical.task import WorkTask

    await ledger.commit_looks(lease, [Looked(subject_key="patient:M|SECRET", token="", at=NOW, opened=(NewTask(
        id="aa11", subject_key="patient:M|SECRET", type="eligibility", reason="ELIGIBILITY:inactive", queue="insurance",
        priority=1, created_at=NOW, task=WorkTask()),))])
    text = (await exposition(ledger, 0.0)).decode()
    assert 'dragoman_tasks{queue="insurance",status="ready"} 1.0' in text
    assert "SECRET" not in text


def test_a_rule_may_wait_for_an_event_of_ours_and_a_slip_is_told(tmp_path: Path) -> None:
    site = (DEMO / "site.yaml").read_text().replace("../../mappings", str(DEMO.parents[1] / "mappings"))
    (tmp_path / "site.yaml").write_text(site + """
workflow:
  - {rule: known, when: {event: eligibility.answered}, task: {type: look}}
  - {rule: slip, when: {event: eligibility.answerd}, task: {type: look}}
  - {rule: asked first, when: {entity: Appointment}, request: eligibility}
""")
    told = {(found.code, found.hint) for found in check(tmp_path)[0] if found.code.startswith("config.")}
    assert ("config.silent_rule", "did you mean eligibility.answered?") in told
    assert len([code for code, _ in told if code == "config.silent_rule"]) == 1
    assert "config.asked_first" in {code for code, _ in told}
