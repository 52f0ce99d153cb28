"""Signatures, made here by code of its own and, for Standard Webhooks, by the reference package."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from factotum.gateway.errors import SignatureRefused
from factotum.gateway.verification.bamboohr import BambooHRVerifier
from factotum.gateway.verification.standard import StandardVerifier
from tests.support.gateway import bamboohr_headers, standard_headers

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BODY = b'{"employees": [{"id": "1", "action": "Created"}]}'
KEY = b"k" * 24
RIGHT = "right"
SECRET = "whsec_" + base64.b64encode(KEY).decode()

bamboohr = BambooHRVerifier([RIGHT, "older"], 300)
standard = StandardVerifier([SECRET, base64.b64encode(b"older key of some bytes").decode()], 300)


def bamboo(body: bytes = BODY, now: datetime = NOW, secret: str = RIGHT) -> dict[str, str]:
    return bamboohr_headers(body, now, secret)


def test_bamboohr_takes_what_was_signed() -> None:
    bamboohr.verify(bamboo(), BODY, NOW)
    bamboohr.verify(bamboo(secret="older"), BODY, NOW)
    headers = bamboo()
    bamboohr.verify({**headers, "x-bamboohr-signature": headers["x-bamboohr-signature"].upper()}, BODY, NOW)


def test_bamboohr_takes_bytes_that_are_not_utf8() -> None:
    bamboohr.verify(bamboo(b"\xff\x00"), b"\xff\x00", NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_edge_of_the_window_is_inside(seconds: int) -> None:
    moment = NOW + timedelta(seconds=seconds)
    bamboohr.verify(bamboo(now=moment), BODY, NOW)
    standard.verify(standard_headers(BODY, moment, "m", KEY), BODY, NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -86400, 86400])
def test_outside_of_the_window_is_refused(seconds: int) -> None:
    moment = NOW + timedelta(seconds=seconds)
    with pytest.raises(SignatureRefused, match="300 s"):
        bamboohr.verify(bamboo(now=moment), BODY, NOW)
    with pytest.raises(SignatureRefused, match="300 s"):
        standard.verify(standard_headers(BODY, moment, "m", KEY), BODY, NOW)


def test_timestamp_is_signed() -> None:
    with pytest.raises(SignatureRefused):
        bamboohr.verify({**bamboo(), "x-bamboohr-timestamp": str(int(NOW.timestamp()) + 1)}, BODY, NOW)
    headers = standard_headers(BODY, NOW, "m", KEY)
    with pytest.raises(SignatureRefused):
        standard.verify({**headers, "webhook-timestamp": str(int(NOW.timestamp()) + 1)}, BODY, NOW)


def test_id_is_signed() -> None:
    with pytest.raises(SignatureRefused):
        standard.verify({**standard_headers(BODY, NOW, "m", KEY), "webhook-id": "n"}, BODY, NOW)


def test_wrong_key_is_refused() -> None:
    with pytest.raises(SignatureRefused):
        bamboohr.verify(bamboo(secret="wrong"), BODY, NOW)
    with pytest.raises(SignatureRefused):
        standard.verify(standard_headers(BODY, NOW, "m", b"w" * 24), BODY, NOW)


def test_same_json_in_other_bytes_is_refused() -> None:
    again = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    assert json.loads(again) == json.loads(BODY)
    with pytest.raises(SignatureRefused):
        bamboohr.verify(bamboo(), again, NOW)
    with pytest.raises(SignatureRefused):
        standard.verify(standard_headers(BODY, NOW, "m", KEY), again, NOW)


@pytest.mark.parametrize("name", ["x-bamboohr-signature", "x-bamboohr-timestamp"])
@pytest.mark.parametrize("value", ["", "0", "zz", "\xff", "٣" * 64, "a" * 63, "a" * 65, " ", "1e9", "-1", "9" * 5000])
def test_malformed_bamboohr_headers_are_refused(name: str, value: str) -> None:
    with pytest.raises(SignatureRefused):
        bamboohr.verify({**bamboo(), name: value}, BODY, NOW)
    headers = bamboo()
    del headers[name]
    with pytest.raises(SignatureRefused):
        bamboohr.verify(headers, BODY, NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", ["", "v1", "v1,", "v1,a", "v1,=", ",", "v1,\xff", "v2,AAAA", "v1,a,b", " ", "nan", "inf", "9" * 5000]
)
def test_malformed_standard_headers_are_refused(name: str, value: str) -> None:
    with pytest.raises(SignatureRefused):
        standard.verify({**standard_headers(BODY, NOW, "m", KEY), name: value}, BODY, NOW)
    headers = standard_headers(BODY, NOW, "m", KEY)
    del headers[name]
    with pytest.raises(SignatureRefused):
        standard.verify(headers, BODY, NOW)


def test_signature_of_another_version_is_no_signature() -> None:
    headers = standard_headers(BODY, NOW, "m", KEY)
    with pytest.raises(SignatureRefused):
        standard.verify({**headers, "webhook-signature": "v1a" + headers["webhook-signature"][2:]}, BODY, NOW)


def test_one_of_several_signatures_is_enough() -> None:
    headers = standard_headers(BODY, NOW, "m", KEY)
    standard.verify({**headers, "webhook-signature": "v2,x v1,AAAA " + headers["webhook-signature"]}, BODY, NOW)


def test_many_signatures_cost_one_digest_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[str] = []
    original = Webhook.sign

    def counted(self: Webhook, msg_id: str, timestamp: datetime, data: str) -> str:
        signed.append(msg_id)
        return original(self, msg_id, timestamp, data)

    monkeypatch.setattr(Webhook, "sign", counted)
    headers = standard_headers(BODY, NOW, "m", KEY)
    with pytest.raises(SignatureRefused):
        standard.verify({**headers, "webhook-signature": "v1,AAAA " * 1000}, BODY, NOW)
    assert len(signed) == 2


def test_standard_agrees_with_the_reference_package() -> None:
    headers = {
        "webhook-id": "msg",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg", NOW, BODY.decode()),
    }
    standard.verify(headers, BODY, NOW)


def test_standard_refuses_fractions_that_were_not_signed() -> None:
    headers = standard_headers(BODY, NOW, "m", KEY)
    with pytest.raises(SignatureRefused):
        standard.verify({**headers, "webhook-timestamp": headers["webhook-timestamp"] + ".5"}, BODY, NOW)


def test_standard_secret_that_is_not_base64_is_an_error_at_the_start() -> None:
    for secret in ("", "whsec_", "a"):
        with pytest.raises(ValueError, match="base64"):
            StandardVerifier([secret], 300)


@given(
    st.dictionaries(
        st.sampled_from(
            ["x-bamboohr-signature", "x-bamboohr-timestamp", "webhook-id", "webhook-timestamp", "webhook-signature"]
        ),
        st.text(st.characters(max_codepoint=255)) | st.from_regex(r"\A[0-9a-f]{64}\Z") | st.just("1795510800"),
    ),
    st.binary(),
)
def test_no_headers_do_anything_but_refuse(headers: dict[str, str], body: bytes) -> None:
    for verifier in (bamboohr, standard):
        with pytest.raises(SignatureRefused):
            verifier.verify(headers, body, NOW)


def test_the_signature_is_the_documented_one() -> None:
    timestamp = str(int(NOW.timestamp()))
    signature = hmac.new(b"right", BODY + timestamp.encode(), hashlib.sha256).hexdigest()
    bamboohr.verify({"x-bamboohr-signature": signature, "x-bamboohr-timestamp": timestamp}, BODY, NOW)
