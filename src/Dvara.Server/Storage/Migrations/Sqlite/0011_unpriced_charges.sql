-- Usage without a price is looked for by model; it is rare, so the index stays small and other charges do not pay for it.
CREATE INDEX charges_unpriced ON charges (at_ms) WHERE state = 'UNPRICED';
