"""The schema: made once, by whoever is first, and not touched if it is newer."""

import threading

import psycopg
import pytest
from support.postgres import needs_postgres, shared

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import postgres
from jupiter_addons.storage.evidence_postgres_schema import MIGRATIONS, migrate

pytestmark = needs_postgres


@pytest.fixture
def database():
    name = shared().new_database()
    yield name
    shared().execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_it_is_made_once_however_many_start_at_the_same_time(database):
    failures = []

    def start() -> None:
        db = postgres.connect(shared().url(database), "test")
        try:
            migrate(db)
            migrate(db)
        except (StoreError, psycopg.Error) as error:
            failures.append(error)
        db.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert shared().execute("SELECT version FROM jupiter.version", database) == [(len(MIGRATIONS),)]


def test_a_newer_schema_is_refused_and_left_alone(database):
    db = postgres.connect(shared().url(database), "test")
    migrate(db)
    db.execute("UPDATE jupiter.version SET version = 99")
    with pytest.raises(StoreError, match="version 99"):
        migrate(db)
    db.close()
    assert shared().execute("SELECT version FROM jupiter.version", database) == [(99,)]


def test_who_may_not_create_can_use_what_is_there(database):
    db = postgres.connect(shared().url(database), "test")
    migrate(db)
    shared().execute("DROP ROLE IF EXISTS plain")
    shared().execute("CREATE ROLE plain LOGIN")
    shared().execute("GRANT USAGE ON SCHEMA jupiter TO plain; GRANT SELECT ON jupiter.version TO plain", database)
    plain = postgres.connect(shared().url(database, "plain"), "test")
    migrate(plain)
    plain.close()
    db.close()
    shared().execute("DROP OWNED BY plain", database)
    shared().execute("DROP ROLE plain")
