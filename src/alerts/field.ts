import type { Alert } from '../contract/alert';

const PLAIN = ['source', 'fingerprint', 'startsAt', 'status', 'severity', 'title', 'link'] as const;
const GROUPED = /^(labels|annotations)\.(.+)$/s;

/** For messages: what matchers, groups and templates may name. */
export const FIELD_NAMES = `${PLAIN.join(', ')}, labels.<name>, annotations.<name>`;

export function isAlertField(name: string): boolean {
  return (PLAIN as readonly string[]).includes(name) || GROUPED.test(name);
}

/** The value of a field. As Prometheus has it, an empty one is an absent one: undefined. */
export function readField(alert: Alert, name: string): string | undefined {
  const [, group, key] = GROUPED.exec(name) ?? [];
  if (group === undefined || key === undefined) {
    const plain = PLAIN.find((one) => one === name);
    return (plain === undefined ? undefined : alert[plain]) || undefined;
  }
  const values = alert[group as 'labels' | 'annotations'];
  // Names come from outside: "constructor" is no label unless somebody sent one.
  return Object.hasOwn(values, key) ? values[key] || undefined : undefined;
}
