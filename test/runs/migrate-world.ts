import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { Client } from 'pg';
import { serviceSchema, type EnvironmentConfig } from '../../src/config/schema';
import type { Waiting } from '../../src/contract/report';
import { useDriver } from './harness';

/** A driver, migrations for it, and what a run could have changed. */
export function useMigrations() {
  const driver = useDriver();
  const columns = (environment: 'production' | 'staging') =>
    driver.sql<{ column_name: string }>(
      `SELECT table_name || '.' || column_name AS column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`,
      environment,
    );
  const write = (name: string, sql: string) =>
    writeFileSync(join(driver.stack.directory, 'migrations', name), sql);

  /** Everything a run could have changed, as text. */
  async function snapshot(): Promise<string> {
    const state = [];
    for (const environment of ['production', 'staging'] as const) {
      state.push(await columns(environment));
      state.push(
        await driver.sql(
          `SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY 1`,
          environment,
        ),
      );
    }
    state.push(await driver.sql('SELECT datname FROM pg_database ORDER BY 1', 'postgres'));
    state.push(driver.backups());
    return JSON.stringify(state);
  }

  /** The service `blank`, whose database has no table. Returns its production. */
  async function addBlank(): Promise<EnvironmentConfig> {
    const { config, postgres } = driver.stack;
    await driver.sql('CREATE DATABASE booking_blank', 'postgres');
    const database = {
      url: postgres.url.replace(/\/postgres$/, '/booking_blank'),
      identity: { systemIdentifier: postgres.systemIdentifier, database: 'booking_blank' },
    };
    const service = serviceSchema.parse({
      environments: { production: { database } },
      migrations: { directory: 'blank' },
      backups: { directory: 'backups' },
      mode: 'auto',
    });
    config.services['blank'] = service;
    return service.environments['production']!;
  }

  return { driver, columns, write, snapshot, addBlank };
}

export const STRANGER = { cause: { message: 'eve is not among the approvers of booking: ben' } };

/** The same where only one person may approve, with an application that falls ill, and what a way back must restore. */
export function useWaysBack() {
  const { driver, write } = useMigrations();
  beforeAll(() => {
    driver.stack.config.services['booking']!.approval.approvers = ['ben'];
  });
  const has = async (table: string, column: string, environment: 'production' | 'staging' = 'production') =>
    (
      await driver.sql(
        `SELECT FROM information_schema.columns WHERE table_name = '${table}' AND column_name = '${column}'`,
        environment,
      )
    ).length > 0;
  /** Tables with their columns in order; the application goes on writing rows. */
  const shape = (environment: 'production' | 'staging' = 'production') =>
    driver.sql(
      `SELECT c.relname, string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attnum) AS columns
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' GROUP BY c.relname ORDER BY 1`,
      environment,
    );
  /** Rows and values of what nobody writes to meanwhile. */
  const contents = (table: string, environment: 'production' | 'staging' = 'production') =>
    driver.sql(`SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ${table} AS t`, environment);
  const production = () => driver.stack.config.services['booking']!.environments['production']!;
  /** Makes the verification of production fail from now on. */
  const breakHealth = () => {
    production().application!.health[0]!.url = `${driver.stack.app.url}/no-such-page`;
  };
  const mendHealth = () => {
    production().application!.health[0]!.url = `${driver.stack.app.url}/health`;
  };
  beforeEach(mendHealth);

  return {
    driver,
    write,
    has,
    shape,
    contents,
    production,
    breakHealth,
    mendHealth,
    refusesStranger: (handle: WorkflowHandle, { id }: Waiting, choice: string) =>
      expect(driver.answer(handle, 'decide', { question: id, choice, by: 'eve' })).rejects.toMatchObject(
        STRANGER,
      ),
    /** A session of the role that migrates production. */
    connect: async (): Promise<Client> => {
      const client = new Client({ connectionString: driver.stack.booking.urls.production.migrator });
      await client.connect();
      return client;
    },
    copyingOffsite: async <T>(command: string, body: () => Promise<T>): Promise<T> => {
      const { backups } = driver.stack.config.services['booking']!;
      backups!.upload = {
        run: ['/bin/sh', '-c', command],
        directory: '.',
        environment: {},
        timeoutSeconds: 60,
      };
      return body().finally(() => delete backups!.upload);
    },
  };
}
