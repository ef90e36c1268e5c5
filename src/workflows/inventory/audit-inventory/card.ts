import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const auditInventoryCard = card({
  name: 'auditInventory',
  title: 'Audit the inventory against its ledger',
  area: 'inventory',
  priority: 'P1',
  from: ['travel: 7.2 Inventory locking issues'],
  symptoms: [
    'report or alert: more units are sold than there are, or something is sold out that is not',
    'updates of the inventory are refused though there are units, or are not refused though there are none',
  ],
  impact:
    'customers arrive for what somebody else has bought, or nobody can buy what is there; every sale makes it worse',
  diagnosis: [
    'units sold against their capacity; counters against the sum of the ledger, and the ledger against the bookings that count',
    'updates that were refused lately for want of units, as the configured source says',
    'statements that read the counter without FOR UPDATE and write it without looking at the capacity, and transactions that hold its table now',
    'the newest entries of the ledger',
  ],
  resolution: [
    'stop confirmations, where that is configured; the plan says where it is not',
    'rebuild the counters of exactly the units of the plan, batch by batch, each from its ledger at the moment when its row is locked: what was sold since the plan is in it',
    'a unit whose ledger cannot be followed, or says something else than its bookings, is not rebuilt but named to a person',
    'where units are sold too often, ask whether confirmations stay stopped; without an answer in the configured time they are resumed',
    'which bookings give way is a task for a person, with their names: no booking is ever cancelled by the run',
    'verify counters, capacity, health checks and smoke test',
  ],
  prevention: [
    'take units in one statement that looks at the capacity, or read the row FOR UPDATE first',
    'a CHECK (sold <= capacity) on the units; an alert on counters that are not what the ledger adds up to',
  ],
  escalation: [
    'more units than the cap allows: nothing is changed, and the run fails; where an alert or a schedule started the run, the first rung is called',
    'confirmations cannot be resumed: the ladder is paged, with the exact way to do it by hand; the rebuilt counters and the lease are kept meanwhile',
    'counters cannot be put back: confirmations are resumed first, then people are called along the ladder',
  ],
  changes:
    'the counters of units and rows of the audit trail; put back exactly where the run fails, but not over what somebody changed since. Stops confirmations and resumes them. Ledger and bookings stay as they are',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
