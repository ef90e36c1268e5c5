import { oneLine } from '../../../../src/activities/postgres/connections/lock-waits';

it.each([
  ["ALTER ROLE app\n PASSWORD 'hunter22'", "ALTER ROLE app PASSWORD '***'"],
  [
    "UPDATE customers SET name = 'Ana' WHERE mail = 'ana@exa",
    "UPDATE customers SET name = '***' WHERE mail = '***'",
  ],
  ["DO $x$ BEGIN PERFORM login('ana'); END $x$", 'DO ***'],
  ['SELECT 1 FROM slots WHERE id = $1 AND day = $2', 'SELECT 1 FROM slots WHERE id = $1 AND day = $2'],
])('shows of the statement %j no text that stands in quotes', (query, shown) => {
  expect(oneLine(query)).toBe(shown);
});
