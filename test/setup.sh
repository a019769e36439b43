#!/bin/bash
# make setup: install what building and testing need.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_root
install_packages
say "PostgreSQL $PGV, its headers, pg_cron, jansson, vectorscan, IPC::Run and jsonschema are installed."
