"""Reading policy files from disk.

A file that is there and not read would be a rule that does not hold, so nothing is passed over silently but case files and
names that begin with a dot (where Kubernetes keeps the versions that the visible names are links to).
"""

from pathlib import Path

from jupiter_addons.errors import ConfigError, Problem

SUFFIXES = (".yaml", ".yml")
CASES = (".cases.yaml", ".cases.yml")
"""Files of examples that stand beside policies and are not policies."""


def read_files(path: Path | None) -> dict[str, bytes]:
    """Return the policy files at `path`: one file, or every one below a directory.  Raises ConfigError.

    Names are relative to the directory and order the rules, so they are the same on every machine.
    """
    if path is None:
        return {}
    try:
        if path.is_file():
            return {path.name: path.read_bytes()}
        if not path.is_dir():
            raise ConfigError([Problem(str(path), 0, 0, "there are no policies here")])
        files, problems = _walk(path)
        if problems:
            raise ConfigError(problems)
        if not files:
            hint = "leave out `policy.file_path` if there are to be no rules"
            raise ConfigError([Problem(str(path), 0, 0, "there is no policy file in this directory", hint)])
        return {name: files[name].read_bytes() for name in sorted(files)}
    except OSError as error:
        raise ConfigError([Problem(str(error.filename or path), 0, 0, f"cannot be read: {error.strerror}")]) from error


def _walk(path: Path) -> tuple[dict[str, Path], list[Problem]]:
    top = path.resolve()
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    for found in path.rglob("*"):
        name = found.relative_to(path).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        if found.is_dir():
            if found.is_symlink():
                problems.append(Problem(str(found), 0, 0, "a link to a directory is not followed"))
            continue
        if found.suffix not in SUFFIXES or name.endswith(CASES):
            continue
        if not found.resolve().is_relative_to(top):
            problems.append(Problem(str(found), 0, 0, "this link leads out of the policy directory"))
        elif not found.is_file():
            problems.append(Problem(str(found), 0, 0, "this is not a file"))
        else:
            files[name] = found
    return files, sorted(problems, key=lambda problem: problem.file)
