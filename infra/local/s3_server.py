"""The embedded S3 store: moto's server with a memory on disk, for demonstrations and tests.

It is no production store. The program itself is `serve_s3`.
"""

from __future__ import annotations

import sys

from infra.local.supervisor import LOOPBACK, Process, Service
from infra.s3 import check_bucket


class S3Service(Service):
    """An S3 endpoint with the bucket of the settings; or another store that the settings name."""

    name = "s3"

    @property
    def external_address(self) -> str | None:
        """The address in CONTACTBI_S3_ENDPOINT_URL."""
        return self.settings.s3_endpoint_url

    def prepare(self, port: int) -> None:
        """Make the folder of the objects."""
        (self.settings.home / "s3").mkdir(mode=0o700, parents=True, exist_ok=True)

    def processes(self, port: int) -> list[Process]:
        """The one server program."""
        return [Process("s3", [sys.executable, "-P", "-m", "infra.local.serve_s3", str(port)])]

    def check(self, port: int) -> None:
        """Look the bucket up."""
        check_bucket(self.settings)

    def address(self, port: int) -> str:
        """The endpoint."""
        return f"http://{LOOPBACK}:{port}"
