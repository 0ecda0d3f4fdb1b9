"""The embedded Airflow 3: API server, scheduler, DAG processor and triggerer, with their state in PostgreSQL.

The scheduler runs the tasks itself (LocalExecutor). How Airflow is configured is in infra/airflow; this
module starts it and says whether it is well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psycopg
from psycopg import sql

from infra.airflow.config import ADMIN, POOLS, environment, write_password_file
from infra.local.supervisor import LOOPBACK, Process, Report, Service, ServiceError, settings_environment
from infra.postgres.databases import metadata_url

AIRFLOW = Path(sys.executable).with_name("airflow")
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")

_REQUEST_SECONDS = 10


class AirflowService(Service):
    """Airflow, for the DAGs of this checkout."""

    name = "airflow"
    depends_on = ("postgres",)
    start_timeout = 180  # 15 s on two idle cores

    def prepare(self, port: int) -> None:
        """Write the password file, and bring Airflow's tables to the installed version."""
        write_password_file(self.settings)
        address = metadata_url(self.settings, "airflow").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True, connect_timeout=_REQUEST_SECONDS) as database:
            self._migrate(port, database)
            # None of our components runs now. After a kill, Airflow would take their last heartbeats for life
            # for half a minute, and leave tasks and triggers with them.
            database.execute("update job set state = 'failed', end_date = now() where state = 'running'")

    def processes(self, port: int) -> list[Process]:
        """One process for each component; the tasks are children of the scheduler."""
        variables = environment(self.settings, port)
        # The log servers of scheduler and triggerer listen on every address, and nobody here needs them.
        commands = {
            "api-server": [],
            "scheduler": ["--skip-serve-logs"],
            "triggerer": ["--skip-serve-logs"],
            "dag-processor": [],
        }
        return [
            Process(f"airflow-{component}", [str(AIRFLOW), component, *options], variables)
            for component, options in commands.items()
        ]

    def check(self, port: int) -> None:
        """Ask whether tasks can reach the API server, and for the heartbeats of all components."""
        # The first question takes it 5 s of work, which the first task would not have the patience for.
        self._request(port, "GET", "/execution/health")
        health = self._request(port, "GET", "/api/v2/monitor/health")
        unwell = [component for component in COMPONENTS if health[component]["status"] != "healthy"]
        if unwell:
            raise ServiceError(f"Airflow has no recent heartbeat of: {', '.join(unwell)}.")

    def after_start(self, port: int, report: Report) -> None:
        """Make the pools that the DAGs use, with as many slots as the code says."""
        pools = [
            {"name": name, "slots": slots, "description": reason, "include_deferred": False}
            for name, (slots, reason) in POOLS.items()
        ]
        change = {"action": "create", "entities": pools, "action_on_existence": "overwrite"}
        self.call_api(port, "PATCH", "/api/v2/pools", {"actions": [change]})

    def address(self, port: int) -> str:
        """Where people log in."""
        return f"http://{LOOPBACK}:{port}"

    def call_api(
        self, port: int, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Call Airflow's API, logged in as `admin`.

        Args:
            port: Port of the API server.
            method: HTTP method.
            path: Path with its query, such as `/api/v2/dags`.
            body: Object to send.

        Returns:
            The object that came back.

        Raises:
            urllib.error.HTTPError: The API refused.
        """
        password = self.settings.airflow_password.get_secret_value()
        login = self._request(port, "POST", "/auth/token", {"username": ADMIN, "password": password})
        return self._request(port, method, path, body, login["access_token"])

    def _request(
        self, port: int, method: str, path: str, body: dict[str, Any] | None = None, token: str = ""
    ) -> dict[str, Any]:
        request = Request(  # noqa: S310  # always http and the loopback
            f"{self.address(port)}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        with urlopen(request, timeout=_REQUEST_SECONDS) as answer:  # noqa: S310
            result: dict[str, Any] = json.load(answer)
        return result

    def _migrate(self, port: int, database: psycopg.Connection) -> None:
        """Make or change Airflow's tables. It takes 5 s, so not again for a version that has been here."""
        mark = f"Tables of apache-airflow {version('apache-airflow')}"
        found = database.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
        ).fetchone()
        if found == (mark,):
            return
        done = subprocess.run(
            [AIRFLOW, "db", "migrate"],
            env={**os.environ, **settings_environment(self.settings), **environment(self.settings, port)},
            cwd=self.settings.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServiceError(f"Airflow's tables could not be made:\n{(done.stdout + done.stderr)[-2000:]}")
        name = sql.Identifier(database.info.dbname)
        database.execute(sql.SQL("comment on database {} is {}").format(name, sql.Literal(mark)))
