"""The extras: libraries that most installations never need, and what is said where one of them is missing."""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extra:
    """Something that only works with a library that is installed on request."""

    name: str
    library: str
    wanted_by: str
    """What needs it, with the verb: `Redis needs`."""

    @property
    def message(self) -> str:
        """What is wrong where it is missing."""
        return f"{self.wanted_by} the extra `{self.name}`"

    @property
    def hint(self) -> str:
        """What to do then."""
        return f"pip install 'mercator-jupiter[{self.name}]'"

    @property
    def installed(self) -> bool:
        """Whether the library is there, with what it needs itself."""
        try:
            importlib.import_module(self.library)
        except ImportError:
            return False
        return True

    def __str__(self) -> str:
        return f"{self.message}; hint: {self.hint}"


REDIS = Extra("redis", "hiredis", "Redis needs")
POSTGRES = Extra("postgres", "psycopg", "PostgreSQL needs")
S3 = Extra("s3", "boto3", "an archive needs")
TIMESTAMPS = Extra("timestamps", "rfc3161_client", "timestamps need")
