#!/bin/bash
# make soak: hours of ordinary use in minutes. Writers, texts, moments, cards, attached rows, views, models and reconnects for SOAK_MINUTES (30)
# against a throw-away cluster, while the private memory of the worker, the launcher and a session that never ends is sampled. Fails when one
# grows after its warm-up, when the stream did not keep up, and when the server said something that it should not.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
need_root
install_packages
copy_tree
trap 'rm -rf "$work"' EXIT
build_and_install
[ -d /var/run/postgresql ] || install -d -m 2775 -o postgres -g postgres /var/run/postgresql
export SOAK_MINUTES=${SOAK_MINUTES:-30} SOAK_PAUSE=${SOAK_PAUSE:-1} SOAK_BOUND=${SOAK_BOUND:-8192} SOAK_SAMPLES=$work/samples.csv
# what a session keeps of the patterns of earlier publications grows up to this setting, and no further: here it gets there in the warm-up
as_postgres pg_virtualenv -v "$PGV" -o shared_preload_libraries=pg_revops -o max_wal_size=256MB -o revops.pattern_memory=16MB bash "$tree/test/soak/run.sh"
