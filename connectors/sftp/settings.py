"""Settings of the SFTP receiver."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from connectors.http.settings import Secret


class SftpIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes every document that is put into a folder of an SFTP server, once."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the server.")]
    user: Annotated[str, Meta(min_length=1, description="Name of the user.")]
    known_hosts: Annotated[str, Meta(min_length=1, description="File with the server's key, as OpenSSH writes it. A server "
                                                               "with another key is not talked to.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port.")] = 22
    key: Annotated[str, Meta(description="File with our private key.")] = ""
    password: Annotated[Secret | UnsetType, Meta(description="The password, where the server takes no key.")] = UNSET
    path: Annotated[str, Meta(min_length=1, description="The folder, as the server names it. It must exist.")] = "."
    pattern: Annotated[str, Meta(min_length=1, description="Names taken, as in *.tif. Names that begin with a dot are never "
                                                           "taken.")] = "*"
    stable_s: Annotated[float, Meta(ge=0, description="Seconds without change of size and time before a file is complete."
                                    )] = 5.0
    poll_s: Annotated[float, Meta(gt=0, description="Seconds between two looks into the folder.")] = 10.0
    timeout_s: Annotated[float, Meta(gt=0, description="Seconds to wait for the server.")] = 30.0
    max_bytes: Annotated[int, Meta(ge=1, description="Bytes of a file at most.")] = 67_108_864
    done: Annotated[str, Meta(pattern=r"^[^/\\]+$", description="Folder, under path, of files that are stored.")] = "done"
    failed: Annotated[str, Meta(pattern=r"^[^/\\]+$", description="Folder, under path, of files that were refused."
                                )] = "failed"

    def __post_init__(self) -> None:
        if bool(self.key) == (self.password is not UNSET):
            raise ValueError("either key or password")
