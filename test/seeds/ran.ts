import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(__dirname, '..', 'histories');

interface Payload {
  data?: string;
}
interface HistoryEvent {
  userMetadata?: { summary?: Payload };
  workflowExecutionStartedEventAttributes?: { workflowType: { name: string } };
  workflowExecutionCompletedEventAttributes?: { result?: { payloads: Payload[] } };
}

/** Titles of what each runbook did in its stored histories: of its activities, and of the timeline of its report. */
export function ranByRunbook(): Map<string, Set<string>> {
  const ran = new Map<string, Set<string>>();
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json'))) {
    const { events } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { events: HistoryEvent[] };
    const runbook = events[0]?.workflowExecutionStartedEventAttributes?.workflowType.name ?? file;
    const titles = ran.get(runbook) ?? new Set();
    events.flatMap(titlesOf).forEach((title) => titles.add(title));
    ran.set(runbook, titles);
  }
  return ran;
}

function titlesOf({
  userMetadata,
  workflowExecutionCompletedEventAttributes: ended,
}: HistoryEvent): string[] {
  const report = decoded(ended?.result?.payloads[0]) as { timeline?: { title: string }[] } | undefined;
  const summary = decoded(userMetadata?.summary);
  return [
    ...(typeof summary === 'string' ? [summary] : []),
    ...(report?.timeline ?? []).map(({ title }) => title),
  ];
}

function decoded(payload: Payload | undefined): unknown {
  return payload?.data === undefined
    ? undefined
    : (JSON.parse(Buffer.from(payload.data, 'base64').toString('utf8')) as unknown);
}
