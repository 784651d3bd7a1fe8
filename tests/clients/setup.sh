#!/usr/bin/env bash
# The official SDKs, in environments of their own: their pins clash with mitmproxy's.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/venv.sh
here=tests/clients
stamp=$here/.venv/.lock-installed
wanted=$(cksum <$here/requirements.lock)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  say "installing the Python SDKs for the client tests"
  rm -rf $here/.venv
  .venv/bin/python -m venv $here/.venv
  $here/.venv/bin/python -m pip install --disable-pip-version-check -qq --require-hashes -r $here/requirements.lock ||
    give_up "the client SDKs could not be installed" "check the network, or leave them out: scripts/test --quick"
  printf '%s\n' "$wanted" >"$stamp"
fi
if ! command -v npm >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing Node.js from Debian's packages"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null ||
      say "Node.js could not be installed: its client tests will be skipped"
  else
    say "no npm here: the Node client tests will be skipped (install Node.js 18 or newer)"
  fi
fi
if command -v npm >/dev/null 2>&1; then
  stamp=$here/node/node_modules/.lock-installed
  wanted=$(cksum <$here/node/package-lock.json)
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    say "installing the Node SDKs for the client tests"
    (cd $here/node && npm ci --no-audit --no-fund --loglevel=error) ||
      give_up "the Node SDKs could not be installed" "check the network, or leave them out: scripts/test --quick"
    printf '%s\n' "$wanted" >"$stamp"
  fi
fi
