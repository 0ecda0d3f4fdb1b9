"""Files under an S3 prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from infra.s3 import S3Error, check_bucket, s3_client
from infra.settings import Settings
from ingestion.connectors import Connector, Listed, SourceError, Writer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def open_s3(settings: Settings, source: str) -> tuple[Connector, str | None]:
    """Open `s3://bucket/prefix`; if that is an object, its folder and its name.

    Raises:
        SourceError: The address has no bucket, or one that is not there for us or lies outside the United Kingdom.
        infra.s3.S3Error: The endpoint is refused.
    """
    parts = urlsplit(source)
    prefix = parts.path.removeprefix("/")
    if not parts.netloc:
        raise SourceError(f"{source!r} names no bucket. Write it as s3://bucket/prefix/.")
    client = s3_client(settings)
    try:
        check_bucket(settings, parts.netloc)
    except S3Error as error:
        raise SourceError(f"{source} can not be read. {error}") from error
    folder, _, name = prefix.rpartition("/")
    beside = S3Prefix(client, parts.netloc, f"{folder}/" if folder else "")
    if name and beside.look(name):
        return beside, name
    return S3Prefix(client, parts.netloc, f"{prefix.rstrip('/')}/" if prefix else ""), None


class S3Prefix:
    """A prefix of a bucket that ends in a slash, or the whole bucket. What lies deeper does not count."""

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @property
    def address(self) -> str:
        """The bucket and prefix."""
        return f"s3://{self._bucket}/{self._prefix}"

    def list(self) -> list[Listed]:
        """The objects right under the prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
        )
        return [
            self._listed(entry["Key"].removeprefix(self._prefix), entry["Size"], entry["ETag"])
            for page in pages
            for entry in page.get("Contents", [])
            if entry["Key"] != self._prefix
        ]

    def look(self, name: str) -> Listed | None:
        """One object, or None."""
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return self._listed(name, found["ContentLength"], found["ETag"])

    def fetch(self, name: str, into: Writer) -> None:
        """Copy the bytes of one object.

        Raises:
            OSError: The bytes did not all come.
        """
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            for block in answer["Body"].iter_chunks(1 << 20):
                into.write(block)
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"{self.address}{name} did not come whole: {error}") from error

    @staticmethod
    def _listed(name: str, size: int, etag: str) -> Listed:
        return Listed(name, size, f"{size}/{etag}", settles_at=0)
