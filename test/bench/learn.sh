# learn.sh: training and classifying BANKING77 against scikit-learn, in turns; run.sh runs it, as its part "learn".
# Skipped where the data (REVOPS_DATA, else ../shared/data of the tree) or python3-sklearn is not there. One core each.
banking=${REVOPS_DATA:-$here/../../../shared/data}/intent/banking77.csv
if ! [ -r "$banking" ]; then
	say "learn: $banking is not there: left out"
elif ! /usr/bin/python3 -c 'import sklearn' 2>/dev/null; then
	say "learn: python3-sklearn is not installed: left out"
else
	sql -c "CREATE TABLE bench.banking (split text, label text, text text)" -c "\\copy bench.banking FROM '$banking' CSV HEADER"
	# texts a second: ten times all of them, after the model is loaded
	speed() {
		sql -f - <<'S' | tail -1
SET max_parallel_workers_per_gather = 0;
SELECT count(revops.best_label('bench', text)) AS n FROM bench.banking \gset
SELECT clock_timestamp() AS t \gset
SELECT count(revops.best_label('bench', text)) AS n FROM bench.banking, generate_series(1, 10) \gset
SELECT round(:n / extract(epoch FROM clock_timestamp() - :'t'));
S
	}
	ours=() theirs=() rate=() their_rate=()
	for ((i = 1; i <= rounds; i++)); do
		read -r t r a < <(OMP_NUM_THREADS=1 /usr/bin/python3 "$here/learn.py" "$banking")
		theirs+=("$t") their_rate+=("$r")
		ours+=("$(seconds sql -c "SELECT revops.train('bench', 'classify', \$\$SELECT text, label FROM bench.banking WHERE split = 'train'\$\$)")")
		sql -c "SELECT revops.deploy('bench', max(version)) FROM revops.model_version WHERE model = 'bench'" >/dev/null
		# ten times all texts, after the model is loaded
		rate+=("$(speed)")
		say "learn, round $i: train ${ours[-1]} s, scikit-learn ${theirs[-1]} s; classify ${rate[-1]} texts/s, scikit-learn ${their_rate[-1]}"
	done
	a=$(sql -c "SELECT round(value::numeric, 4) FROM revops.evaluate('bench', \$\$SELECT text, label FROM bench.banking WHERE split = 'test'\$\$) WHERE metric = 'accuracy'")
	o=$(median "${ours[@]}") s=$(median "${theirs[@]}") r=$(median "${rate[@]}") q=$(median "${their_rate[@]}")
	row "Training BANKING77, of scikit-learn's time" "$(ratio "$o" "$s") ($o s / $s s; accuracy $a)" "<= 1" "$(ratio "$o" "$s")" "<=" 1
	row "Classifying it, times scikit-learn's texts a second" "$(ratio "$r" "$q") ($r / $q)" ">= 10" "$(ratio "$r" "$q")" ">=" 10
fi
