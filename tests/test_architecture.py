"""The house keeps its shape: import directions, sizes, mirrored tests, one writer a slot, no path of anybody's machine."""

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jupiter_addons"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

GROUND = {"errors", "units", "documents", "zones", "addresses", "extras"}
CORE = {"identity", "enrichment", "policy", "limits", "routing", "evidence"}
EDGES = {"storage", "settings", "telemetry"}
BELOW_STAGES = GROUND | {"dialects", "exchange"} | CORE | EDGES

MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(GROUND, GROUND),
    "dialects": GROUND,
    **{name: GROUND | {"dialects"} for name in CORE},
    **{name: GROUND | {"dialects"} | CORE for name in EDGES},
    "rehearsal": set(),
    "exchange": GROUND | {"dialects"} | CORE,
    "host": GROUND | {"dialects", "exchange"} | EDGES,
    "stages": BELOW_STAGES | {"host"},
    "counters": BELOW_STAGES,
    "kept": BELOW_STAGES,
    "stores": BELOW_STAGES | {"counters", "kept"},
    "inspection": BELOW_STAGES,
    "parts": BELOW_STAGES | {"host", "stages", "stores"},
    "chain": BELOW_STAGES | {"host", "stages", "parts"},
    "standings": BELOW_STAGES | {"parts"},
    "service": BELOW_STAGES
    | {"host", "stages", "stores", "parts", "chain", "standings", "checker", "inspection", "kept"},
    "checker": BELOW_STAGES | {"host"},
    "entry": {"service"},
    "supervise": BELOW_STAGES | {"host", "counters", "stores", "inspection", "kept"},
    "cli": BELOW_STAGES | {"host", "stages", "stores", "parts", "chain", "service", "supervise", "rehearsal", "kept"},
}
"""First name below the package -> what it may import besides itself."""

SHARED_BY_STAGES = {
    "stage",
    "leaves",
    "content",
    "tape",
    "facts",
    "detect",
    "judge",
    "relay",
    "router",
    "fallbacks",
    "meter",
    "waiting",
}
"""What stages have in common; no stage imports another."""

ONLY: dict[str, tuple[str, ...]] = {
    "mitmproxy": ("host/", "stages/", "chain.py", "service.py", "cli/run.py"),
    "sqlite3": ("storage/",),
    "apsw": ("storage/",),
    "psycopg": ("storage/",),
    "boto3": ("storage/archive_s3.py",),
    "botocore": ("storage/archive_s3.py",),
    "hiredis": ("storage/redis_connection.py",),
    "rfc3161_client": ("evidence/timestamp.py",),
    "nacl": ("evidence/signing.py", "evidence/keyring.py", "evidence/verify_bundle.py"),
    "click": ("cli/",),
    "pydantic": ("settings/",),
    "pydantic_core": ("settings/",),
    "re2": ("policy/alphabet.py", "policy/patterns.py", "enrichment/detectors/"),
    "lark": ("policy/expression.py", "policy/trees.py"),
    "genai_prices": ("enrichment/prices.py",),
    "arro3": ("storage/parquet.py",),
    "prometheus_client": ("telemetry/",),
    "tornado": ("telemetry/", "service.py"),
    "asyncio": (
        "host/",
        "stages/",
        "storage/",
        "chain.py",
        "checker.py",
        "parts.py",
        "service.py",
        "supervise.py",
        "inspection.py",
        "telemetry/alerts.py",
        "cli/",
        "rehearsal/",
    ),
}
"""Library -> who alone may import it."""

COVERED_BY = {
    "host": "gateway/test_fail_closed.py gateway/test_refusals.py gateway/test_doors.py",
    "stages": "gateway/test_fail_closed.py gateway/test_doors.py gateway/test_policies_and_limits.py gateway/test_actions.py",
    "chain": "gateway/test_fail_closed.py",
    "parts": "gateway/test_doors.py",
    "supervise": "gateway/test_workers.py",
    "standings": "gateway/test_limits.py",
    "cli/limits": "gateway/test_limits.py",
    "stores": "gateway/test_evidence.py",
    "kept": "gateway/test_postgres.py",
    "checker": "gateway/test_health_checks.py",
    "service": "gateway/test_fail_closed.py",
    "entry": "gateway/test_fail_closed.py",
    "exchange": "test_exchange.py",
    "storage/limits_database": "storage/test_limits_sqlite.py",
    "telemetry/admin": "gateway/test_starting.py",
    "cli/run": "gateway/test_starting.py",
    "cli/demo": "test_readme.py",
    "cli/tour": "test_readme.py",
    "cli/doctor": "gateway/test_doctor.py",
    "cli/doctor_gateway": "gateway/test_doctor.py",
    "cli/exec": "gateway/test_clients.py",
    "cli/entry": "gateway/test_starting.py",
    "cli/version": "cli/test_main.py",
    "cli/options": "cli/test_main.py",
    "rehearsal/__main__": "rehearsal/test_server.py",
}
"""What has no mirrored test of its own, because it means something only in a running gateway -> the test that runs it."""


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@functools.cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            if node.module == "jupiter_addons":
                found += [(node.lineno, f"jupiter_addons.{alias.name}") for alias in node.names]
            else:
                found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def test_imports_point_one_way():
    wrong = []
    for path in MODULES:
        here = name_of(path).removesuffix(".py").split("/")[0]
        for line, imported in imports_of(path):
            parts = imported.split(".")
            if parts[0] == "jupiter_addons" and len(parts) > 1 and here != "__init__":
                there = parts[1]
                if there != here and there not in MAY_IMPORT[here]:
                    wrong.append(f"{name_of(path)}:{line}: `{here}` may not import `{there}`")
    assert wrong == []


def test_no_stage_imports_another():
    wrong = [
        f"{name_of(path)}:{line}: {imported}"
        for path in MODULES
        if path.parent.name == "stages"
        for line, imported in imports_of(path)
        if imported.startswith("jupiter_addons.stages.") and imported.split(".")[2] not in SHARED_BY_STAGES
    ]
    assert wrong == []


def test_each_library_is_imported_where_it_belongs():
    wrong = [
        f"{name_of(path)}:{line}: `{imported}` belongs in {', '.join(ONLY[imported.split('.')[0]])}"
        for path in MODULES
        for line, imported in imports_of(path)
        if imported.split(".")[0] in ONLY and not name_of(path).startswith(ONLY[imported.split(".")[0]])
    ]
    assert wrong == []


def test_files_are_small():
    wrong = []
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        if "node_modules" in path.parts or ".venv" in path.parts:
            continue
        text = path.read_text()
        lines = text.count("\n")
        if lines > 500:
            wrong.append(f"{path.relative_to(ROOT)}: {lines} lines")
        elif lines > 400 and "long because" not in (ast.get_docstring(ast.parse(text)) or ""):
            wrong.append(f"{path.relative_to(ROOT)}: {lines} lines, and no reason (`long because …`) in its docstring")
    assert wrong == []


def test_every_module_has_its_test():
    missing = []
    for path in MODULES:
        module = name_of(path).removesuffix(".py")
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        if not any(isinstance(node, functions) for node in ast.walk(tree_of(path))):
            continue  # nothing but values: what uses them is tested
        mirrored = ROOT / "tests" / Path(module).parent / f"test_{path.stem}.py"
        named = COVERED_BY.get(module) or COVERED_BY.get(module.split("/")[0])
        if named is not None:
            missing += [f"{module}: tests/{test}" for test in named.split() if not (ROOT / "tests" / test).exists()]
        elif not mirrored.exists():
            missing.append(f"{module}: {mirrored.relative_to(ROOT)}")
    assert missing == []


def test_every_slot_of_the_exchange_is_written_by_one_stage():
    slots: dict[str, set[str]] = {}
    for path in MODULES:
        if path.parent.name != "stages":
            continue
        for node in ast.walk(tree_of(path)):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            for target in targets:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "x":
                    slots.setdefault(target.attr, set()).add(path.stem)
    shared = {slot: stages for slot, stages in slots.items() if len(stages) > 1 and slot != "client_closed"}
    assert shared == {}
    assert len(slots) > 10


def test_every_public_thing_is_documented():
    missing = []
    for path in MODULES:
        tree = tree_of(path)
        if ast.get_docstring(tree) is None:
            missing.append(f"{name_of(path)}: the module")
        for node in tree.body:
            public = [node] if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) else []
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                public += [child for child in node.body if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))]
            for item in public:
                if not item.name.startswith("_") and ast.get_docstring(item) is None:
                    missing.append(f"{name_of(path)}:{item.lineno}: {item.name}")
    allowed = ("telemetry/admin.py", "host/state.py", "stages/authenticate.py", "settings/schema")
    assert [entry for entry in missing if not entry.startswith(allowed)] == []


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_file_names_a_machine_or_an_index():
    somebodys = re.compile(rb"(?<![\w.~-])/(?:root|home|Users|work)/[\w.-]+")
    index = re.compile(
        rb"https?://[\w.-]*(?:py" + rb"pi|np" + rb"mjs|deb" + rb"ian)[\w.-]*/|--(?:extra-)?index-" + rb"url"
    )
    wrong = []
    for path in tracked():
        data = path.read_bytes()
        if path.suffix in (".png", ".db") or path == Path(__file__):
            continue
        wrong += [f"{path.relative_to(ROOT)}: {match[0].decode()}" for match in somebodys.finditer(data)]
        if path.name != "lock":
            wrong += [f"{path.relative_to(ROOT)}: {match[0].decode()}" for match in index.finditer(data)]
    assert wrong == []


def test_nothing_is_left_for_later_without_saying_where():
    later = re.compile(rb"\b(TO" + rb"DO|FIX" + rb"ME|XX" + rb"X|HA" + rb"CK)\b(?!\(#\d+\))")
    wrong = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in (".py", ".sh", ".md") and later.search(path.read_bytes())
    ]
    assert wrong == []
