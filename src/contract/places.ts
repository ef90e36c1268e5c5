import type { AdmissionNotice, Letter, Release } from './guard';

/** Workflow type of a shard of the places. */
export const PLACES_TYPE = 'places';

/** Runs that nobody started by hand, by what started them: neither kind takes the places of the other. */
export const POOLS = ['alerts', 'schedules'] as const;

export type Pool = (typeof POOLS)[number];

/** How many runs that nobody started may work at once, over all services, and among how many shards that is divided. */
export interface PlaceLimits {
  alerts: number;
  schedules: number;
  shards: number;
}

/** What a run needs of the places of all services. */
export interface PlaceWish {
  pool: Pool;
  /** The shard of its service. */
  shard: number;
  limits: PlaceLimits;
}

/** A run that asks a shard for a place, with what it is to be told along with it. */
export interface PlaceRequest extends PlaceWish, Release {
  rank: number;
  notice: AdmissionNotice;
  /** Has a place at once or none, and does not wait: it is the run itself that hears. */
  glance?: true;
  /** The shard where it waits, which asks for it: one that has a place offers it to that shard, one that has none forgets it. */
  passedBy?: number;
}

/** A place for a run that waits at another shard, and of which shard it is. */
export interface PlaceOffer extends Release {
  shard: number;
}

/** State of a shard: answer of its `state` query, and its argument when it continues as new. */
export interface PlacesState {
  shard: number;
  limits: PlaceLimits;
  taken: (Release & { pool: Pool; since: string })[];
  /** The most urgent first. */
  queue: (PlaceRequest & { since: string })[];
  letters: Letter[];
}

export function placesId(shard: number): string {
  return `places/${shard}`;
}

/** How many services share a shard: at a run a minute of each, one workflow gets a tenth of what it can bear. */
const SERVICES_PER_SHARD = 5;

/** As many shards as the services need, and no more than there are places of the smaller pool. */
export function shardsFor(services: number, alerts: number, schedules: number): number {
  return Math.max(1, Math.min(Math.ceil(services / SERVICES_PER_SHARD), alerts, schedules));
}

/** FNV-1a: any that spreads names evenly would do, and stays the same. */
export function shardOf(service: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (const char of service) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return (hash >>> 0) % shards;
}

/** Places of one shard; those of all shards together are the limit. */
export function quotaOf(pool: Pool, shard: number, limits: PlaceLimits): number {
  const { [pool]: total, shards } = limits;
  return Math.floor(total / shards) + (shard < total % shards ? 1 : 0);
}
