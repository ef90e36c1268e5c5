import {
  VULNERABILITY_SEVERITIES,
  type Audit,
  type Outdated,
  type Vulnerability,
} from '../../../contract/dependencies';

/** Lines of a list in a plan or a task; the report of npm has the rest. */
const MAX_LINES = 20;

export function auditText({ total, bySeverity }: Audit): string {
  if (total === 0) return 'no known vulnerability';
  const each = VULNERABILITY_SEVERITIES.flatMap((severity) => {
    const count = bySeverity[severity] ?? 0;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  return `${total} vulnerable packages: ${each.join(', ')}`;
}

export function outdatedText(outdated: Outdated | null): string {
  if (outdated === null) return 'not configured';
  const { total, inRange, absent } = outdated;
  const unknown = absent === 0 ? '' : `, ${absent} not installed there`;
  return `${total === 0 ? 'nothing is outdated' : `${total} outdated, ${inRange} within their ranges`}${unknown}`;
}

/** What is vulnerable and can be mended, the worst first. */
export function fixLines({ worst, total }: Audit): string[] {
  return limited(worst.filter(({ fix }) => fix !== null).map(fixLine), total - worst.length);
}

function fixLine({ name, severity, direct, titles, fix }: Vulnerability): string {
  const what = titles.length === 0 ? 'by what it uses' : titles.join('; ');
  const to =
    fix?.version === undefined
      ? 'within its range'
      : `${fix.name} ${fix.version}${fix.major ? ', a major version' : ''}`;
  return `${severity} ${name}${direct ? ' (direct)' : ''}: ${what}. Fix: ${to}`;
}

/** What nothing mends yet. */
export function unfixable({ worst }: Audit): string[] {
  return worst.filter(({ fix }) => fix === null).map(({ name, severity }) => `${severity} ${name}`);
}

/** Updates that the ranges of today let in; what lies beyond them is a decision of its own. */
export function updateLines(outdated: Outdated | null): string[] {
  const { packages = [], inRange = 0 } = outdated ?? {};
  const lines = packages
    .filter(({ current, wanted }) => current !== wanted)
    .map(({ name, current, wanted, latest }) => {
      const newer = latest === wanted ? '' : `, newest ${latest}`;
      return `${name} ${current} to ${wanted}${newer}`;
    });
  return limited(lines, inRange - lines.length);
}

function limited(lines: string[], unread: number): string[] {
  const more = Math.max(0, lines.length - MAX_LINES) + unread;
  return [...lines.slice(0, MAX_LINES), ...(more > 0 ? [`and up to ${more} more, which npm lists`] : [])];
}
