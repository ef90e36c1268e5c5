/** Fields that name what lies on the disk of one worker's host. */
const FIELDS = ['scratch', 'backupId'];

/** On which host lies what a run has made or chosen: by field and name. */
export type Whereabouts = Map<string, string>;

/** Added to the result of an activity that made, or found, such things: later activities that name them go to that host. */
export interface OnHost {
  workerHost: string;
}

/** The task queue of one host, beside the one that every worker takes work from. */
export function hostQueue(taskQueue: string, host: string): string {
  return `${taskQueue}@${host}`;
}

/** The host that an activity with this input must run on; undefined: any. */
export function hostFor(whereabouts: Whereabouts, input: unknown): string | undefined {
  return (
    hostIn(input) ??
    namesIn(input)
      .map((name) => whereabouts.get(name))
      .find((host) => host !== undefined)
  );
}

/** Whether the host itself is meant, and not what lies there. */
export function isAskedByName(input: unknown): boolean {
  return hostIn(input) !== undefined;
}

/** From now on, what `about` names lies on that host. */
export function bind(whereabouts: Whereabouts, about: unknown, host: string): void {
  for (const name of namesIn(about)) whereabouts.set(name, host);
}

/** Takes up what a result says about where things lie. */
export function learn(whereabouts: Whereabouts, result: unknown): void {
  for (const one of Array.isArray(result) ? (result as unknown[]) : [result]) {
    const host = hostIn(one);
    if (host !== undefined) bind(whereabouts, one, host);
  }
}

function hostIn(value: unknown): string | undefined {
  const host = isRecord(value) ? value['workerHost'] : undefined;
  return typeof host === 'string' ? host : undefined;
}

/** Of the value itself and of the references in it; disposable clusters first, which lie where their backup is. */
function namesIn(value: unknown): string[] {
  if (!isRecord(value)) return [];
  const records = [value, ...Object.values(value).filter(isRecord)];
  return FIELDS.flatMap((field) =>
    records.flatMap((record) => (typeof record[field] === 'string' ? [`${field}:${record[field]}`] : [])),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
