CREATE TRIGGER audit_keeps_rows BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log can only be appended to'); END;

CREATE TRIGGER audit_loses_no_rows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log can only be appended to'); END;

-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_replaces_no_rows BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'the audit log can only be appended to'); END;
