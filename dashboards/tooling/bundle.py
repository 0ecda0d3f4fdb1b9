"""From the asset files to the bundle that Superset imports.

The files say what is particular to us. The bundle adds the defaults of `defaults.yaml`, the address of this instance's
database, a rule against counting twice, the filter values that a chart's dashboard starts with, and the query of each
chart. Superset is not needed for any of it.

Counting twice. The marts hold every grain in one table, and `ALL` beside the lines, so that a plain sum can count one
call many times. A dataset therefore states a condition, `figures_only_when`, that holds when the rows at hand are of
one kind, and each of its metrics gives nothing when it does not. Its measure columns are not offered at all, so that
the menus have no other way to a figure. Only a dataset with one row for each contact states none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import URL

from infra.settings import CHECKOUT

ASSETS = CHECKOUT / "dashboards" / "assets"
MASK = "X" * 10
"""What Superset takes for "the password is given apart from the address"."""

Assets = dict[str, dict[str, Any]]
"""Parsed asset files by their path below `assets`, such as `charts/call_types.yaml`."""


class AssetError(ValueError):
    """An asset file is not what it should be; the message names the file and the key."""


def read_assets(folder: Path = ASSETS) -> Assets:
    """Read every asset file, as written.

    Raises:
        AssetError: A file is not a YAML mapping, or there is none.
    """
    assets: Assets = {}
    for path in sorted(folder.glob("*/**/*.yaml")):
        name = path.relative_to(folder).as_posix()
        try:
            asset = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise AssetError(f"{name} is not YAML: {error}") from error
        if not isinstance(asset, dict):
            raise AssetError(f"{name} must be a mapping of keys to values.")
        assets[name] = asset
    if not assets:
        raise AssetError(f"There are no assets in {folder}.")
    return assets


def kind(name: str) -> str:
    """The kind of an asset (`databases`, `datasets`, `charts` or `dashboards`), from its path."""
    return name.split("/", maxsplit=1)[0]


def build_bundle(warehouse: URL, folder: Path = ASSETS) -> dict[str, str]:
    """Build what `ImportAssetsCommand` takes: YAML text by path. It holds no password.

    Args:
        warehouse: Address of the warehouse for the dashboards' own role; its password is not used.
        folder: Folder of the asset files.

    Raises:
        AssetError: A file lacks a key that it must have; the message names both.
    """
    assets = read_assets(folder)
    defaults = yaml.safe_load((folder / "defaults.yaml").read_text(encoding="utf-8"))
    starting_values = _starting_values(assets)
    bundle: Assets = {}
    for name, asset in assets.items():
        try:
            match kind(name):
                case "databases":
                    complete = asset | {"sqlalchemy_uri": _address(warehouse)}
                case "datasets":
                    complete = _complete_dataset(asset, warehouse, defaults)
                case "charts":
                    complete = _complete_chart(asset, starting_values.get(asset["uuid"], {}))
                case _:
                    complete = asset
        except KeyError as error:
            raise AssetError(f"{name} lacks the key {error}, or a part of it does.") from error
        bundle[name] = defaults[kind(name)] | complete
    bundle["metadata.yaml"] = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    return {
        name: yaml.safe_dump(asset, sort_keys=False, allow_unicode=True) for name, asset in bundle.items()
    }


def _address(warehouse: URL) -> str:
    return warehouse.set(drivername="postgresql+psycopg2", password=MASK).render_as_string(
        hide_password=False
    )


def _complete_dataset(asset: dict[str, Any], warehouse: URL, defaults: dict[str, Any]) -> dict[str, Any]:
    """Add the catalog, without which schema permissions do not match, and guard each metric against counting twice."""
    condition = asset.get("figures_only_when")
    metrics = [defaults["metrics"] | metric for metric in asset["metrics"]]
    if condition:
        for metric in metrics:
            metric["expression"] = f"CASE WHEN {condition} THEN {metric['expression']} END"
    columns = [defaults["columns"] | column for column in asset["columns"]]
    complete = asset | {"catalog": warehouse.database, "columns": columns, "metrics": metrics}
    complete.pop("figures_only_when", None)
    return complete


def _complete_chart(asset: dict[str, Any], starting_values: dict[str, Any]) -> dict[str, Any]:
    """Add the filter values that the dashboard starts with, so that the chart alone shows what it shows there."""
    from dashboards.tooling.query_context import query_context

    params = asset["params"] | {"extra_form_data": starting_values}
    return asset | {"params": params, "query_context": json.dumps(query_context(params))}


def _starting_values(assets: Assets) -> dict[str, dict[str, Any]]:
    """For each chart, by uuid: the values of the filters that apply to it when its dashboard is opened."""
    values: dict[str, dict[str, Any]] = {}
    for name, dashboard in assets.items():
        if kind(name) != "dashboards":
            continue
        nodes = [node for node in dashboard["position"].values() if isinstance(node, dict)]
        places = [node["meta"] for node in nodes if node["type"] == "CHART"]
        for place in places:
            for one in dashboard["metadata"]["native_filter_configuration"]:
                if place["chartId"] in one["scope"]["excluded"]:
                    continue
                started = values.setdefault(place["uuid"], {})
                for key, value in one["defaultDataMask"]["extraFormData"].items():
                    started[key] = started.get(key, []) + value if isinstance(value, list) else value
    return values
