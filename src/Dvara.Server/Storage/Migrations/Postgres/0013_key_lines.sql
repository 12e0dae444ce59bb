-- The first key of the line of keys that came of each other by rotation, by which budgets of a key match; null: the key itself. What was
-- rotated before is a line of its own.
ALTER TABLE api_keys ADD COLUMN line_id uuid;
