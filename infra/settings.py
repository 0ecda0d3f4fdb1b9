"""Every setting of the product, in one typed place.

A setting is read from, in this order: an environment variable `CONTACTBI_<NAME>`, a `.env` file in the working folder,
the generated `secrets.env` of this instance, and the default below. Nothing else in the product reads the environment.

Everything that the product keeps on disk lies under `home`, so that two instances can stand side by side.
"""

from __future__ import annotations

import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
"""The folder that holds this checkout: dbt project, DAGs and dashboards are read from here."""

UK_REGIONS = ("eu-west-2",)

GENERATED_SECRETS = (
    "caller_hash_key",
    "postgres_password",
    "bi_password",
    "crm_password",
    "airflow_password",
    "airflow_secret_key",
    "superset_password",
    "superset_secret_key",
    "s3_access_key",
    "s3_secret_key",
)
"""Secrets that are made at the first start and kept in `secrets.env` (mode 0600), never in the repository."""


class Settings(BaseSettings):
    """The settings of one instance. Build it with `load_settings()`, which also reads the instance's secrets.

    Sizes are in bytes, durations in seconds, and shares between 0 and 1 unless a name says otherwise.
    """

    model_config = SettingsConfigDict(env_prefix="CONTACTBI_", extra="ignore", frozen=True)

    home: Path = Field(
        default=CHECKOUT / ".contactbi", description="Folder of everything this instance keeps."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: SecretStr | None = Field(
        default=None, description="postgresql:// address of the warehouse. Empty: the embedded PostgreSQL 18."
    )
    sftp_url: str | None = Field(
        default=None,
        description="sftp://user@host:port/folder that inbound files arrive in. Empty: the embedded server.",
    )
    sftp_known_hosts: Path | None = Field(
        default=None, description="Pinned host keys. Empty: the embedded server's."
    )
    sftp_private_key: Path | None = Field(
        default=None, description="Key that we log in with. Empty: a generated one."
    )
    s3_endpoint_url: str | None = Field(
        default=None,
        description="S3 endpoint. Empty: the embedded one; `aws` means Amazon's own in `region`.",
    )
    s3_bucket: str = Field(default="contactbi-feeds", description="Bucket that feeds are published to.")
    region: str = Field(
        default="eu-west-2", description="Every bucket and endpoint is in the United Kingdom (ACC002)."
    )

    parse_threads: int = Field(
        default=2,
        ge=1,
        le=16,
        description="Threads that parse one file side by side, beside the one that writes.",
    )
    max_bad_row_share: float = Field(
        default=0.05, ge=0, le=1, description="More bad rows than this quarantine the file."
    )
    max_extract_change: float = Field(
        default=0.3, gt=0, description="A full extract is held when its rows differ by more than this share."
    )
    polls_before_quarantine: int = Field(
        default=3, ge=1, description="Polls that a damaged file is given to become whole."
    )
    short_abandon_seconds: float = Field(
        default=5, ge=0, description="An abandon within this wait counts as short."
    )

    caller_hash_key: SecretStr = SecretStr("")
    postgres_password: SecretStr = SecretStr("")
    bi_password: SecretStr = SecretStr("")
    crm_password: SecretStr = SecretStr("")
    airflow_password: SecretStr = SecretStr("")
    airflow_secret_key: SecretStr = SecretStr("")
    superset_password: SecretStr = SecretStr("")
    superset_secret_key: SecretStr = SecretStr("")
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("region")
    @classmethod
    def _in_the_uk(cls, value: str) -> str:
        if value not in UK_REGIONS:
            raise ValueError(
                f"region {value!r} is outside the United Kingdom. Requirement ACC002 keeps all data in the UK: "
                f"set CONTACTBI_REGION to one of {', '.join(UK_REGIONS)}."
            )
        return value

    @cached_property
    def logs(self) -> Path:
        """Folder of service logs."""
        return self.home / "logs"

    @cached_property
    def run(self) -> Path:
        """Folder of process ids and chosen ports."""
        return self.home / "run"

    @cached_property
    def spool(self) -> Path:
        """Folder that files are downloaded to before they are parsed."""
        return self.home / "spool"


def load_settings() -> Settings:
    """Read the settings of this instance, and make its secrets if this is its first start.

    Returns:
        The settings. `home` exists afterwards.

    Raises:
        pydantic.ValidationError: A value is not allowed; the message names the setting and the reason.
    """
    home = Settings(_env_file=".env").home
    secrets_file = home / "secrets.env"
    _generate_secrets(home, secrets_file)
    return Settings(_env_file=(secrets_file, ".env"))


def _generate_secrets(home: Path, secrets_file: Path) -> None:
    """Write the generated secrets, once, readable by the owner alone. Two first starts at one instant agree."""
    if secrets_file.exists():
        _add_missing_secrets(secrets_file)
        return
    home.mkdir(parents=True, exist_ok=True)
    lines = [f"CONTACTBI_{name.upper()}={secrets.token_hex(32)}\n" for name in GENERATED_SECRETS]
    draft = home / f".secrets.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text("".join(lines), encoding="ascii")
    try:
        os.link(draft, secrets_file)  # fails if another process was first: its secrets stand
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _add_missing_secrets(secrets_file: Path) -> None:
    """Add the secrets that a later version of the product needs; those that are there stay."""
    there = secrets_file.read_text(encoding="ascii")
    missing = [name for name in GENERATED_SECRETS if f"CONTACTBI_{name.upper()}=" not in there]
    if missing:
        with secrets_file.open("a", encoding="ascii") as file:
            file.write("".join(f"CONTACTBI_{name.upper()}={secrets.token_hex(32)}\n" for name in missing))
