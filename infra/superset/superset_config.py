"""Superset's configuration.

Superset reads it by `SUPERSET_CONFIG_PATH`, in an environment of its own, so nothing of ours is imported. Every value
that differs between instances comes from the variables that `infra.superset.environment` makes; all else is decided
here. Nothing outside this machine is ever asked for: no fonts, map tiles, telemetry or example data.
"""

import os
from datetime import timedelta

from flask import request
from flask_login import current_user

SECRET_KEY = os.environ["CONTACTBI_SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["CONTACTBI_SUPERSET_METADATA_URL"]
SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": 5, "max_overflow": 10, "pool_pre_ping": True}

APP_NAME = "HM Passport Office contact centre"
BABEL_DEFAULT_LOCALE = "en"

FEATURE_FLAGS = {
    "DASHBOARD_RBAC": True,  # a dashboard is open to the roles it names, and to no other
    "ESCAPE_MARKDOWN_HTML": True,
    "CSS_TEMPLATES": False,
    "EMBEDDED_SUPERSET": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "SSH_TUNNELING": False,
    "THUMBNAILS": False,
}

# --- Data: an analyst waits at most 30 seconds, and never sees a figure that a build has since replaced.
SQL_MAX_ROW = 50_000
ROW_LIMIT = 50_000
DEFAULT_SQLLAB_LIMIT = 1_000
SQLLAB_TIMEOUT = 30
SUPERSET_WEBSERVER_TIMEOUT = 60
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
ALLOW_ADHOC_SUBQUERY = False
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []

# --- Security
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
PERMANENT_SESSION_LIFETIME = timedelta(hours=8)
WTF_CSRF_ENABLED = True
ENABLE_CORS = False
FAB_API_SWAGGER_UI = False
# User management over REST, for administrators: it is how accounts are given the roles of dashboards/access.
FAB_ADD_SECURITY_API = True
RATELIMIT_STORAGE_URI = "memory://"
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'", "data:"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "frame_options": "DENY",
    "force_https": False,  # served on loopback; where TLS ends at a proxy, the proxy redirects
    "session_cookie_secure": False,
}

# --- Looks: near GOV.UK's colours, contrast and focus. Its typeface, Transport, is licensed to service.gov.uk alone and
# not shipped.
_INK = "#0b0c0c"
_SECONDARY_INK = "#505a5f"
_LOGO = (
    "data:image/svg+xml;utf8,%3Csvg xmlns='http://www.w3.org/2000/svg' width='310' height='24'%3E"
    "%3Ctext x='0' y='18' font-family='Arial' font-weight='700' font-size='16' fill='%230b0c0c'%3E"
    "HM Passport Office contact centre%3C/text%3E%3C/svg%3E"
)
THEME_DEFAULT = {
    "algorithm": "default",
    "token": {
        "brandAppName": APP_NAME,
        "brandLogoAlt": APP_NAME,
        "brandLogoHref": "/",
        "brandLogoHeight": "24px",
        "brandLogoMargin": "18px 0",
        "brandLogoUrl": _LOGO,
        "colorPrimary": "#1d70b8",
        "colorInfo": "#1d70b8",
        "colorLink": "#1a65a6",
        "colorLinkHover": "#003078",
        "colorError": "#d4351c",
        "colorWarning": "#b55a00",
        "colorSuccess": "#00703c",
        "colorSuccessBg": "#ffffff",
        "colorSuccessBorder": "#00703c",
        "colorText": _INK,
        "colorTextBase": _INK,
        "colorTextSecondary": _SECONDARY_INK,
        "colorTextTertiary": _SECONDARY_INK,
        "colorTextPlaceholder": _SECONDARY_INK,
        "colorTextDescription": _SECONDARY_INK,
        "colorBorder": _SECONDARY_INK,
        "colorBgBase": "#ffffff",
        "colorBgLayout": "#f3f2f1",
        "controlOutline": "#ffdd00",
        "controlOutlineWidth": 3,
        "borderRadius": 0,
        "fontFamily": "'GDS Transport', arial, sans-serif",
        "fontSize": 16,
        "fontUrls": [],
        "motion": False,
        # Each chart gets a summary in words, for screen readers.
        "echartsOptionsOverrides": {"aria": {"enabled": True}},
        # Without the "All" and "Inv" buttons in the legend, which are too small to read or to hit.
        "echartsOptionsOverridesByChartType": {
            "echarts_timeseries_line": {"legend": {"selector": False}},
            "echarts_timeseries_bar": {"legend": {"selector": False}},
        },
    },
}
THEME_DARK = None
ENABLE_UI_THEME_ADMINISTRATION = False

EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "govuk",
        "label": "GOV.UK accessible",
        "description": "The categorical palette of the Government Analysis Function, distinct to colour-blind readers.",
        "isDefault": True,
        "colors": ["#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1"],
    }
]


def FLASK_APP_MUTATOR(app):  # noqa: ANN001, ANN201, D103, N802  # Superset names it, and calls it once
    @app.before_request
    def hear_no_log_of_the_login_page():  # noqa: ANN202
        # The login page logs what it does a moment later. Superset 6.1 refuses that with a new anonymous session, which
        # replaces the one of who has logged in meanwhile: they are logged out at once.
        if request.path == "/superset/log/" and not current_user.is_authenticated:
            return "", 204
        return None

    @app.after_request
    def name_the_language(response):  # noqa: ANN001, ANN202
        # Superset 6.1 writes <html> without lang, so that a screen reader must guess how to pronounce the page.
        if response.mimetype == "text/html" and not response.direct_passthrough:
            response.set_data(response.get_data().replace(b"<html>", b'<html lang="en-GB">', 1))
        return response
