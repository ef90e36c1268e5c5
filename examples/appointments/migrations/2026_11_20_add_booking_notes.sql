-- What guests want to say beforehand. Release 1.5.0 writes it. A nullable column without a default is a change of the
-- catalogue only; the check holds for everything written from now on, and nothing older has notes.
ALTER TABLE bookings ADD COLUMN notes text;
ALTER TABLE bookings ADD CONSTRAINT bookings_notes_length CHECK (char_length(notes) <= 2000) NOT VALID;
