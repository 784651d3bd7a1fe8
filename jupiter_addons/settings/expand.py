"""`${ENV}`, `${ENV:-default}` and `${secret:name}` in values; `$$` is a dollar sign.  Keys are left alone.

Secrets are files of one directory, `$JUPITER_SECRETS_DIR` or `secrets` beside the configuration; their content is taken
without the final line end.  What is not set is a problem, not an empty string: a provider would be sent an empty key.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from jupiter_addons.documents import Mark, Node
from jupiter_addons.errors import Problem

MAX_SECRET_BYTES = 64 * 1024

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Expansion:
    """Replaces references in every string of a document, and keeps what could not be replaced."""

    def __init__(self, environ: Mapping[str, str], secrets_dir: Path) -> None:
        self._environ = environ
        self._secrets_dir = secrets_dir
        self.problems: list[Problem] = []

    def expand(self, node: Node) -> None:
        """Replace the references in a node and everything below it."""
        for child in [*(node.items or ()), *(node.entries or {}).values()]:
            self.expand(child)
        if isinstance(node.scalar, str) and "$" in node.scalar:
            node.scalar = _REFERENCE.sub(lambda match: self._value(match, node.mark), node.scalar)

    def _value(self, match: re.Match[str], mark: Mark) -> str:
        if match[0] == "$$":
            return "$"
        reference = match[1]
        if not match[2]:
            return self._wrong(mark, "a `${` is not closed", "write $$ for a dollar sign")
        if reference.startswith("secret:"):
            return self._secret(reference.removeprefix("secret:"), mark)
        name, default_given, default = reference.partition(":-")
        if not _NAME.fullmatch(name):
            return self._wrong(mark, f"`${{{reference}}}` is not a reference", "write $$ for a dollar sign")
        value = self._environ.get(name)
        if default_given:
            return value or default  # as in a shell: the default is for what is empty, too
        if value is None:
            return self._wrong(mark, f"the environment variable `{name}` is not set")
        return value

    def _secret(self, name: str, mark: Mark) -> str:
        path = self._secrets_dir / name
        if not _SECRET.fullmatch(name):
            return self._wrong(mark, f"`{name}` cannot be the name of a secret")
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_SECRET_BYTES:
                return self._wrong(
                    mark, f"the secret `{name}` is not a file of at most {MAX_SECRET_BYTES} bytes: `{path}`"
                )
            if stat.S_IMODE(found.st_mode) & 0o077:
                return self._wrong(mark, f"the secret `{name}` can be read by others", f"chmod 600 {path}")
            text = path.read_bytes().decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            return self._wrong(mark, f"the secret `{name}` cannot be read from `{path}`: {reason}")
        return text or self._wrong(mark, f"the secret `{name}` is empty: `{path}`")

    def _wrong(self, mark: Mark, message: str, hint: str | None = None) -> str:
        self.problems.append(mark.problem(message, hint))
        return ""
