"""The embedded S3 store: it answers as S3 does, lets in one key, and remembers."""

from __future__ import annotations

import io
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import deltalake
import pyarrow as pa
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from delivery.feeds.publish import publish
from infra import local
from infra.s3 import S3Error, check_bucket, s3_client, s3_endpoint, s3_storage_options
from ingestion.connectors import SourceError
from ingestion.run import ingest

pytestmark = pytest.mark.services


@pytest.fixture
def bucket(instance):
    """A client and the name of the bucket, emptied afterwards."""
    client = s3_client(instance)
    yield client, instance.s3_bucket
    for item in client.list_objects_v2(Bucket=instance.s3_bucket).get("Contents", []):
        client.delete_object(Bucket=instance.s3_bucket, Key=item["Key"])


def kill_and_start(settings):
    (state,) = [state for state in local.status(settings) if state.name == "s3"]
    os.kill(state.pid, signal.SIGKILL)
    local.up(settings, ["s3"], report=print)


def code(caught):
    return caught.value.response["Error"]["Code"]


def test_the_bucket_is_in_the_united_kingdom(instance):
    answer = s3_client(instance).head_bucket(Bucket=instance.s3_bucket)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-2"
    check_bucket(instance)


def test_a_bucket_elsewhere_or_nowhere_is_refused(instance, make_settings):
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint(instance).url,
        region_name="eu-central-1",
        aws_access_key_id=instance.s3_access_key.get_secret_value(),
        aws_secret_access_key=instance.s3_secret_key.get_secret_value(),
    )
    client.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    try:
        with pytest.raises(S3Error, match=r"far-away is in eu-central-1.*ACC002"):
            check_bucket(make_settings(instance.home, s3_bucket="far-away"))
        with pytest.raises(SourceError, match=r"s3://far-away/in/ can not be read.*eu-central-1.*ACC002"):
            ingest(instance, "telephony_call", "s3://far-away/in/")
        with pytest.raises(S3Error, match=r"far-away is in eu-central-1.*ACC002"):
            publish(make_settings(instance.home, s3_bucket="far-away"))
    finally:
        client.delete_bucket(Bucket="far-away")
    with pytest.raises(S3Error, match=r"Bucket missing can not be used.*404"):
        check_bucket(make_settings(instance.home, s3_bucket="missing"))
    for bucket in ("missing", "no_bucket!"):
        with pytest.raises(SourceError, match=rf"s3://{bucket}/in/ can not be read.*Make it in eu-west-2"):
            ingest(instance, "telephony_call", f"s3://{bucket}/in/")


def test_a_conditional_write_has_one_winner(bucket):
    client, name = bucket

    def write(place):
        key, number = place
        try:
            client.put_object(Bucket=name, Key=key, Body=number.encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return key, number

    places = [(f"key {key}", f"{number}") for key in range(10) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        winners = [place for place in pool.map(write, places) if place is not None]
    assert len(winners) == len(dict(winners)) == 10
    for key, number in winners:
        assert client.get_object(Bucket=name, Key=key)["Body"].read(1) == number.encode()


def test_what_was_stored_outlives_kill_9(instance, bucket):
    client, name = bucket
    large = os.urandom(13_000_000)
    client.put_object(
        Bucket=name, Key="a/b é%20 +.txt", Body=b"small", Metadata={"batch": "7"}, ContentType="text/plain"
    )
    client.put_object(Bucket=name, Key="a", Body=b"beside the folder of that name")
    client.upload_fileobj(
        io.BytesIO(large), name, "large", Config=TransferConfig(multipart_chunksize=6_000_000)
    )
    client.put_object(Bucket=name, Key="changed", Body=b"old")
    client.put_object(Bucket=name, Key="changed", Body=b"new")
    client.copy_object(Bucket=name, Key="copied", CopySource={"Bucket": name, "Key": "a"})
    for key in ("gone", "gone too"):
        client.put_object(Bucket=name, Key=key, Body=b"")
    client.delete_object(Bucket=name, Key="gone")
    client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "gone too"}]})

    def everything():
        listed = client.list_objects_v2(Bucket=name)["Contents"]
        heads = {item["Key"]: client.head_object(Bucket=name, Key=item["Key"]) for item in listed}
        bodies = {key: client.get_object(Bucket=name, Key=key)["Body"].read() for key in heads}
        for head in heads.values():
            del head["ResponseMetadata"]
        return listed, heads, bodies

    before = everything()
    assert sorted(before[1]) == ["a", "a/b é%20 +.txt", "changed", "copied", "large"]
    assert (before[2]["large"], before[2]["changed"]) == (large, b"new")
    kill_and_start(instance)
    assert everything() == before
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=name, Key="changed", Body=b"", IfNoneMatch="*")
    assert code(caught) == "PreconditionFailed"


def test_a_stored_etag_still_guards_after_a_restart(instance, bucket):
    client, name = bucket
    etag = client.put_object(Bucket=name, Key="guarded", Body=b"1")["ETag"]
    kill_and_start(instance)
    client.put_object(Bucket=name, Key="guarded", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=name, Key="guarded", Body=b"3", IfMatch=etag)
    assert code(caught) == "PreconditionFailed"


def test_a_delta_table_outlives_kill_9_and_takes_the_next_batch(instance, bucket):
    address = f"s3://{bucket[1]}/tables/probe"
    options = s3_storage_options(instance)
    deltalake.write_deltalake(address, pa.table({"n": [1, 2]}), storage_options=options)
    kill_and_start(instance)
    deltalake.write_deltalake(address, pa.table({"n": [3]}), mode="append", storage_options=options)
    table = deltalake.DeltaTable(address, storage_options=options)
    assert table.version() == 1
    assert sorted(table.to_pyarrow_table()["n"].to_pylist()) == [1, 2, 3]


def test_nobody_gets_in_without_the_key(instance):
    endpoint = s3_endpoint(instance).url
    stranger = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-west-2",
        aws_access_key_id="stranger",
        aws_secret_access_key="stranger",
    )
    with pytest.raises(ClientError) as caught:
        stranger.list_buckets()
    assert code(caught) == "InvalidAccessKeyId"
    for path in ("/", f"/{instance.s3_bucket}", "/moto-api/", "/moto-api/data.json"):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{endpoint}{path}")
        assert refused.value.code == 403
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(f"{endpoint}/moto-api/reset", method="POST"))
    assert refused.value.code == 403
