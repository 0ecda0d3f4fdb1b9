"""The S3 store that feeds are published to: its address, kept to the United Kingdom, for boto3 and deltalake.

Contract requirement ACC002 keeps all data in the UK. So an endpoint is this machine or Amazon's in eu-west-2,
or it is refused before anything is sent. This module reads and writes no feed.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.embedded import embedded_port
from infra.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Error(RuntimeError):
    """The store can not be used; the message says why and what to do."""


@dataclass(frozen=True)
class S3Endpoint:
    """An endpoint that we may use. On this machine the keys are those of the settings, else those of AWS."""

    url: str
    is_loopback: bool


def s3_endpoint(settings: Settings) -> S3Endpoint:
    """The endpoint of the settings, or of the embedded server.

    Raises:
        S3Error: It is outside the United Kingdom, or would send data in the clear.
        NotRunningError: No endpoint is set and the embedded server is not up.
    """
    if settings.s3_endpoint_url is None:
        return S3Endpoint(f"http://127.0.0.1:{embedded_port(settings, 's3')}", is_loopback=True)
    if settings.s3_endpoint_url == "aws":
        return S3Endpoint(f"https://s3.{settings.region}.amazonaws.com", is_loopback=False)
    parts = urlsplit(settings.s3_endpoint_url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise S3Error(
            f"CONTACTBI_S3_ENDPOINT_URL is not `aws` or an http address: {settings.s3_endpoint_url!r}."
        )
    if _is_loopback(host):
        return S3Endpoint(settings.s3_endpoint_url, is_loopback=True)
    # The second form is a private endpoint within Amazon's network (VPC).
    if not host.endswith((f".{settings.region}.amazonaws.com", f".{settings.region}.vpce.amazonaws.com")):
        raise S3Error(
            f"S3 endpoint {host} is not known to be in the United Kingdom. Contract requirement ACC002 keeps "
            "all data in the UK: set CONTACTBI_S3_ENDPOINT_URL to `aws`, which is taken in "
            f"{settings.region}, or to a server on this machine."
        )
    if parts.scheme != "https":
        raise S3Error(
            f"S3 endpoint {host} is plain http, which anyone on the way can read. Write it with https://."
        )
    return S3Endpoint(settings.s3_endpoint_url, is_loopback=False)


def s3_client(settings: Settings) -> S3Client:
    """A boto3 client for the store.

    Raises:
        S3Error: The endpoint is refused.
        NotRunningError: No endpoint is set and the embedded server is not up.
    """
    endpoint = s3_endpoint(settings)
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 4},
        s3={"addressing_style": "path"} if endpoint.is_loopback else None,
        proxies={} if endpoint.is_loopback else None,  # a proxy would look for this machine on its own
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=settings.region,
        aws_access_key_id=settings.s3_access_key.get_secret_value() if endpoint.is_loopback else None,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() if endpoint.is_loopback else None,
        config=config,
    )


def s3_storage_options(settings: Settings) -> dict[str, str]:
    """The same store for deltalake's `storage_options`. Holds secrets: do not log it.

    Raises:
        S3Error: The endpoint is refused, or there are no AWS credentials.
        NotRunningError: No endpoint is set and the embedded server is not up.
    """
    endpoint = s3_endpoint(settings)
    options = {"AWS_ENDPOINT_URL": endpoint.url, "AWS_REGION": settings.region}
    if endpoint.is_loopback:
        options["AWS_ACCESS_KEY_ID"] = settings.s3_access_key.get_secret_value()
        options["AWS_SECRET_ACCESS_KEY"] = settings.s3_secret_key.get_secret_value()
        options["AWS_ALLOW_HTTP"] = "true"
        return options
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise S3Error(
            "There are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    frozen = credentials.get_frozen_credentials()
    options["AWS_ACCESS_KEY_ID"] = frozen.access_key or ""
    options["AWS_SECRET_ACCESS_KEY"] = frozen.secret_key or ""
    if frozen.token:
        options["AWS_SESSION_TOKEN"] = frozen.token
    return options


def check_bucket(settings: Settings, bucket: str | None = None) -> None:
    """Return if a bucket is there for us and lies in the region of the settings.

    Args:
        settings: The instance.
        bucket: Its name; that of the settings if left out.

    Raises:
        S3Error: It is missing, closed to us, or elsewhere.
        NotRunningError: No endpoint is set and the embedded server is not up.
    """
    bucket = bucket or settings.s3_bucket
    try:
        answer = s3_client(settings).head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError, ValueError) as error:  # a ValueError: it is no name of a bucket
        why = " ".join(str(error).split()).rstrip(".")
        raise S3Error(
            f"Bucket {bucket} can not be used: {why}. Make it in {settings.region}, and let us in."
        ) from error
    region = answer.get("BucketRegion", settings.region)
    if region != settings.region:
        raise S3Error(
            f"Bucket {bucket} is in {region}. Contract requirement ACC002 keeps all data in the UK: take one "
            f"in {settings.region}."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
