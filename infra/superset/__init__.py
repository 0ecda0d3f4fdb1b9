"""How Superset is run from our side: its environment, and its first-time preparation.

Superset lives in an environment of its own (`.venv-superset`), so nothing here imports it: programs are started there
with the variables that `environment` makes. What Superset shows is the business of `dashboards`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from infra.postgres.databases import metadata_url
from infra.settings import CHECKOUT, Settings

PROGRAMS = CHECKOUT / ".venv-superset" / "bin"
_CONFIG = Path(__file__).parent / "superset_config.py"
_PREPARE_SCRIPT = CHECKOUT / "dashboards" / "tooling" / "inside_superset" / "prepare.py"
_LOCK_FILE = CHECKOUT / "requirements" / "superset.txt"


class SupersetPreparationError(RuntimeError):
    """Superset's own database could not be brought up to date."""


def environment(settings: Settings) -> dict[str, str]:
    """Variables for a program of `.venv-superset`: those that `superset_config.py` reads, and a few more.

    The time zone is London's, so that "today" and "last 28 days" in a filter are UK days.

    Returns:
        What to add to the environment. It holds secrets: do not log it.
    """
    metadata = metadata_url(settings, "superset").set(drivername="postgresql+psycopg2")
    return {
        "FLASK_APP": "superset.app:create_app",
        "SUPERSET_CONFIG_PATH": str(_CONFIG),
        "SUPERSET_HOME": str(settings.home / "superset"),
        "CONTACTBI_SUPERSET_METADATA_URL": metadata.render_as_string(hide_password=False),
        "CONTACTBI_SUPERSET_SECRET_KEY": settings.superset_secret_key.get_secret_value(),
        "CONTACTBI_SUPERSET_PASSWORD": settings.superset_password.get_secret_value(),
        "SCARF_ANALYTICS": "false",
        "TZ": "Europe/London",
    }


def prepare(settings: Settings) -> bool:
    """Bring Superset's database up to date, and give `admin` the password of the settings.

    What was done is noted on that database itself, so that a later start costs nothing, and a database that was
    replaced is prepared again. Of two that prepare at one instant, the second waits.

    Returns:
        Whether there was anything to do.

    Raises:
        SupersetPreparationError: Preparation failed; the message holds the end of what Superset said.
        infra.postgres.PostgresNotRunningError: No address is set and the embedded server was never started.
    """
    (settings.home / "superset").mkdir(parents=True, exist_ok=True)
    mark = f"Prepared by {_fingerprint(settings)}"
    address = metadata_url(settings, "superset").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as metadata:
        metadata.execute("select pg_advisory_lock(hashtext('contactbi: prepare superset'))")
        found = metadata.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        ).fetchone()
        if found == (mark,):
            return False
        outcome = subprocess.run(
            [PROGRAMS / "python", _PREPARE_SCRIPT],
            env=os.environ | environment(settings),
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            raise SupersetPreparationError(
                f"Superset could not prepare its database:\n{outcome.stderr[-2000:]}"
            )
        database = sql.Identifier(metadata.info.dbname)
        metadata.execute(sql.SQL("comment on database {} is {}").format(database, sql.Literal(mark)))
    return True


def _fingerprint(settings: Settings) -> str:
    """Changes whenever preparation would do something else: other packages, another script, another password."""
    password = settings.superset_password.get_secret_value().encode()
    parts = [_LOCK_FILE.read_bytes(), _PREPARE_SCRIPT.read_bytes(), password]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
