#!/bin/bash
# make bench: build and install a copy of the tree, then measure (test/bench/run.sh).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_root
install_packages
copy_tree
trap 'rm -rf "$work"' EXIT
build_and_install
export PGV PGBIN
cd "$tree"
bash test/bench/run.sh "$@"
