-- The view as it was, options included. No row is touched, so this undo needs nobody's leave.
CREATE OR REPLACE VIEW slot_availability AS
SELECT slots.id AS slot_id, slots.resource_id, resources.listing_id, slots.starts_at, slots.ends_at,
  slots.capacity, listings.title, listings.price_cents, listings.currency
FROM slots
JOIN resources ON resources.id = slots.resource_id
JOIN listings ON listings.id = resources.listing_id
WHERE slots.status = 'open' AND slots.starts_at > now() AND listings.status = 'published';
