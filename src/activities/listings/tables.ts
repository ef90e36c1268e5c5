import type { Client } from 'pg';
import { readTables, valueParameter, type MappedTable } from '../postgres/repair/mapping';
import type { ListingsConfig } from './settings';

export type ListingTables = Awaited<ReturnType<typeof readListingTables>>;

/** The mapped tables, as the database has them. Throws MappingInvalid. */
export async function readListingTables(client: Client, service: string, { tables }: ListingsConfig) {
  return readTables(client, `services.${service}.listings.tables`, tables, {});
}

/** Providers and profiles are only read; audit rows are only added. */
export function changedTables({ listings }: ListingTables): MappedTable[] {
  return [listings];
}

export function writtenTables({ listings, audit }: ListingTables): string[] {
  return [listings.name, ...(audit === undefined ? [] : [audit.name])];
}

/**
 * `t` is published though its provider, or its property profile, is not approved; one that is gone counts as not approved.
 * Its parameters are those of `unapprovedParameters`, from $`first` on.
 */
export function unapproved({ listings, providers, profiles }: ListingTables, first: number): string {
  const { status, provider, profile, profileStatus } = listings.columns;
  const isApproved = (table: MappedTable<{ id: string; status: string }>, key: string, at: number) =>
    `EXISTS (SELECT FROM ${table.name} o WHERE o.${table.columns.id.name} = t.${key}
               AND o.${table.columns.status.name} = ${valueParameter(at, table.columns.status)})`;
  const approved = [isApproved(providers, provider.name, first + 1)];
  if (profiles !== undefined && profile !== undefined)
    approved.push(isApproved(profiles, profile.name, first + 2));
  if (profileStatus !== undefined)
    approved.push(`t.${profileStatus.name} IS NOT DISTINCT FROM ${valueParameter(first + 2, profileStatus)}`);
  return `t.${status.name} = ${valueParameter(first, status)} AND NOT (${approved.join(' AND ')})`;
}

/** One less where no profile is looked at: a parameter without a place in the statement is refused. */
export function unapprovedParameters({ listings }: ListingTables, { states }: ListingsConfig): string[] {
  const { profile, profileStatus } = listings.columns;
  const looks = profile !== undefined || profileStatus !== undefined;
  return [states.published, states.approved, ...(looks ? [states.profileApproved] : [])];
}
