-- roles: what each may do. PUBLIC may do nothing.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA revops FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA revops FROM PUBLIC;
GRANT USAGE ON SCHEMA revops TO revops_admin, revops_app, revops_reader;
GRANT USAGE ON TYPE revops.subject_kind TO revops_admin, revops_app, revops_reader;
