"""The servers that tests start for themselves keep what they acknowledged, and are gone afterwards."""

from __future__ import annotations

import pika
import psycopg
import pytest

from tests.services import PostgresServer, RabbitServer, disposable, postgres_answers, rabbitmq_answers


@pytest.mark.postgres
@pytest.mark.slow
def test_a_killed_postgres_comes_back_at_the_same_address_with_what_was_committed() -> None:
    with disposable(PostgresServer) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table kept (n int)")
            connection.execute("insert into kept values (7)")
        address = server.url
        server.kill()
        assert not postgres_answers(address)
        server.start()
        assert server.url == address
        with psycopg.connect(address) as connection:
            assert connection.execute("select n from kept").fetchall() == [(7,)]
    assert not postgres_answers(address)


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_a_killed_rabbitmq_comes_back_at_the_same_address_with_its_durable_queues() -> None:
    with disposable(RabbitServer) as server:
        with pika.BlockingConnection(pika.URLParameters(server.url)) as connection:
            connection.channel().queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
        address = server.url
        server.kill()
        assert not rabbitmq_answers(address)
        server.start()
        assert server.url == address
        with pika.BlockingConnection(pika.URLParameters(address)) as connection:
            connection.channel().queue_declare("kept", passive=True)
    assert not rabbitmq_answers(address)
