/** Geometry of the timeline picture, without any markup. */
import { duration, utc } from '../../contract/text';
import type { RunReport, TimelineEntry } from '../../contract/report';

export interface Bar {
  entry: TimelineEntry;
  x: number;
  width: number;
  took: string;
}

export interface Tick {
  x: number;
  label: string;
}

/** A stretch in which nothing but waiting happened, drawn shorter than it was. */
export interface Cut {
  x: number;
  width: number;
  label: string;
}

export interface Chart {
  width: number;
  bars: Bar[];
  ticks: Tick[];
  cuts: Cut[];
}

interface Segment {
  from: number;
  to: number;
  x: number;
  width: number;
  cut: boolean;
}

/** A wait gets at most this share of the picture, so that minutes of work stay visible beside hours of waiting. */
const MAX_WAIT_SHARE = 0.16;
const MIN_BAR = 4;
const TICK_GAP = 92;

/** Lays the timeline out over `width` pixels. `now` (ms) is the right edge of a run that has not ended. */
export function layOut(report: RunReport, width: number, now: number): Chart {
  const end = (entry: TimelineEntry) => (entry.endedAt === undefined ? now : Date.parse(entry.endedAt));
  const from = Math.min(
    Date.parse(report.startedAt),
    ...report.timeline.map((entry) => Date.parse(entry.startedAt)),
  );
  const reportEnd = report.endedAt === undefined ? now : Date.parse(report.endedAt);
  const to = Math.max(from + 1, reportEnd, ...report.timeline.map(end));
  const segments = stretch(cutAt(report, from, to, end), width);
  const place = (time: number) => placeIn(segments, time);
  const bars = report.timeline.map((entry) => {
    const x = place(Date.parse(entry.startedAt));
    const raw = place(end(entry)) - x;
    const barWidth = entry.status === 'note' ? 0 : Math.max(MIN_BAR, raw);
    const took =
      entry.status === 'note' ? '' : duration(Math.max(0, end(entry) - Date.parse(entry.startedAt)));
    return { entry, x: Math.min(x, width - barWidth), width: barWidth, took };
  });
  const cuts = segments
    .filter(({ cut }) => cut)
    .map((one) => ({ x: one.x, width: one.width, label: duration(one.to - one.from) }));
  return { width, bars, ticks: ticksOf(segments, width), cuts };
}

/** Boundaries where work begins or ends; between two of them either something works or everything waits. */
function cutAt(
  report: RunReport,
  from: number,
  to: number,
  end: (entry: TimelineEntry) => number,
): Segment[] {
  const works = report.timeline
    .filter(({ status }) => status !== 'note')
    .filter((entry) => !isWait(entry))
    .map((entry) => ({ from: Date.parse(entry.startedAt), to: end(entry) }));
  const edges = [...new Set([from, to, ...works.flatMap((work) => [work.from, work.to])])].sort(
    (a, b) => a - b,
  );
  const segments: Segment[] = [];
  for (const [index, left] of edges.slice(0, -1).entries()) {
    const right = edges[index + 1] as number;
    const busy = works.some((work) => work.from <= left && work.to >= right);
    segments.push({ from: left, to: right, x: 0, width: 0, cut: !busy });
  }
  return segments;
}

// How the kit words the end of a question, and of a timer.
const WAITED = /^((approve|reject|decide|done) by |no answer: |elapsed$|ended early$)/;

/** Whether an entry is a wait for a person or a timer, also after it ended. */
export function isWait({ status, detail = '' }: TimelineEntry): boolean {
  return status === 'waiting' || (status !== 'note' && WAITED.test(detail));
}

function stretch(segments: Segment[], width: number): Segment[] {
  const busyMs = segments.filter(({ cut }) => !cut).reduce((sum, one) => sum + one.to - one.from, 0);
  const idle = segments.filter(({ cut }) => cut);
  const share = Math.min(MAX_WAIT_SHARE, 0.5 / Math.max(1, idle.length));
  // With nothing but waiting there is nothing to make room for.
  const limitMs = busyMs === 0 ? Infinity : busyMs * share * 2;
  const shown = segments.map((one) => {
    const ms = one.to - one.from;
    return { ...one, cut: one.cut && ms > limitMs, shownMs: one.cut ? Math.min(ms, limitMs) : ms };
  });
  const total = shown.reduce((sum, one) => sum + one.shownMs, 0) || 1;
  let x = 0;
  return shown.map(({ shownMs, ...one }) => {
    const placed = { ...one, x, width: (shownMs / total) * width };
    x += placed.width;
    return placed;
  });
}

function placeIn(segments: Segment[], time: number): number {
  const segment = segments.find(({ to }) => time <= to) ?? segments.at(-1);
  if (segment === undefined) return 0;
  const share = Math.min(1, Math.max(0, (time - segment.from) / (segment.to - segment.from)));
  return segment.x + share * segment.width;
}

const STEPS_MS = [
  100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 216e5,
  432e5, 864e5,
];

function ticksOf(segments: Segment[], width: number): Tick[] {
  const first = segments[0];
  const last = segments.at(-1);
  if (first === undefined || last === undefined) return [];
  const workMs = segments.filter(({ cut }) => !cut).reduce((sum, one) => sum + one.to - one.from, 0);
  const workPx = segments.filter(({ cut }) => !cut).reduce((sum, one) => sum + one.width, 0);
  const step = STEPS_MS.find((ms) => (ms / Math.max(1, workMs)) * workPx >= TICK_GAP) ?? 864e5;
  const label = (time: number) => tickLabel(time, step, first.from, last.to);
  const ticks: Tick[] = [{ x: 0, label: label(first.from) }];
  for (const segment of segments.filter(({ cut }) => !cut)) {
    for (let time = Math.ceil(segment.from / step) * step; time <= segment.to; time += step) {
      const x = placeIn([segment], time);
      // The first label begins at its tick; the others are centred on theirs.
      const free = ticks.every(
        (tick, index) => Math.abs(tick.x - x) >= TICK_GAP * (index === 0 ? 1.1 : 0.85),
      );
      if (free && x <= width - TICK_GAP * 0.85) ticks.push({ x, label: label(time) });
    }
  }
  ticks.push({ x: width, label: label(last.to) });
  return ticks;
}

function tickLabel(time: number, step: number, from: number, to: number): string {
  const iso = new Date(time).toISOString();
  const days =
    utc(new Date(from).toISOString()).slice(0, 10) !== utc(new Date(to).toISOString()).slice(0, 10);
  const clock = step < 1_000 ? iso.slice(11, 21) : iso.slice(11, 19);
  return days ? `${iso.slice(5, 10)} ${clock}` : clock;
}
