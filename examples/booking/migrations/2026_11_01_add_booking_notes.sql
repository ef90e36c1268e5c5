-- Good. A nullable column without a default is a change of the catalogue only, however big the table is.
-- The check is NOT VALID: it holds for everything written from now on, and nothing older has notes, so there is
-- nothing to scan under the lock.
ALTER TABLE bookings ADD COLUMN notes text;
ALTER TABLE bookings ADD CONSTRAINT bookings_notes_length CHECK (char_length(notes) <= 2000) NOT VALID;
