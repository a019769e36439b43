\echo Use "ALTER EXTENSION pg_revops UPDATE TO '1.0.1'" to load this file. \quit

CREATE OR REPLACE FUNCTION revops.strip_attachment(attachment int, kind text, rel regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    name    text;
BEGIN
    FOR name IN
        -- not LIKE: to plan it takes the square of the pattern's length
        SELECT g.tgname FROM pg_trigger g
        WHERE g.tgrelid = rel AND g.tgfoid = 'revops.attachment_trigger'::regproc AND left(g.tgname, length(kind) + 8) = format('revops_%s_', kind)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, rel);
    END LOOP;
END $$;
