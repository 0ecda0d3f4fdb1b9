"""The program of the embedded S3 store: `python -m infra.local.serve_s3 PORT`.

moto answers as S3 does, conditional writes included, but it forgets everything when it ends, while our
ledgers remember what was published. So each write is also put into a SQLite file, before its answer leaves,
and is read back at the next start: what a client was told is stored survives kill -9. Objects keep their
bytes, ETag, time, checksum and metadata; uploads in parts that were not finished, versions, tags and policies
are not kept. Only the access key of the settings is let in.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import FakeKey, S3Backend, s3_backends
from werkzeug.serving import run_simple

from infra.local.supervisor import LOOPBACK
from infra.settings import load_settings

_TABLES = """
create table if not exists buckets (name text primary key, region text not null);
create table if not exists objects (
    bucket text, name text, body blob, etag text, last_modified text, metadata text, checksum text,
    primary key (bucket, name)
);
"""
_WRITES = ("PUT", "POST", "DELETE")
_CREDENTIAL = re.compile(r"Credential=([^/,&%]+)")
_FORBIDDEN = (
    b"<Error><Code>InvalidAccessKeyId</Code><Message>The access key is not this server's.</Message></Error>"
)
_CHECKSUM_FIELDS = ("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts")

_Answer = Iterable[bytes]
_StartResponse = Callable[..., Any]


class Memory:
    """The objects of a moto backend, kept equal in a SQLite file."""

    def __init__(self, backend: S3Backend, file: Path) -> None:
        """Open the file and put into the backend what the file holds."""
        self._backend = backend
        self._database = sqlite3.connect(file, check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.executescript(_TABLES)
        self._buckets: set[str] = set()
        self._objects: dict[tuple[str, str], FakeKey] = {}
        self._recall()

    def _recall(self) -> None:
        for name, region in self._database.execute("select name, region from buckets").fetchall():
            self._backend.create_bucket(name, region)
            self._buckets.add(name)
        for bucket, name, body, etag, last_modified, metadata, checksum in self._database.execute(
            "select bucket, name, body, etag, last_modified, metadata, checksum from objects"
        ):
            key = FakeKey(
                name,
                body,
                DEFAULT_ACCOUNT_ID,
                self._backend.region_name,
                etag=etag,
                version_id="null",
                bucket_name=bucket,
            )
            key.last_modified = datetime.fromisoformat(last_modified)
            key.set_metadata(json.loads(metadata))
            for field, value in json.loads(checksum).items():
                setattr(key, field, value)
            self._backend.buckets[bucket].keys.setlist(name, [key])
            self._objects[bucket, name] = key

    def remember(self) -> None:
        """Write to the file, in one transaction, whatever in the backend differs from it."""
        buckets = self._backend.buckets
        objects = {
            (bucket, name): versions[-1]
            for bucket in buckets
            for name, versions in buckets[bucket].keys.lists()
            if versions and isinstance(versions[-1], FakeKey)
        }
        with self._database as file:
            file.executemany(
                "delete from buckets where name = ?", [(name,) for name in self._buckets - set(buckets)]
            )
            file.executemany(
                "delete from objects where bucket = ? and name = ?", self._objects.keys() - objects.keys()
            )
            file.executemany(
                "insert into buckets values (?, ?)",
                [(name, bucket.region_name) for name, bucket in buckets.items() if name not in self._buckets],
            )
            file.executemany(
                "insert or replace into objects values (?, ?, ?, ?, ?, ?, ?)",
                (_row(*place, key) for place, key in objects.items() if self._objects.get(place) is not key),
            )
        self._buckets = set(buckets)
        self._objects = objects


def _row(bucket: str, name: str, key: FakeKey) -> tuple[str | bytes, ...]:
    checksum = {field: getattr(key, field) for field in _CHECKSUM_FIELDS}
    metadata = dict(key.metadata)
    etag = key.etag.strip('"')
    return (
        bucket,
        name,
        key.value,
        etag,
        key.last_modified.isoformat(),
        json.dumps(metadata),
        json.dumps(checksum),
    )


def serve(port: int) -> None:
    """Serve until the process is ended, with the bucket of the settings made."""
    settings = load_settings()
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    memory = Memory(backend, settings.home / "s3" / "objects.sqlite")
    if settings.s3_bucket not in backend.buckets:
        backend.create_bucket(settings.s3_bucket, settings.region)
        memory.remember()
    moto = DomainDispatcherApplication(create_backend_app)
    access_key = settings.s3_access_key.get_secret_value()
    one_at_a_time = Lock()  # moto's conditional writes look first and write then

    def application(environ: dict[str, Any], start_response: _StartResponse) -> _Answer:
        signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "") or environ.get("QUERY_STRING", ""))
        if signed is None or signed[1] != access_key:
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [_FORBIDDEN]
        with one_at_a_time:
            answer: _Answer = moto(environ, start_response)
            if environ["REQUEST_METHOD"] in _WRITES:
                memory.remember()
        return answer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not one line for each request
    run_simple(LOOPBACK, port, application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
