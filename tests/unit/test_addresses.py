"""Which addresses are accepted, and what the refusals say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from infra.embedded import NotRunningError
from infra.s3 import S3Error, s3_client, s3_endpoint, s3_storage_options
from infra.sftp import SftpError, sftp_location


@pytest.mark.parametrize(
    ("address", "url", "is_loopback"),
    [
        ("aws", "https://s3.eu-west-2.amazonaws.com", False),
        ("https://s3.eu-west-2.amazonaws.com", "https://s3.eu-west-2.amazonaws.com", False),
        (
            "https://bucket.vpce-1a2b.s3.eu-west-2.vpce.amazonaws.com",
            "https://bucket.vpce-1a2b.s3.eu-west-2.vpce.amazonaws.com",
            False,
        ),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", True),
        ("http://localhost:9000", "http://localhost:9000", True),
        ("http://[::1]:9000", "http://[::1]:9000", True),
    ],
)
def test_s3_endpoints_that_are_used(make_settings, tmp_path, address, url, is_loopback):
    endpoint = s3_endpoint(make_settings(tmp_path, s3_endpoint_url=address))
    assert (endpoint.url, endpoint.is_loopback) == (url, is_loopback)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://s3.eu-west-1.amazonaws.com", "ACC002"),
        ("https://s3.amazonaws.com", "ACC002"),
        ("https://storage.example.org", "ACC002"),
        ("https://evil-s3.eu-west-2.amazonaws.com.example.org", "ACC002"),
        ("https://evils3.eu-west-2-amazonaws.com", "ACC002"),
        ("https://127.0.0.1.example.org", "ACC002"),
        ("http://10.0.0.1:9000", "ACC002"),
        ("http://s3.eu-west-2.amazonaws.com", "plain http"),
        ("ftp://127.0.0.1", "not `aws` or an http address"),
        ("nonsense", "not `aws` or an http address"),
    ],
)
@pytest.mark.parametrize("use", [s3_endpoint, s3_client, s3_storage_options])
def test_s3_endpoints_that_are_refused(make_settings, tmp_path, address, reason, use):
    with pytest.raises(S3Error, match=reason):
        use(make_settings(tmp_path, s3_endpoint_url=address))


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "eu-west-2 ", ""])
def test_a_region_outside_the_united_kingdom_is_refused_at_the_start(make_settings, tmp_path, region):
    with pytest.raises(ValidationError, match="ACC002"):
        make_settings(tmp_path, region=region)


def test_plain_http_is_allowed_on_this_machine_only(make_settings, tmp_path, monkeypatch):
    embedded = s3_storage_options(make_settings(tmp_path, s3_endpoint_url="http://127.0.0.1:9000"))
    assert embedded["AWS_ALLOW_HTTP"] == "true"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert s3_storage_options(make_settings(tmp_path, s3_endpoint_url="aws")) == {
        "AWS_ENDPOINT_URL": "https://s3.eu-west-2.amazonaws.com",
        "AWS_REGION": "eu-west-2",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }


def test_without_aws_credentials_it_says_what_to_set(make_settings, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(S3Error, match="AWS_PROFILE"):
        s3_storage_options(make_settings(tmp_path, s3_endpoint_url="aws"))


@pytest.mark.parametrize(
    ("address", "host", "port", "user", "folder"),
    [
        ("sftp://pu@files.example.org", "files.example.org", 22, "pu", "/"),
        ("sftp://pu@files.example.org:2222/out/calls", "files.example.org", 2222, "pu", "/out/calls"),
        ("sftp://p%40u@[::1]:2222/a%20b", "::1", 2222, "p@u", "/a b"),
    ],
)
def test_sftp_addresses(make_settings, tmp_path, address, host, port, user, folder):
    location = sftp_location(make_settings(tmp_path, sftp_url=address))
    assert (location.host, location.port, location.user, location.folder) == (host, port, user, folder)
    assert sftp_location(make_settings(tmp_path), address) == location


@pytest.mark.parametrize(
    "address", ["files.example.org", "sftp://files.example.org/x", "https://pu@x/", "sftp://pu@/x"]
)
def test_what_is_no_sftp_address_is_refused(make_settings, tmp_path, address):
    with pytest.raises(SftpError, match="not an SFTP address"):
        sftp_location(make_settings(tmp_path, sftp_url=address))


def test_a_password_in_an_sftp_address_is_refused_and_not_repeated(make_settings, tmp_path):
    with pytest.raises(SftpError, match="Take it out") as caught:
        sftp_location(make_settings(tmp_path, sftp_url="sftp://pu:hunter2@files.example.org/"))
    assert "hunter2" not in str(caught.value)


def test_embedded_services_that_are_down_say_how_to_start_them(make_settings, tmp_path):
    settings = make_settings(tmp_path)
    with pytest.raises(NotRunningError, match="contactbi up sftp"):
        sftp_location(settings)
    with pytest.raises(NotRunningError, match="contactbi up s3"):
        s3_endpoint(settings)
