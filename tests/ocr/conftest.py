"""Pictures can only be read where the engine's language data is."""

from __future__ import annotations

import pytest

from tests import services


@pytest.fixture(scope="session")
def tessdata() -> str:
    """Folder of the language data; the test is skipped where it cannot be had."""
    try:
        return services.tessdata()
    except services.ServiceMissing as missing:
        pytest.skip(str(missing))
