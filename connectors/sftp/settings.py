"""Settings of the SFTP edges."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from connectors.http.settings import Secret


class SftpServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One folder of one server, and who we are there."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the server.")]
    user: Annotated[str, Meta(min_length=1, description="Name of the user.")]
    known_hosts: Annotated[str, Meta(min_length=1, description="File with the server's key, as OpenSSH writes it. A server "
                                                               "with another key is not talked to.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port.")] = 22
    key: Annotated[str, Meta(description="File with our private key.")] = ""
    password: Annotated[Secret | UnsetType, Meta(description="The password, where the server takes no key.")] = UNSET
    path: Annotated[str, Meta(min_length=1, description="The folder, as the server names it. It must exist.")] = "."
    timeout_s: Annotated[float, Meta(gt=0, description="Seconds to wait for the server.")] = 30.0

    def __post_init__(self) -> None:
        if bool(self.key) == (self.password is not UNSET):
            raise ValueError("either key or password")


class SftpIn(SftpServer, frozen=True, kw_only=True):
    """Takes every file that is put into a folder of an SFTP server, once."""

    format: Annotated[Literal["document", "x12"], Meta(
        description="'document': a file is one fax, scan or reading of pages, told by its first bytes; 'x12': a file holds "
                    "interchanges (271, 278, 999, TA1 …), and each transaction set is a message.")] = "document"
    pattern: Annotated[str, Meta(min_length=1, description="Names taken, as in *.tif. Names that begin with a dot are never "
                                                           "taken.")] = "*"
    stable_s: Annotated[float, Meta(ge=0, description="Seconds without change of size and time before a file is complete."
                                    )] = 5.0
    poll_s: Annotated[float, Meta(gt=0, description="Seconds between two looks into the folder.")] = 10.0
    max_bytes: Annotated[int, Meta(ge=1, description="Bytes of a file at most.")] = 67_108_864
    taken: Annotated[Literal["move", "remove"], Meta(
        description="What becomes of a file that is stored: 'move' into the folder done; 'remove' it, where the partner "
                    "wants so, or lets nobody make folders. A file that is refused is moved in either case.")] = "move"
    done: Annotated[str, Meta(pattern=r"^[^/\\]+$", description="Folder, under path, of files that are stored.")] = "done"
    failed: Annotated[str, Meta(pattern=r"^[^/\\]+$", description="Folder, under path, of files that were refused."
                                )] = "failed"


class SftpOut(SftpServer, frozen=True, kw_only=True):
    """Drops messages into a folder of an SFTP server, many in one file."""

    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]*$", description="Beginning of the names, as the partner wants it: "
                                                                         "270_. Nobody else may write such names there."
                                )] = "dragoman-"
    suffix: Annotated[str, Meta(pattern=r"^\.[A-Za-z0-9.]+$", description="End of the names.")] = ".x12"
    collect_s: Annotated[float, Meta(ge=0, le=3600, description="Seconds to wait for more messages before what there is "
                                                                "gets written.")] = 5.0
    max_batch: Annotated[int, Meta(ge=1, le=100_000, description="Messages of one file at most; many payers allow 99 (X17). "
                                                                 "The destination's max_in_flight must be as large.")] = 99
