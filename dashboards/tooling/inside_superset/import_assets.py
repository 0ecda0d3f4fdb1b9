"""Import a bundle, remove what we no longer have, set roles exactly, and try the connection to the warehouse.

Runs under `.venv-superset` and imports nothing of ours. The order comes as JSON on standard input: `contents` (YAML
text by path), `passwords` (by path of a database file) and `access`. The answer goes as JSON to standard output, or
the reason of a failure as text with exit code 1; Superset's own chatter goes to standard error.
"""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import yaml
from flask_appbuilder.security.sqla.models import PermissionView
from sqlalchemy import text

answer_to, sys.stdout = sys.stdout, sys.stderr  # before Superset is imported, for it prints

from superset.app import create_app  # noqa: E402

app = create_app()
app.app_context().push()

from superset import db, security_manager  # noqa: E402
from superset.commands.importers.v1.assets import ImportAssetsCommand  # noqa: E402
from superset.connectors.sqla.models import SqlaTable  # noqa: E402
from superset.models.core import Database  # noqa: E402
from superset.models.dashboard import Dashboard  # noqa: E402
from superset.models.slice import Slice  # noqa: E402
from superset.utils.core import override_user  # noqa: E402

# In the order in which they may be deleted: what refers before what is referred to.
MODELS = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable, "databases": Database}


def fail(reason: str) -> NoReturn:
    """End with the reason as the answer."""
    answer_to.write(reason + "\n")
    answer_to.flush()
    raise SystemExit(1)


def import_bundle(contents: dict[str, str], passwords: dict[str, str]) -> None:
    """Import everything in one transaction, owned by the administrator."""
    with override_user(security_manager.find_user("admin")):
        try:
            ImportAssetsCommand(dict(contents), passwords=passwords).run()
        except Exception as error:
            cause = error.__cause__ or error
            messages = cause.normalized_messages() if hasattr(cause, "normalized_messages") else repr(cause)
            fail(f"Superset refused the bundle: {messages}")


def remove_orphans(contents: dict[str, str]) -> list[str]:
    """Delete what an earlier import made and this bundle lacks; what people made by hand is not touched."""
    ours = {yaml.safe_load(asset).get("uuid") for asset in contents.values()}
    removed = []
    for model in MODELS.values():
        for item in db.session.query(model).filter(model.is_managed_externally.is_(True)):
            if str(item.uuid) not in ours:
                removed.append(str(item))
                db.session.delete(item)
        db.session.flush()
    return removed


def set_roles(access: dict[str, Any]) -> list[str]:
    """Give each role exactly its permissions, and each dashboard exactly its roles."""
    groups = {name: [tuple(pair) for pair in pairs] for name, pairs in access["permissions"].items()}
    for name, rules in access["roles"].items():
        role = security_manager.add_role(name)
        wanted = {pair for group in rules["may"] for pair in groups[group]}
        permissions = [_permission(*pair) for pair in sorted(wanted)]
        role.permissions = permissions + [_schema_permission(**place) for place in rules["reads"]]
    for slug, names in access["dashboards"].items():
        dashboard = db.session.query(Dashboard).filter_by(slug=slug).one()
        dashboard.roles = [security_manager.find_role(name) for name in names]
    return list(access["roles"])


def _permission(action: str, subject: str) -> PermissionView:
    found = security_manager.find_permission_view_menu(action, subject)
    if found is None:
        fail(f"Superset has no permission {action!r} on {subject!r}: correct dashboards/access/roles.yaml.")
    return found


def _schema_permission(database: str, schema: str) -> PermissionView:
    catalog = db.session.query(Database).filter_by(database_name=database).one().get_default_catalog()
    return security_manager.add_permission_view_menu(
        "schema_access", security_manager.get_schema_perm(database, catalog, schema)
    )


def try_connection(contents: dict[str, str]) -> dict[str, str]:
    """Ask the warehouse who we are to it. An import succeeds with a wrong password; only charts would fail."""
    (ours,) = [yaml.safe_load(asset) for path, asset in contents.items() if path.startswith("databases/")]
    database = db.session.query(Database).filter_by(uuid=ours["uuid"]).one()
    question = (
        "select current_user::text as user, current_setting('timezone') as timezone, "
        "current_setting('default_transaction_read_only') as read_only"
    )
    try:
        with database.get_sqla_engine() as engine, engine.connect() as connection:
            return dict(connection.execute(text(question)).mappings().one())
    except Exception as error:
        fail(f"The assets are imported, but the warehouse cannot be read: {error.__cause__ or error}")


order = json.load(sys.stdin)
import_bundle(order["contents"], order["passwords"])
answer = {"removed": remove_orphans(order["contents"]), "roles": set_roles(order["access"])}
db.session.commit()
answer["connection"] = try_connection(order["contents"])
json.dump(answer, answer_to)
answer_to.flush()
