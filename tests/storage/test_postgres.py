"""Connections give up in time, and say where they were going without saying how."""

import gc
import time

import psycopg
import pytest
from support.postgres import needs_postgres, shared

from jupiter_addons.storage import postgres


@needs_postgres
def test_a_wait_ends_at_its_deadline_whatever_the_server_does():
    db = postgres.connect(shared().url(), "test")
    started_s = time.monotonic()
    with pytest.raises(psycopg.OperationalError), db.within(0.3):
        db.execute("SELECT pg_sleep(30)")
    assert time.monotonic() - started_s < 5
    db.close()


@needs_postgres
def test_a_deadline_is_for_all_statements_of_a_block_together():
    db = postgres.connect(shared().url(), "test")
    started_s = time.monotonic()

    def many() -> None:
        with db.within(0.5):
            for _ in range(50):
                db.execute("SELECT pg_sleep(0.1)")

    with pytest.raises(psycopg.OperationalError):
        many()
    assert time.monotonic() - started_s < 4
    db.close()


@needs_postgres
def test_a_pipeline_that_is_given_up_ends_with_its_connection_and_leaves_nothing_behind():
    def many(db: postgres.Connection) -> None:
        with db.within(0.3), db.pipeline():
            db.execute("SELECT pg_sleep(30)")
            for _ in range(1000):
                db.execute("SELECT repeat('x', 100000)")

    db = postgres.connect(shared().url(), "test")
    with pytest.raises(psycopg.OperationalError):
        many(db)
    assert db.closed
    del db
    gc.collect()  # what was suspended would be warned of here, and a warning is a failure


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "postgresql://user:secret@db.internal:5433/evidence?sslmode=require",
            "postgresql://db.internal:5433/evidence",
        ),
        ("postgresql://user:secret@/evidence?host=/run/x&password=secret", "postgresql:///evidence"),
        ("postgresql://user:secret@[::1/x", "postgresql://…"),
    ],
)
def test_what_is_said_of_a_url_has_no_secret_in_it(url, place):
    assert postgres.place_of(url) == place


def test_an_error_is_said_in_one_line():
    assert (
        postgres.reason(psycopg.OperationalError("connection failed\n\tIs the server running?\n"))
        == "connection failed"
    )
    assert postgres.reason(psycopg.OperationalError()) == "OperationalError"
