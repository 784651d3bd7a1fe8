"""Timestamps of checkpoints, as RFC 3161 has them: an authority signs that a hash was there at a time of its clock.

What is hashed is the signed note of a checkpoint, whole, with SHA-256.  So the authority learns nothing of a log, not even
its name; and a log that is rewritten later, by whoever has its keys, cannot have the checkpoints that were stamped before.

`rfc3161-client` reads and verifies, with OpenSSL's own check of signature and chain as of the time that is stamped.  What is
asked here besides has names of its own, so that it can be told what is wrong: rejected, modified, imprint, nonce, authority.
An answer is kept as it came, a TimeStampResp, because that is what `openssl ts -verify -in` reads.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rfc3161_client
from cryptography import x509
from rfc3161_client.tsp import PKIStatus, TimeStampResponse

from jupiter_addons.errors import VerificationError

MAX_BYTES = 64 * 1024
"""An answer has a few certificates in it; the longest in use are a tenth of this."""
_CERTIFICATES = 0xA0


@dataclass(frozen=True, slots=True)
class Request:
    """What an authority is asked."""

    der: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What an authority has signed, verified."""

    time_us: int
    """UTC, by the authority's clock."""
    authority: str
    """The name in its certificate."""
    serial: int
    """Which of its timestamps this is."""


class Authority:
    """Whose timestamps are believed: those of whoever the given certificates lead to."""

    def __init__(self, certificates: bytes) -> None:
        """`certificates` is PEM, of those who vouch for the authority.  Raises ValueError if it has none."""
        self._trusted = x509.load_pem_x509_certificates(certificates)

    def opened(self, response: bytes, stamped: bytes, nonce: int | None = None) -> Timestamp:
        """Verify an answer about the bytes `stamped`; `nonce` is what was asked with, known when it has just come.

        Raises VerificationError, with the name of what is wrong.
        """
        found = _parsed(response)
        if PKIStatus(found.status) is PKIStatus.GRANTED_WITH_MODS:
            raise VerificationError("modified: the authority has stamped something else than it was asked")
        if PKIStatus(found.status) is not PKIStatus.GRANTED:
            raise VerificationError(f"rejected: {_said(found)}")
        info = found.tst_info
        if info.message_imprint.message != hashlib.sha256(stamped).digest():
            raise VerificationError("imprint: it is over other bytes")
        if nonce is not None and info.nonce != nonce:
            raise VerificationError("nonce: it answers another question")
        try:
            verifier = rfc3161_client.VerifierBuilder(roots=self._trusted).build()
            verifier.verify_message(found, stamped)
            signer = _signer(found)
        except Exception as error:  # of certificates that are none there are many kinds, and some have no common base
            raise VerificationError(f"authority: {error}") from error
        return Timestamp(
            int(info.gen_time.timestamp()) * 1_000_000 + info.gen_time.microsecond, signer, info.serial_number
        )


def request(stamped: bytes) -> Request:
    """Return what to ask an authority that is to stamp some bytes: their hash, a fresh nonce, its certificate."""
    asked = rfc3161_client.TimestampRequestBuilder(stamped, rfc3161_client.HashAlgorithm.SHA256).build()
    assert asked.nonce is not None, "asked for"
    return Request(asked.as_bytes(), asked.nonce)


def _parsed(response: bytes) -> TimeStampResponse:
    try:
        found = rfc3161_client.decode_timestamp_response(_in_order(response))
        PKIStatus(found.status)
        if PKIStatus(found.status) in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
            found.tst_info  # noqa: B018 - an answer may lack what its status promises
    except ValueError as error:
        raise VerificationError(f"response: it is no answer of RFC 3161: {error}") from error
    return found


def _said(found: TimeStampResponse) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in text) for text in found.status_string)
    return f"{PKIStatus(found.status).name.lower()} {words[:200]}".strip()


def _signer(found: TimeStampResponse) -> str:
    """Return the subject of the certificate that has signed."""
    [by] = found.signed_data.signer_infos
    certificates = map(x509.load_der_x509_certificate, found.signed_data.certificates)
    named = [one for one in certificates if (one.issuer, one.serial_number) == (by.issuer, by.serial_number)]
    if not named:
        raise ValueError("the certificate that has signed is not there")
    return named[0].subject.rfc4514_string()


def _in_order(response: bytes) -> bytes:
    """Return an answer with its certificates in the order of DER.

    OpenSSL, which many authorities are made with, writes them as they come, and a strict reader refuses them.  No signature is
    over them, and what they are worth is found out by verifying.
    """
    try:
        _, token = _elements(response, *_inside(response, 0, len(response)))
        _, wrapped = _elements(response, *_inside(response, *token))
        [signed] = _elements(response, *_inside(response, *wrapped))
        for start, end in _elements(response, *_inside(response, *signed)):
            if response[start] == _CERTIFICATES:
                first, last = _inside(response, start, end)
                certificates = sorted(response[a:b] for a, b in _elements(response, first, last))
                return response[:first] + b"".join(certificates) + response[last:]
    except (ValueError, IndexError):
        pass  # not the one place where this helps: the reader says what it is
    return response


def _inside(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return where the contents of an element begin and end.  Raises ValueError, IndexError."""
    size, at = data[start + 1], start + 2
    if size & 0x80:
        length = size & 0x7F
        size, at = int.from_bytes(data[at : at + length]), at + length
    if at + size > end:
        raise ValueError("an element that is longer than what it is in")
    return at, at + size


def _elements(data: bytes, start: int, end: int) -> Sequence[tuple[int, int]]:
    """Return where each element begins and ends.  Raises ValueError, IndexError."""

    def walk() -> Iterator[tuple[int, int]]:
        at = start
        while at < end:
            _, after = _inside(data, at, end)
            yield at, after
            at = after

    return list(walk())
