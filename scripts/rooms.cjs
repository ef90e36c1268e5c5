/**
 * The rooms of src, from the ground up: each imports only from those before it. Written once: the zones of
 * eslint.config.mjs and test/rooms.test.ts are made of it.
 */
const rooms = [
  'contract',
  'host',
  'config',
  'telemetry',
  'catalogue',
  'report/text',
  'report/page',
  'report/history',
  'activities/support',
  'activities/postgres/session',
  'activities/postgres/indexes',
  'activities/observe',
  'activities/postgres/repair',
  'packs/definition',
  'doors/pack',
  'doors/activity',
  'activities',
  'workflows/kit',
  'doors/workflow',
  'workflows',
  'packs',
  'build',
  'alerts',
  'schedules',
  'versions',
  'check',
  'metrics',
  'worker',
  'doors/worker',
  'local',
  'doors/testing',
  'cli',
];

/** What may be in the workflow bundle. */
const sandboxSafe = ['contract', 'report/text', 'doors/workflow', 'workflows'];

/**
 * The systems that activities operate: none knows another. PostgreSQL's session is for everyone, for the fence, and so are
 * its builds of indexes, the eyes on a service and its repair, for rows.
 */
const systems = [
  'application',
  'auth',
  'bookings',
  'calendar',
  'delivery',
  'dependencies',
  'deployments',
  'drafts',
  'guard',
  'incidents',
  'inventory',
  'listings',
  'notifications',
  'payments',
  'policy',
  'postgres',
  'recovery',
  'queues',
  'security',
];

/**
 * The kit's only door is its index. The guard has one of its own: it is no runbook, so it has no `run` through which
 * activities and their retries, and its versioning, could come to it. The worker sets the flags that versioning and
 * the failure converter read.
 */
const doors = [
  {
    target: ['./src/!(workflows|worker)/**/*', './src/workflows/!(kit|guard)/**/*'],
    except: ['./index.ts'],
  },
  { target: './src/workflows/guard', except: ['./index.ts', './presets.ts', './versioning.ts'] },
  { target: './src/worker', except: ['./versioning.ts', './failure-converter.ts'] },
];

const { readdirSync } = require('node:fs');
const { join } = require('node:path');

/** An example knows no other, nor how it is started: what two need is in `shared`. Those of packs are packages of their own. */
const shared = ['shared', 'simulators', 'example.ts'];
const examples = readdirSync(join(__dirname, '../examples'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'pack')
  .map(({ name }) => ({
    target: `./examples/${name}`,
    from: './examples',
    except: [...new Set([name, ...shared])].map((one) => `./${one}`),
    message: 'An example knows no other: what two need is in examples/shared.',
  }));
const outsideExamples = ['./src', './test'].map((from) => ({
  target: './examples/!(pack)/**/*',
  from,
  message: 'An example is a service of somebody else: it knows the configuration, and none of our code.',
}));
const whoStartsExamples = {
  target: './src/!(local|cli)/**/*',
  from: './examples',
  message: 'Only the embedded stack knows the examples.',
};

/** Our areas are packs like anybody's: what packs and cards are made of comes through the public doors. */
const behindTheDoors = [
  'catalogue',
  'config',
  'contract',
  'activities/support',
  'packs/definition',
  'workflows/kit',
];
const ourPacks = ['./src/packs/!(own|write-*).ts', './src/workflows/*/*/card.ts'];

const inSrc = (room) => `./src/${room}`;
const zones = [
  ...rooms.flatMap((room, index) =>
    rooms.slice(index + 1).map((later) => ({
      target: inSrc(room),
      from: inSrc(later),
      // A room within a room has a place of its own.
      except: rooms
        .slice(0, index + 1)
        .filter((one) => one.startsWith(`${later}/`))
        .map((one) => `./${one.slice(later.length + 1)}`),
      message: `src/${room} imports only from the rooms before it: see scripts/rooms.cjs.`,
    })),
  ),
  ...systems.map((system) => ({
    target: inSrc(`activities/${system}`),
    from: inSrc('activities'),
    except: [
      './support',
      './postgres/session',
      './postgres/indexes',
      './postgres/repair',
      './observe',
      `./${system}`,
    ],
    message: 'A system knows no other system: what two need is in activities/support or contract.',
  })),
  ...behindTheDoors.map((room) => ({
    target: ourPacks,
    from: inSrc(room),
    message: 'Our own packs use the public doors, src/doors, like anybody’s.',
  })),
  ...examples,
  ...outsideExamples,
  whoStartsExamples,
  ...doors.map((door) => ({
    ...door,
    from: inSrc('workflows/kit'),
    message: 'The kit is imported through its index only.',
  })),
];

module.exports = { rooms, sandboxSafe, zones };
