"""Fixtures of every room: where the real services are."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests import services

# Timings are benchmarks, never assertions: a slow machine must not fail a property.
settings.register_profile("dragoman", deadline=None)
settings.load_profile("dragoman")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A PostgreSQL on which databases may be created; drop what you created."""
    return services.postgres()


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """A RabbitMQ; declare queues and exchanges under a prefix of your own and delete them."""
    return services.rabbitmq()
