-- Charges in the journal that wait for the ledger, as its silo last said; null: nobody can say.
ALTER TABLE journals ADD COLUMN pending INTEGER;
