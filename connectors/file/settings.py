"""Settings of the folder edges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from connectors.hl7v2.batch import BatchCounts
from connectors.hl7v2.continuation import Continuation
from connectors.hl7v2.fit import Fit

Name = Annotated[str, Meta(pattern=r"^[^/\\]+$")]


class FileIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes every file that is put into a folder, once."""

    path: Annotated[str, Meta(min_length=1, description="The drop folder. It must exist.")]
    pattern: Annotated[str, Meta(min_length=1, description="Names taken, as in *.hl7. Names that begin with a "
                                                           "dot are never taken.")] = "*"
    format: Annotated[Literal["hl7v2", "x12", "any", "document"], Meta(
        description="'hl7v2': a file holds one message, several, or batches; 'x12': a file holds interchanges, and each "
                    "transaction set is a message; 'any': a file is one message; 'document': a file is one fax, scan or "
                    "reading of pages, told by its first bytes.")] = "hl7v2"
    ready: Annotated[Literal["stable", "rename"], Meta(
        description="When a file is complete: 'stable' its size and time have not changed for stable_s; "
                    "'rename' the sender writes under another name and renames, so it is complete as soon as "
                    "its name matches.")] = "stable"
    stable_s: Annotated[float, Meta(ge=0, description="Seconds without change.")] = 5.0
    poll_s: Annotated[float, Meta(gt=0, description="Seconds between two looks into the folder.")] = 1.0
    max_bytes: Annotated[int, Meta(ge=1, description="Bytes of a file at most.")] = 4_294_967_296
    max_message_bytes: Annotated[int, Meta(ge=1, description="Bytes of one message of a file at most. A file is read "
                                                             "piece by piece: this, and not its size, is what it "
                                                             "takes of memory.")] = 16_777_216
    batch_counts: BatchCounts = "flag"
    continuation: Annotated[Continuation, Meta(description="Messages that come in parts.")] = Continuation()
    responses: Annotated[str, Meta(description="Folder into which the answer to each file is written, as NAME.ack: a "
                                               "response batch with the acknowledgement of every message. Empty: none."
                                   )] = ""
    max_in_flight: Annotated[int, Meta(ge=1, description="Messages of a file being stored at a time.")] = 64
    work: Annotated[Name, Meta(description="Folder, under path, of files being taken.")] = ".work"
    done: Annotated[Name, Meta(description="Folder, under path, of files whose messages are all stored."
                               )] = "done"
    failed: Annotated[Name, Meta(description="Folder, under path, of files that were not taken, each with a "
                                             ".finding.json beside it.")] = "failed"

    def __post_init__(self) -> None:
        if self.responses and Path(self.responses) == Path(self.path):
            raise ValueError("responses is the drop folder itself: its answers would be taken for messages")


class FileOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Writes each message into a file of its own."""

    path: Annotated[str, Meta(min_length=1, description="The folder.")]
    suffix: Annotated[str, Meta(pattern=r"^\.[A-Za-z0-9.]+$", description="End of the names.")] = ".hl7"
    max_sessions: Annotated[int, Meta(ge=1, le=64, description="Files written at the same time.")] = 4
    fit: Annotated[Fit, Meta(description="What the partner can take (HL7 v2 messages).")] = Fit()
    mode: Annotated[str, Meta(pattern=r"^0[0-7]{3}$", description="Permissions of the files.")] = "0640"
