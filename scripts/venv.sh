# Sourced by the other scripts: makes .venv in the checkout if it is missing or out of date.
#
# Finds any Python >= 3.12 ($PYTHON, PATH, pyenv, asdf, mise, uv), installs exactly what requirements.lock says, and says
# what it does.  Fails with a cause and a next step.
# shellcheck shell=bash

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }

give_up() { # CAUSE NEXT-STEP
  printf 'cannot go on: %s\n   next step: %s\n' "$1" "$2" >&2
  exit 2
}

is_python() { # a shim can exist and still have no Python behind it
  "$1" -c 'import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.14 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python \
    "${ASDF_DATA_DIR:-$HOME/.asdf}"/installs/python/3.1[2-9]*/bin/python \
    "${MISE_DATA_DIR:-$HOME/.local/share/mise}"/installs/python/3.1[2-9]*/bin/python \
    /usr/local/bin/python3.1[2-9] /opt/homebrew/bin/python3.1[2-9]; do
    if is_python "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  if command -v uv >/dev/null 2>&1; then
    uv python find '>=3.12' 2>/dev/null || { uv python install 3.12 >&2 && uv python find '>=3.12'; } && return
  fi
  return 1
}

make_venv() {
  local stamp=.venv/.lock-installed wanted python
  wanted=$(cksum <requirements.lock; cksum <pyproject.toml)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c 'import jupiter_addons' 2>/dev/null && return
  if ! is_python .venv/bin/python; then
    python=$(find_python) || give_up "no Python 3.12 or newer was found (looked at \$PYTHON, PATH, pyenv, asdf, mise and uv)" \
      "install Python 3.12 or newer, or name one: PYTHON=/path/to/python3 $0"
    say "making .venv with $("$python" --version) at $python"
    rm -rf .venv
    "$python" -m venv .venv || give_up "the virtual environment could not be made" "see the message above; is the disk full?"
  fi
  say "installing the locked dependencies (once; about half a minute)"
  if ! .venv/bin/python -m pip install --disable-pip-version-check -qq --require-hashes -r requirements.lock; then
    give_up "the dependencies could not be installed" \
      "check the network, and pip's settings if a proxy or a mirror is needed (pip config list); then run this again"
  fi
  .venv/bin/python -m pip install --disable-pip-version-check -qq --no-deps --no-build-isolation -e . ||
    give_up "the project itself could not be installed" "see the message above"
  printf '%s\n' "$wanted" >"$stamp"
}

make_venv
