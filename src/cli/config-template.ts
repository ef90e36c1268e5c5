export interface TemplateValues {
  service: string;
  databaseUrlEnv: string;
  systemIdentifier: string;
  database: string;
  /** Whether identity and name were read from the database itself. */
  identified: boolean;
}

/** Parses, and no server has it: until it is replaced every change is refused as WrongDatabase. */
export const UNKNOWN_IDENTIFIER = '0000000000';

/** A commented `runbooks.yaml` for one service. Valid as it stands; what is optional is commented out. */
export function configTemplate({
  service,
  databaseUrlEnv,
  systemIdentifier,
  database,
  identified,
}: TemplateValues): string {
  const identityNote = identified
    ? '# Read from the database just now. Checked in the same session before anything is changed.'
    : '# REPLACE both: `runbooks check` prints them. Until then every change is refused as WrongDatabase.';
  return `# yaml-language-server: $schema=./node_modules/durable-runbooks/runbooks.schema.json
#
# What the runbooks operate. No secret stands here: \${env:NAME} and \${file:PATH} are resolved on the worker.
# After every change: \`runbooks check\`. It tries each connection and changes nothing.

# temporal:                          # default: Temporal's environment configuration, else 127.0.0.1:7233
#   address: temporal.internal:7233
#   namespace: default
#   apiKey: \${env:TEMPORAL_CLOUD_KEY} # tls, codec: docs/operating.md
#   taskQueue: runbooks
#   uiUrl: https://temporal.internal # for links

services:
  ${service}:
    environments:
      production:                    # must have this name; others are yours to name
        database:
          # A direct connection: not through a pooler in transaction mode.
          url: \${env:${databaseUrlEnv}}
          identity:
            ${identityNote}
            systemIdentifier: '${systemIdentifier}'
            database: ${JSON.stringify(database)}
        # application:
        #   health:
        #     - { name: api, url: https://${service}.example.com/health }
        #   errorRate: { url: https://${service}.example.com/metrics.json, field: errorRate, max: 0.01 }
        #   soakSeconds: 60          # how long a migration is watched before it counts as good
        # smoke:
        #   run: [npm, run, smoke]
      # staging:                     # migrations are rehearsed here first
      #   database:
      #     url: \${env:STAGING_${databaseUrlEnv}}
      #     identity: { systemIdentifier: '${UNKNOWN_IDENTIFIER}', database: ${service}_staging }

    # The highest mode. observe: report the plan and stop; propose: wait for an approval; auto: go on alone.
    # Begin with observe; change it when the plans are those that you would have made.
    mode: observe
    # modes: { backUpDatabase: auto, drillRestore: auto } # else those of a schedule do nothing: they show their plan

    approval:
      fourEyes: false                # true: whoever started a run cannot approve it
      # approvers: [ana, sam]        # empty: anyone. To have names proven: \`runbooks keys create\`
      expiresAfterMinutes: 240       # an expired approval is a denied one
      escalateAfterMinutes: 15

    migrations:
      directory: migrations          # NAME.sql and NAME.down.sql, or as other tools have it: docs/migrations.md
      # role: shop_owner             # whom what they make belongs to; default: the role of the URL
      lockTimeoutMs: 500             # how long one try waits for a lock, and others behind it

    backups:
      directory: backups
      keep: 7
      maxAgeHours: 26
      # offsite:                     # any S3 storage; see docs/operating.md
      #   bucket: my-backups
      #   region: eu-central-1
      #   objectLockDays: 30         # nobody can delete a copy before

    restore:
      rtoMinutes: 60                 # a drill whose measured and estimated time is longer fails
      rpoMinutes: 1500
      requiredTables: []             # e.g. [public.bookings, public.customers]

    # An invariant is a SELECT that returns no row when all is well; checked after migrations and restores.
    # invariants:
    #   - name: no confirmed booking without a slot
    #     sql: SELECT id FROM bookings WHERE status = 'confirmed' AND slot_id IS NULL

    # notify:
    #   - { kind: slack, name: oncall, webhookUrl: "\${env:SLACK_WEBHOOK_URL}" }
    # escalation:
    #   - { name: on call, notify: [oncall] }

# worker:
#   listen: 127.0.0.1:9464           # its health and metrics
#   deploymentName: runbooks         # a run ends on the release that it began on; see docs/operating.md, Upgrades

# What starts by itself. See what would change with \`runbooks schedules diff\`, then \`runbooks schedules apply\`.
# Times in the hour of a change to or from daylight saving are missing, or come twice, once a year each.
# schedules:
#   daily-backup:
#     runbook: backUpDatabase
#     input: { service: ${service} }
#     cron: '15 4 * * *'             # minute hour day-of-month month day-of-week
#     timeZone: Europe/Berlin
#     catchUpMinutes: 360            # missed by more than this, e.g. while the server was down: left out
#   daily-backup-check:
#     runbook: checkBackups
#     input: { service: ${service} }
#     cron: '30 7 * * *'
#     timeZone: Europe/Berlin
#   weekly-restore-test:
#     runbook: drillRestore
#     input: { service: ${service}, recoveryPoint: random }
#     cron: '0 5 * * MON'
#     timeZone: Europe/Berlin
#     pauseOnFailure: true           # until a person has looked
`;
}
