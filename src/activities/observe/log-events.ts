import { scrub } from '../../config/secrets';
import { idInFields, idInText, requestOf } from './request-ids';

/** One warning or error of a log, as it may be shown: its numbers and what looks like a secret are taken out. */
export interface LogEvent {
  level: 'warning' | 'error';
  message: string;
  stack: string;
  /** Of the request that it happened in, where the log says so. */
  requestId?: string;
  /** How often it came, where a source counts for itself; else once. */
  count?: number;
}

/** What a command prints is cut there, at its beginning. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_LINES = 50_000;
const MAX_MESSAGE = 160;
const MAX_STACK = 300;
const FRAMES = 3;

/** Whose stack trace may still go on in the lines after it. */
type OpenEvent = Omit<LogEvent, 'stack'> & { stack: string[] };

export interface ParsedLog {
  events: LogEvent[];
  /** Only its end was read. */
  cut: boolean;
  /** How many lines are JSON, and of how many of them nobody can tell how bad they are. */
  json: { lines: number; mute: number };
}

/** The warnings and errors of a log; everything else in it is left out. */
export function parseLog(printed: string): ParsedLog {
  const lines = printed.trimEnd().split('\n');
  const half = Buffer.byteLength(printed) >= MAX_BYTES;
  if (half) lines.shift();
  const cut = half || lines.length > MAX_LINES;
  if (lines.length > MAX_LINES) lines.splice(0, lines.length - MAX_LINES);
  const events: LogEvent[] = [];
  const json = { lines: 0, mute: 0 };
  let open: OpenEvent | undefined;
  for (const line of [...lines, '']) {
    if (/^\s+at /.test(line)) {
      open?.stack.push(line.trim());
      continue;
    }
    if (open !== undefined) events.push({ ...open, stack: shownStack(open.stack) });
    const fields = fieldsOf(line);
    open = fields === undefined ? eventOfText(line) : eventOfJson(fields);
    if (fields === undefined) continue;
    json.lines += 1;
    if (saidLevel(fields) === undefined) json.mute += 1;
  }
  return { events, cut, json };
}

function eventOfText(line: string): OpenEvent | undefined {
  const said = /\b(?:level|lvl|severity)="?(\w+)/i.exec(line)?.[1];
  const word =
    /\b(WARN(?:ING)?|ERROR|FATAL|CRITICAL|PANIC)\b/.exec(line)?.[0] ??
    /\[(?:\w+:)?(warn|error|crit|alert|emerg)\]/.exec(line)?.[1];
  const level = levelOf(said) ?? levelOf(word);
  if (level === undefined) return undefined;
  return { level, message: shown(line), stack: [], ...requestOf(idInText(line)) };
}

const LEVELS = ['level', 'severity', 'lvl', 'levelname', 'log.level', '@level', '@l'];

/** What an event of JSON says of how bad it is. */
export function saidLevel(json: Record<string, unknown>): unknown {
  const name = LEVELS.find((one) => json[one] !== undefined && json[one] !== null);
  return name === undefined ? undefined : json[name];
}

function eventOfJson(json: Record<string, unknown>): OpenEvent | undefined {
  const level = levelOf(saidLevel(json));
  if (level === undefined) return undefined;
  const error = json['err'] ?? json['error'];
  const inner = error !== null && typeof error === 'object' ? (error as Record<string, unknown>) : {};
  const message = firstText(json['message'], json['msg'], inner['message'], error);
  const stack = firstText(json['stack'], inner['stack']) ?? '';
  const frames = stack.split('\n').filter((one) => /^\s+at /.test(one));
  return {
    level,
    message: shown(message ?? 'without a message'),
    stack: frames.map((one) => one.trim()),
    ...requestOf(idInFields(json)),
  };
}

function firstText(...given: unknown[]): string | undefined {
  return given.find((one): one is string => typeof one === 'string' && one !== '');
}

/** Those of a line that is an object of JSON. */
export function fieldsOf(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Words of people, or the numbers of pino and bunyan. */
export function levelOf(level: unknown): LogEvent['level'] | undefined {
  if (typeof level === 'number') return level >= 50 ? 'error' : level >= 40 ? 'warning' : undefined;
  if (typeof level !== 'string') return undefined;
  if (/^warn(ing)?$/i.test(level)) return 'warning';
  return /^(error|err|fatal|crit(ical)?|alert|emerg(ency)?|panic|severe)$/i.test(level) ? 'error' : undefined;
}

/** The value may stand in quotes, and those may be escaped. */
const SECRET_FIELD =
  /\b([\w-]{0,30}(?:token|secret|passw(?:or)?d|passphrase|pwd|(?:api|access|private)[_-]?key|session[_-]?id|signature))(\\?["']?\s*[=:]\s*)(?:\\?"[^"]*"|'[^']*'|\S+)/gi;

/**
 * A line of what an application says, as it may be shown, and the same for the same problem: whose it was and when is not what
 * it is about. A log has secrets that no configuration knows.
 */
export function shown(text: string): string {
  return scrub(text.slice(0, 4 * MAX_MESSAGE))
    .replace(/\b(bearer|basic)\s+\S+/gi, '$1 ***')
    .replace(/\b([\w-]{0,30}(?:authorization|cookie)\\?["']?\s*[=:]).*/gi, '$1 ***')
    .replace(SECRET_FIELD, '$1$2***')
    .replace(/\beyJ[\w-]{5,}(?:\.[\w-]+)*/g, '#')
    .replace(/[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,63}/g, '***@***')
    .replace(/\b[\w]{0,8}_[A-Za-z0-9]{12,}\b/g, '#')
    .replace(/\b(?=[0-9a-f-]*\d)[0-9a-f]{8}[0-9a-f-]*\b/gi, '#')
    .replace(/\d+/g, '#')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_MESSAGE);
}

export function shownStack(frames: string[]): string {
  return scrub(frames.slice(0, FRAMES).join(' < ')).slice(0, MAX_STACK);
}
