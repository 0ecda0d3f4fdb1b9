"""Make Superset hold exactly the assets and the access of this checkout.

Superset need not be serving: the import runs inside its own environment, against its metadata database, in one
transaction. Doing it again changes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dashboards.tooling.bundle import ASSETS, build_bundle, kind
from infra import superset
from infra.postgres.databases import bi_url
from infra.settings import CHECKOUT, Settings

ACCESS = CHECKOUT / "dashboards" / "access" / "roles.yaml"
_IMPORT_SCRIPT = Path(__file__).parent / "inside_superset" / "import_assets.py"


class DashboardImportError(RuntimeError):
    """Superset did not take the assets, or cannot read the warehouse with them; the message says why."""


@dataclass(frozen=True)
class DeployResult:
    """What an import did.

    Attributes:
        imported: Number of assets by kind.
        removed: Names of assets that an earlier import made and that are no longer in the checkout.
        roles: Names of the roles that were set.
        connection: What the warehouse said to the dashboards' own connection: user, time zone, read only.
        seconds: How long it took.
    """

    imported: dict[str, int]
    removed: list[str]
    roles: list[str]
    connection: dict[str, str]
    seconds: float

    def as_text(self) -> str:
        """The result in a few lines, for people."""
        counts = ", ".join(f"{number} {name}" for name, number in self.imported.items())
        lines = [f"Imported {counts} in {self.seconds:.1f} s. Roles: {', '.join(self.roles)}."]
        if self.removed:
            lines.append(f"Removed, no longer in this checkout: {', '.join(self.removed)}.")
        about = self.connection
        lines.append(
            f"The warehouse is read as {about['user']}, in time zone {about['timezone']}, "
            f"read only: {about['read_only']}."
        )
        return "\n".join(lines)


def deploy(settings: Settings, assets: Path = ASSETS) -> DeployResult:
    """Import the assets, set the roles, remove what is no longer ours, and try the connection to the warehouse.

    Args:
        settings: The instance.
        assets: Folder of the asset files.

    Raises:
        DashboardImportError: Superset refused an asset, or the connection to the warehouse does not work.
        dashboards.tooling.bundle.AssetError: An asset file is not what it should be.
        infra.superset.SupersetPreparationError: Superset's own database could not be prepared.
    """
    started = time.monotonic()
    superset.prepare(settings)
    bundle = build_bundle(bi_url(settings), assets)
    order: dict[str, Any] = {
        "contents": bundle,
        "passwords": {
            name: settings.bi_password.get_secret_value() for name in bundle if kind(name) == "databases"
        },
        "access": yaml.safe_load(ACCESS.read_text(encoding="utf-8")),
    }
    answer = _run_inside(settings, order)
    imported = [kind(name) for name in bundle if name != "metadata.yaml"]
    return DeployResult(
        imported={name: imported.count(name) for name in ("databases", "datasets", "charts", "dashboards")},
        removed=answer["removed"],
        roles=answer["roles"],
        connection=answer["connection"],
        seconds=time.monotonic() - started,
    )


def _run_inside(settings: Settings, order: dict[str, Any]) -> dict[str, Any]:
    """Give the order to the script that runs in Superset's environment. Passwords go by standard input alone."""
    outcome = subprocess.run(
        [superset.PROGRAMS / "python", _IMPORT_SCRIPT],
        input=json.dumps(order),
        env=os.environ | superset.environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode != 0:
        reason = outcome.stdout.strip() or outcome.stderr[-2000:]
        raise DashboardImportError(f"The dashboards were not imported. {reason}")
    answer: dict[str, Any] = json.loads(outcome.stdout)
    return answer
