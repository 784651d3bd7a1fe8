"""The benchmark runs and prints what it promises; its figures are for people, not for a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.postgres import needs_postgres

NAMES = {
    "governed_json_cpu_ratio",
    "governed_json_cpu_ms",
    "stock_json_cpu_ms",
    "bare_host_cpu_ratio",
    "newconn_cpu_ratio",
    "bare_chunk_cpu_ratio",
    "governed_chunk_cpu_ratio",
    "ttfe_added_ms_p99",
    "streams_1000_rss_mb",
    "streams_1000_served",
    "worker_efficiency",
    "bare_added_latency_ms_p50",
    "bare_added_latency_ms_p99",
    "added_latency_ms_p50",
    "added_latency_ms_p99",
    "added_latency_rate_per_s",
    "rss_mb_idle",
    "cold_start_s",
    "calibration_s",
    "translation_request_ms",
    "translation_event_us",
    "translation_pairs",
}

TRANSLATION_NAMES = {"translation_request_ms", "translation_event_us", "translation_pairs", "calibration_s"}

POLICY_NAMES = {
    "policy_100x5_ms",
    "policy_100x5_ms_p99",
    "policy_100x5_oracle_ms",
    "policy_100x5_speedup",
    "policy_1000x5_ms",
    "policy_1000x5_ms_p99",
    "policy_1000x5_indexed_ms",
    "policy_1000x5_indexed_ms_p99",
    "policy_load_ms",
    "calibration_s",
}


EVIDENCE_NAMES = {
    "disk_sync_ms_p50",
    "disk_sync_ms_p99",
    "evidence_leaves_per_s",
    "evidence_durable_ms_p50",
    "evidence_durable_ms_p99",
    "evidence_loop_ms_p99",
    "evidence_cpu_ms_per_call",
    "evidence_verify_per_s",
    "evidence_verify_one_process_per_s",
    "evidence_bytes_per_leaf",
    "calibration_s",
}

FIRST = {
    "all": "governed_json_cpu_ms",
    "policy": "policy_100x5_ms",
    "translation": "translation_request_ms",
    "evidence": "evidence_leaves_per_s",
}
POSTGRES_NAMES = {"evidence_pg_own_logs", "evidence_pg_one_log", "evidence_pg_ratio"}


@pytest.mark.parametrize(
    ("what", "names"),
    [("all", NAMES), ("policy", POLICY_NAMES), ("translation", TRANSLATION_NAMES), ("evidence", EVIDENCE_NAMES)],
)
def test_the_quick_form_prints_one_object_with_all_figures(what, names):
    command = [sys.executable, str(Path(__file__).parent / "bench"), what, "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed) == {"figures", "machine"}
    assert set(printed["figures"]) == names
    assert all(isinstance(value, (int, float)) for value in printed["figures"].values())
    assert printed["figures"][FIRST[what]] > 0


@needs_postgres
def test_a_log_per_writer_is_measured_against_one_for_all():
    command = [sys.executable, str(Path(__file__).parent / "bench"), "postgres", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert set(figures) == POSTGRES_NAMES
    assert figures["evidence_pg_ratio"] > 1, done.stderr
