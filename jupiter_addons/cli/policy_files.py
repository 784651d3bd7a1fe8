"""Which policy files a command is about, under the names by which its caller finds them."""

from collections.abc import Sequence
from pathlib import Path

from jupiter_addons.cli.options import configuration
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.policies import read_files


def configured(config_path: Path | None, paths: Sequence[Path]) -> Configuration | None:
    """Return the configuration if it is named, or wanted because no path is.  Raises ConfigError."""
    return configuration(config_path) if config_path is not None or not paths else None


def policy_files(settings: Configuration | None, paths: Sequence[Path]) -> list[dict[str, bytes]]:
    """Return the files of each path, or of what the configuration names.  Raises ConfigError if a path is not there."""
    if not paths and settings is not None and settings.policy_path is not None:
        paths = (settings.policy_path,)
    return [files_at(path) for path in dict.fromkeys(paths)]


def files_at(path: Path) -> dict[str, bytes]:
    """Return the policy file at a path, or all below it.  Raises ConfigError if there is none."""
    return {str(path if path.is_file() else path / name): data for name, data in read_files(path).items()}


def bytes_of(path: Path) -> bytes:
    """Return what is in one file.  Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error


def text_of(path: Path) -> str:
    """Return the text in one file.  Raises ConfigError."""
    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"the file is not UTF-8 at byte {error.start}")]) from error
