"""Airflow's configuration, as the environment that each of its processes starts with.

Tuned for a small machine: one API worker, one parsing process, few task slots. It must not hold a secret of
its own: each is derived from `settings.airflow_secret_key`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

from infra.postgres.databases import metadata_url
from infra.settings import CHECKOUT, Settings

ADMIN = "admin"
PARALLEL_TASKS = 4

POOLS = {
    "inbound_files": (2, "Files loaded at one time: one for each core of a small machine."),
    "full_extracts": (
        1,
        "Full extracts one at a time and in order, beside the small files: one takes a minute.",
    ),
    "warehouse_build": (1, "Gates, builds and publications one at a time: each reads what the last wrote."),
}
"""Pools that the DAGs use: number of slots, and why so many."""


def home(settings: Settings) -> Path:
    """Folder that Airflow keeps its logs and password file in."""
    return settings.home / "airflow"


def write_password_file(settings: Settings) -> None:
    """Write the log-in of `admin` to the file that Airflow checks, readable by the owner alone."""
    path = _password_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)  # also if an earlier start left it otherwise
    path.write_text(json.dumps({ADMIN: settings.airflow_password.get_secret_value()}), encoding="ascii")


def environment(settings: Settings, port: int) -> dict[str, str]:
    """Variables for every Airflow process of this instance.

    Args:
        settings: The instance.
        port: Loopback port of the API server.

    Returns:
        What to add to the environment. It holds secrets: do not log it.

    Raises:
        PostgresNotRunningError: No address is set and the embedded server was never started.
    """
    folder = home(settings)
    address = f"http://127.0.0.1:{port}"
    metadata = metadata_url(settings, "airflow").set(drivername="postgresql+psycopg")
    database = metadata.render_as_string(hide_password=False)
    options: dict[str, dict[str, object]] = {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": PARALLEL_TASKS,
            "max_active_tasks_per_dag": PARALLEL_TASKS,
            "dags_folder": CHECKOUT / "dags",
            "plugins_folder": folder / "plugins",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "min_serialized_dag_update_interval": 5,
            "execution_api_server_url": f"{address}/execution/",
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": f"{ADMIN}:admin",
            "simple_auth_manager_passwords_file": _password_file(settings),
            "fernet_key": base64.urlsafe_b64encode(_secret(settings, "fernet")).decode(),
        },
        "database": {
            "sql_alchemy_conn": database,
            "sql_alchemy_conn_async": database,  # psycopg speaks both: no second driver
        },
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": address,
            "workers": 1,
            "secret_key": _secret(settings, "api").hex(),
        },
        "api_auth": {"jwt_secret": _secret(settings, "jwt").hex()},
        "dag_processor": {
            "parsing_processes": 1,
            "refresh_interval": 5,  # a new or changed DAG file is seen within seconds,
            "min_file_process_interval": 300,  # and one that has not changed is left alone
            "print_stats_interval": 300,
        },
        "scheduler": {
            "scheduler_idle_sleep_time": 0.5,
            "enable_health_check": False,  # health is read through the API server: no further port
        },
        "logging": {
            "base_log_folder": folder / "logs",
            "dag_processor_child_process_log_directory": folder / "logs" / "dag_processor",
            "logging_level": settings.log_level,
            "colored_console_log": False,
        },
    }
    return {
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": str(CHECKOUT),  # DAGs and triggers are imported as dags.…
        **{
            f"AIRFLOW__{section.upper()}__{option.upper()}": str(value)
            for section, values in options.items()
            for option, value in values.items()
        },
    }


def _password_file(settings: Settings) -> Path:
    return home(settings) / "passwords.json"


def _secret(settings: Settings, purpose: str) -> bytes:
    """32 bytes for one purpose, so that whoever learns one secret does not know the others."""
    key = settings.airflow_secret_key.get_secret_value().encode()
    return hmac.digest(key, purpose.encode(), hashlib.sha256)
