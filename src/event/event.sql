-- event: which lane a subject is of, and who stamps events

CREATE FUNCTION revops.subject_lane(subject_kind revops.subject_kind, subject text, lanes int) RETURNS int
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'subject_lane';
COMMENT ON FUNCTION revops.subject_lane(revops.subject_kind, text, int) IS
'The lane, 0 to lanes - 1, that works for a subject: by hash of its kind and key';

CREATE FUNCTION revops.stream_epoch() RETURNS int
LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'stream_epoch';
COMMENT ON FUNCTION revops.stream_epoch() IS
'A number for this cluster and database: transaction ids stamped under another one say nothing here';
