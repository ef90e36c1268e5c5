-- Destroys the notes written since: undoing with it is always asked for.
ALTER TABLE bookings DROP COLUMN notes;
