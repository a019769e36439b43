-- Six days and today up to this minute, then the worker takes over.
SET client_min_messages = warning;
SELECT revops.stop_worker() \g /dev/null
SELECT date_trunc('day', now() AT TIME ZONE 'Asia/Shanghai' - interval '6 days') AT TIME ZONE 'Asia/Shanghai' AS since, now() AS until \gset
SELECT revops.make_partitions(since => :'since') \g /dev/null
SET client_min_messages = notice;
CALL demo.write_script(:'since', :'until');
CALL demo.play(:'since', :'until');
