"""A bucket whose objects cannot be deleted before their time: written once each, and believed only when read back.

A name can be written twice, by a process that died in between or by somebody else; the bucket keeps both versions, so that
what counts is the version that a manifest names.  `If-None-Match` would be simpler, and not every store honours it.

boto3 rather than a lighter client: the lock of an object is part of the request that writes it, and few others can say that.
"""

import base64
import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from jupiter_addons.addresses import ArchiveAddress
from jupiter_addons.errors import StoreError

_SHA256 = "sha256"
MAX_OBJECT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object."""

    key: str
    id: str
    is_latest: bool
    is_deletion: bool


class Bucket:
    """A bucket; keys are below the prefix of its address.  Everything raises StoreError."""

    def __init__(self, address: ArchiveAddress) -> None:
        self._address = address
        self._prefix = f"{address.prefix}/" if address.prefix else ""
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 4, "mode": "standard"},
            s3={"addressing_style": "path"} if address.endpoint else {},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            self._client: Any = boto3.client(
                "s3", endpoint_url=address.endpoint, region_name=address.region or "us-east-1", config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise self._failed("open", error) from error

    def put(self, key: str, data: bytes, encoding: str | None = None) -> str:
        """Write an object that is locked, read it back, and return its version.  What is there already is not written again.

        `encoding` is for whoever reads it over HTTP, who then undoes it; we read what was written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        version = self._same(key, sha256, data)
        if version is not None:
            return version
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=self._address.retention_days)
        try:
            answer = self._client.put_object(
                Bucket=self._address.bucket,
                Key=self._prefix + key,
                Body=data,
                ContentMD5=base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
                Metadata={_SHA256: sha256},
                **({} if encoding is None else {"ContentEncoding": encoding}),
                ObjectLockMode=self._address.mode,
                ObjectLockRetainUntilDate=until,
            )
            version = str(answer["VersionId"])
            kept = self._client.head_object(Bucket=self._address.bucket, Key=self._prefix + key, VersionId=version)
        except (BotoCoreError, ClientError, KeyError) as error:
            raise self._failed(f"write `{key}` in", error) from error
        if kept.get("ObjectLockMode") != self._address.mode:
            raise StoreError(f"`{key}` was written to `{self._address}` and is not locked")
        if self.get(key, version) != data:
            raise StoreError(f"`{key}` in `{self._address}` is not what was written")
        return version

    def _same(self, key: str, sha256: str, data: bytes) -> str | None:
        """Return the version of an object that is there, locked and the same; None if there is none."""
        try:
            found = self._client.head_object(Bucket=self._address.bucket, Key=self._prefix + key)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise self._failed(f"look for `{key}` in", error) from error
        except BotoCoreError as error:
            raise self._failed(f"look for `{key}` in", error) from error
        version = found.get("VersionId")
        if found.get("Metadata", {}).get(_SHA256) != sha256 or found.get("ObjectLockMode") != self._address.mode:
            return None
        return version if version and self.get(key, version) == data else None

    def get(self, key: str, version: str) -> bytes:
        """Return a version of an object."""
        try:
            answer = self._client.get_object(Bucket=self._address.bucket, Key=self._prefix + key, VersionId=version)
            data: bytes = answer["Body"].read(MAX_OBJECT_BYTES + 1)
        except (BotoCoreError, ClientError, OSError) as error:
            raise self._failed(f"read `{key}` in", error) from error
        if len(data) > MAX_OBJECT_BYTES or len(data) != answer["ContentLength"]:
            raise StoreError(f"`{key}` in `{self._address}` could not be read whole")
        return data

    def versions(self, below: str) -> Iterator[Version]:
        """Yield all versions of all objects below a name, deletions among them."""
        try:
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._address.bucket, Prefix=self._prefix + below):
                for kind, is_deletion in (("Versions", False), ("DeleteMarkers", True)):
                    for one in page.get(kind, ()):
                        key = str(one["Key"]).removeprefix(self._prefix)
                        yield Version(key, str(one["VersionId"]), bool(one["IsLatest"]), is_deletion)
        except (BotoCoreError, ClientError) as error:
            raise self._failed("list", error) from error

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _failed(self, doing: str, error: Exception) -> StoreError:
        return StoreError(f"cannot {doing} `{self._address}`: {' '.join(str(error).split())}")
