#!/bin/bash
# make dist: the PGXN archive pg_revops-VERSION.zip, of what is committed, or of an exported tree as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n "s/^default_version = '\(.*\)'$/\1/p" pg_revops.control)
name=pg_revops-$version
if git rev-parse --show-toplevel >/dev/null 2>&1 && [ "$(git rev-parse --show-toplevel)" = "$PWD" ]; then
	git archive --format=zip --prefix="$name/" -o "$name.zip" HEAD
else
	python3 - "$name" <<-'END'
		import fnmatch, os, sys, zipfile
		name = sys.argv[1]
		left_out = ['.git', 'results', 'output_iso', 'tmp_check', 'work', '__pycache__', '.debhelper', '*.o', '*.bc', '*.so', 'regression.*',
		            'pg_revops--[0-9]*.sql', 'pg_revops-*.zip', 'postgresql-*-revops']
		with zipfile.ZipFile(name + '.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
		    for folder, folders, files in os.walk('.'):
		        here = os.path.relpath(folder, '.')
		        kept = lambda n: not any(fnmatch.fnmatch(n, p) for p in left_out) or here == 'upgrade'
		        folders[:] = sorted(filter(kept, folders))
		        for f in sorted(filter(kept, files)):
		            archive.write(os.path.join(folder, f), os.path.normpath(os.path.join(name, here, f)))
	END
fi
echo "$name.zip"
