"""SFTP that misbehaves: what was cut off is fetched again and is equal to the byte; a stranger is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest

from infra.postgres import connect
from infra.settings import Settings
from infra.sftp import SftpError, sftp_location
from ingestion.run import ensure_raw_tables, ingest, pending_files

pytestmark = pytest.mark.services

CONTENT = b"".join(
    json.dumps(
        {
            "call_id": f"c-{number}",
            "record_version": 1,
            "emitted_at": "2026-03-02T09:10:00Z",
            "dialled_number": "+441632960001",
            "received_at": "2026-03-02T09:00:00Z",
            "ivr_outcome": "self_served",
            "legs": [],
        }
    ).encode()
    + b"\n"
    for number in range(2_000)
)
NAME = "telephony_call_test_20260302T100000Z_1.jsonl"


@pytest.fixture
def inbox(instance: Settings, warehouse: Settings) -> Iterator[str]:
    """Name of a folder on the SFTP server with one file in it; the warehouse is empty."""
    ensure_raw_tables(warehouse)
    with connect(warehouse) as connection:
        connection.execute(
            "truncate raw.telephony_call, quarantine.rows, ops.files, ops.unknown_fields cascade"
        )
    folder = instance.home / "sftp" / "outbox" / f"misbehaving-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    for path in (folder, folder / NAME):
        shutil.chown(path, folder.parent.stat().st_uid, folder.parent.stat().st_gid)
    yield folder.name
    shutil.rmtree(folder)


@contextmanager
def relay(port: int, cut_after: int | None) -> Iterator[int]:
    """A port that passes bytes to another and resets the first connection after so many bytes from the server."""
    cuts = [cut_after]

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            limit = cuts.pop() if cuts else None
            threading.Thread(target=pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, limit), daemon=True).start()

    def pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(4096):
                target.sendall(data)
                passed += len(data)
                if limit is not None and passed >= limit:
                    break
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def pinned_for(settings: Settings, port: int, path: Path) -> Path:
    """A file that pins the embedded server's key to another port."""
    line = (settings.home / "sftp" / "known_hosts").read_text()
    path.write_text(line.replace(line.split("]:")[1].split(" ")[0], str(port), 1))
    return path


@pytest.mark.parametrize("cut_after", [20_000, 60_000, 120_000, 200_000, 300_000])
def test_a_connection_that_is_reset_is_made_again(
    warehouse: Settings, inbox: str, tmp_path: Path, cut_after: int
) -> None:
    assert len(CONTENT) > 350_000
    with relay(sftp_location(warehouse).port, cut_after) as port:
        settings = warehouse.model_copy(
            update={"sftp_known_hosts": pinned_for(warehouse, port, tmp_path / "known_hosts")}
        )
        source = f"sftp://contactbi@127.0.0.1:{port}/{inbox}"
        first = ingest(settings, "telephony_call", source)
        assert [outcome.state for outcome in first.outcomes] == ["failed"], first.as_text()
        with connect(settings) as connection:
            assert connection.execute("select count(*) from raw.telephony_call").fetchone() == (0,)
        second = ingest(settings, "telephony_call", source)
    assert [outcome.state for outcome in second.outcomes] == ["loaded"], second.as_text()
    with connect(warehouse) as connection:
        found = connection.execute("select name, state, sha256, rows_loaded from ops.files").fetchall()
    assert found == [(NAME, "loaded", hashlib.sha256(CONTENT).hexdigest(), 2_000)]


def test_a_connection_lost_between_two_answers_is_not_the_end_of_the_file(
    warehouse: Settings, inbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paramiko then stops reading without a word, as at the end; the file breaks off at the end of a line or not."""
    read = paramiko.SFTPFile._read

    def lost_after_some_bytes(file: paramiko.SFTPFile, size: int) -> bytes:
        if file._realpos >= 120_000:
            raise EOFError
        return read(file, size)

    with monkeypatch.context() as patch:
        patch.setattr(paramiko.SFTPFile, "_read", lost_after_some_bytes)
        first = ingest(warehouse, "telephony_call", f"{sftp_location(warehouse)}/{inbox}")
    assert [outcome.state for outcome in first.outcomes] == ["failed"], first.as_text()
    assert f"of {len(CONTENT):,} bytes" in first.as_text()
    with connect(warehouse) as connection:
        assert connection.execute("select count(*) from raw.telephony_call").fetchone() == (0,)
    second = ingest(warehouse, "telephony_call", f"{sftp_location(warehouse)}/{inbox}")
    assert [outcome.state for outcome in second.outcomes] == ["loaded"], second.as_text()


def test_a_server_whose_key_is_not_pinned_is_refused(warehouse: Settings, inbox: str, tmp_path: Path) -> None:
    port = sftp_location(warehouse).port
    source = f"sftp://contactbi@127.0.0.1:{port}/{inbox}"
    (tmp_path / "known_hosts").write_text("")
    settings = warehouse.model_copy(update={"sftp_known_hosts": tmp_path / "known_hosts"})
    with pytest.raises(SftpError, match="unknown"):
        pending_files(settings, "telephony_call", source)
    assert [file.name for file in pending_files(warehouse, "telephony_call", source)] == [NAME]
