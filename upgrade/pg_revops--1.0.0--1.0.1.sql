\echo Use "ALTER EXTENSION pg_revops UPDATE TO '1.0.1'" to load this file. \quit
