"""Bring Superset's own database up to date and set the administrator's password, in one process instead of three.

Runs under `.venv-superset` with the variables of `infra.superset.environment`, and imports nothing of ours. May run any
number of times.
"""

import os
from pathlib import Path

import flask_migrate
import superset
from superset.app import create_app

app = create_app()
with app.app_context():
    flask_migrate.upgrade(directory=str(Path(superset.__file__).parent / "migrations"))

with app.app_context():  # a fresh one: the first was made before there were tables
    from superset import appbuilder, db, security_manager

    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    password = os.environ["CONTACTBI_SUPERSET_PASSWORD"]
    administrator = security_manager.find_user("admin")
    if administrator is None:
        security_manager.add_user(
            "admin",
            first_name="Superset",
            last_name="administrator",
            email="admin@localhost",
            role=security_manager.find_role("Admin"),
            password=password,
        )
    else:
        security_manager.reset_password(administrator.id, password)
    db.session.commit()
