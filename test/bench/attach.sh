# attach.sh: what an attached table costs its writers, and how fast its rows are taken over; run.sh runs it, as its part "attach".
n=$(scaled 500000)
say "attach: making $n rows ..."
sql -c "CALL bench.worker(false)" -v n="$n" -v file="$dir/deal.csv" -f - <<'S' >/dev/null
CREATE TABLE bench.deal (id text PRIMARY KEY, account text, agent text, product text, phase text, worth int, opened date, closed date);
CREATE TABLE bench.attached_deal (LIKE bench.deal INCLUDING ALL);
INSERT INTO bench.deal
SELECT 'OPP' || lpad(g::text, 8, '0'), 'Account ' || g % 1000, 'Rep ' || g % 50, 'Product ' || g % 7, (ARRAY['Prospecting', 'Engaging', 'Won', 'Lost'])[1 + g % 4],
       (random() * 5000)::int, date '2024-01-01' + g % 700, CASE WHEN g % 4 > 1 THEN date '2024-02-01' + g % 700 END
FROM generate_series(1, :n) g;
COPY bench.deal TO :'file' CSV;
SELECT revops.attach('bench.attached_deal', 'opportunity', '{"opportunity": "id", "account": "account", "owner": "agent", "stage": "phase", "amount": "worth", "opened_at": "opened",
	"status": "CASE phase WHEN ''Won'' THEN ''won'' WHEN ''Lost'' THEN ''lost'' ELSE ''open'' END"}', backfill => false);
S
load_deals() { sql -c "COPY bench.$1 FROM '$dir/deal.csv' CSV"; }
empty_deals() { sql -c "TRUNCATE bench.deal, bench.attached_deal" -c "TRUNCATE revops.attachment_change" -c CHECKPOINT; }
plain=() attached=()
for ((i = 1; i <= rounds; i++)); do
	empty_deals; plain+=("$(seconds load_deals deal)")
	empty_deals; attached+=("$(seconds load_deals attached_deal)")
	say "attach, round $i: ${plain[-1]} s without, ${attached[-1]} s with"
done
a=$(median "${attached[@]}") b=$(median "${plain[@]}")
row "COPY of $n rows, attached / not" "$(ratio "$a" "$b") ($a s / $b s)" "<= 1.5" "$(ratio "$a" "$b")" "<=" 1.5
# a tenth of them
sql -c "DELETE FROM revops.attachment_change WHERE change_id > (SELECT min(change_id) + $n / 10000 FROM revops.attachment_change)"
t=$(seconds sql -c "SELECT revops.apply_attachments()")
k=$(sql -c "SELECT count(*) FROM revops.opportunity")
row "Rows taken over a second, new opportunities" "$(ratio "$k" "$t") ($k in $t s)" - 0

secs=$(scaled 8); [ "$secs" -ge 3 ] || secs=3
single=() single_plain=()
for t in deal attached_deal; do
	printf '%s\n' "\\set g random(1, $n)" "UPDATE bench.$t SET worth = worth + 1 WHERE id = 'OPP' || lpad(:g::int::text, 8, '0');" >"$dir/$t.sql"
done
load_deals deal
sql -c "VACUUM ANALYZE bench.deal" -c "VACUUM ANALYZE bench.attached_deal"
for ((i = 1; i <= rounds; i++)); do
	for t in deal attached_deal; do
		sql -c CHECKPOINT
		got=$(PGOPTIONS="-c synchronous_commit=off" "$PGBIN/pgbench" -n -M prepared -c 1 -T "$secs" -f "$dir/$t.sql" 2>/dev/null | sed -nE 's/^latency average = ([0-9.]+).*/\1/p')
		if [ $t = deal ]; then single_plain+=("$got"); else single+=("$got"); fi
	done
done
row "UPDATE of one row, attached / not, synchronous_commit off" "$(median "${single[@]}") ms / $(median "${single_plain[@]}") ms" - 0
