# Shared by the scripts beside it; sourced, never run. Needs bash 3.2 or newer and nothing else.
#
# The virtual environment is "$VENV" (default: .venv beside pyproject.toml). Words go to stderr,
# so that the standard output of a script belongs to the command it runs.

ROOT="$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)"
VENV="${VENV:-$ROOT/.venv}"
case "$VENV" in
  /*) ;;
  *) VENV="$PWD/$VENV" ;;
esac
STAMP="$VENV/.orchestrator-stamp"

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0
unset PYTHONHOME PYTHONPATH

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# Run a command without its output; show the output if it fails.
quietly() {
  local log status=0
  log="$(mktemp)"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    say "error: this failed (exit code $status): $*"
  fi
  rm -f "$log"
  return "$status"
}

# --- Python ---------------------------------------------------------------------------------

# Prints how well an interpreter suits: 0 tested version, 1 newer than tested, 2 cannot make a
# virtual environment, 9 not at all. (It runs under any Python, hence the old-fashioned code.)
PROBE='
import sys
def rank():
    if sys.version_info < (3, 11):
        return 9
    try:
        import sqlite3, ssl
    except ImportError:
        return 9
    try:
        import ensurepip, venv
    except ImportError:
        return 2
    return 0 if sys.version_info < (3, 14) else 1
sys.stdout.write(str(rank()))
'

# Sets PYTHON_FOUND and PYTHON_RANK to the best interpreter; rank 9 means that there is none.
# An explicit PYTHON is the only candidate.
find_python() {
  local name rank
  PYTHON_FOUND='' PYTHON_RANK=9
  for name in ${PYTHON:-python3 python python3.13 python3.12 python3.11 python3.14 python3.15}; do
    command -v "$name" >/dev/null 2>&1 || continue
    rank="$("$name" -c "$PROBE" 2>/dev/null </dev/null)" || continue
    case "$rank" in [0-9]) ;; *) continue ;; esac
    if [ "$rank" -lt "$PYTHON_RANK" ]; then
      PYTHON_FOUND="$name" PYTHON_RANK="$rank"
    fi
    [ "$rank" -eq 0 ] && return 0
  done
  return 0
}

# The system's package for virtual environments that belongs to an interpreter ("python3.11-venv").
venv_package() {
  "$1" -c 'import sys; sys.stdout.write("python%d.%d-venv" % sys.version_info[:2])'
}

# Leaves a usable interpreter in PYTHON_FOUND, or explains what to install and ends.
require_python() {
  local package
  find_python
  if [ "$PYTHON_RANK" -eq 2 ]; then
    package="$(venv_package "$PYTHON_FOUND")"
    say "$PYTHON_FOUND cannot make virtual environments; its system package is $package."
    apt_install "$package" && find_python
    [ "$PYTHON_RANK" -lt 2 ] ||
      die "install $package (Debian, Ubuntu: apt-get install $package) and run this again"
  fi
  [ "$PYTHON_RANK" -lt 2 ] || die "no Python 3.11 or newer (with its sqlite3 and ssl modules) was" \
    "found${PYTHON:+ as PYTHON=$PYTHON}. Install one (Debian, Ubuntu: apt-get install python3" \
    "python3-venv; macOS: brew install python), or name it: PYTHON=/path/to/python3 $0"
}

# --- System packages ------------------------------------------------------------------------

# Install system packages where that works without a question; otherwise return 1.
apt_install() {
  local as_root=''
  command -v apt-get >/dev/null 2>&1 || return 1
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null || return 1
    as_root='sudo -n'
  fi
  say "Installing from the system's packages: $*"
  quietly $as_root apt-get update || return 1
  quietly $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
    --no-install-recommends "$@"
}

# The browser tests, where there are any, need Chromium.
ensure_chromium() {
  local name
  [ -d "$ROOT/tests/browser" ] || return 0
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && return 0
  done
  apt_install chromium || die "the browser tests need Chromium. Install it (Debian, Ubuntu:" \
    "apt-get install chromium) and run this again, or leave them out: scripts/test" \
    "--ignore tests/browser"
}

# --- The virtual environment ----------------------------------------------------------------

# What an installation depends on, in one line. A moved clone counts as changed.
wanted_stamp() {
  local digest
  digest="$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum)"
  printf '%s %s' "${digest// /-}" "$ROOT"
}

venv_works() {
  "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' \
    >/dev/null 2>&1 </dev/null
}

# Makes "$VENV" unless a working one is there. Never empties a folder that is not ours.
ensure_venv() {
  venv_works && return 0
  require_python
  if [ -e "$VENV" ] && [ ! -e "$STAMP" ] && [ "$VENV" != "$ROOT/.venv" ]; then
    [ -d "$VENV" ] && [ -z "$(ls -A "$VENV")" ] ||
      die "$VENV is there, but is no working virtual environment with Python 3.11 or newer and" \
        "pip. Remove it, or name another folder: VENV=/path/to/folder $0"
  fi
  say "Making the virtual environment $VENV ($("$PYTHON_FOUND" -V 2>&1))"
  quietly "$PYTHON_FOUND" -m venv --clear "$VENV" || die "the virtual environment was not made"
  : >"$STAMP"
}

# ensure_installed [EXTRA...]: the project, editable, in the tested versions. Quick when nothing
# changed; an environment that has more extras than asked for will do.
ensure_installed() {
  local extras='' extra stamp have=''
  for extra in "$@"; do extras="$extras,$extra"; done
  ensure_venv
  stamp="$(wanted_stamp)"
  [ -r "$STAMP" ] && have="$(cat "$STAMP")"
  if [ "${have%% extras=*}" = "$stamp" ] && has_extras "${have##* extras=}" "$@"; then
    return 0
  fi
  say "Installing the project and what it needs (the first time takes about a minute)"
  rm -f "$STAMP"
  quietly "$VENV/bin/python" -m pip install --quiet --constraint "$ROOT/constraints.txt" \
    --editable "$ROOT${extras:+[${extras#,}]}" ||
    die "the installation failed; the lines above say why. Mind the network and pip's settings" \
      "(pip config list), then run this again."
  printf '%s extras=%s,\n' "$stamp" "$extras" >"$STAMP"
}

# has_extras LIST [EXTRA...]: LIST is ",a,b,".
has_extras() {
  local list="$1" extra
  shift
  for extra in "$@"; do
    case "$list" in *",$extra,"*) ;; *) return 1 ;; esac
  done
}
