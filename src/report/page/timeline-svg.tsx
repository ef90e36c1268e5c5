import { utc } from '../../contract/text';
import { isWait, layOut, type Bar, type Chart } from './chart';
import { activitiesOf, type RunHistory } from '../../contract/run-history';
import type { Movement, RunReport } from '../../contract/report';

const LABEL_WIDTH = 352;
const CHART_WIDTH = 700;
const RIGHT_MARGIN = 70;
const ROW = 26;
const BAR = 14;
const TOP = 44;
const MAX_TITLE = 38;

export const MOVEMENTS: Movement[] = ['diagnose', 'plan', 'gate', 'act', 'verify', 'undo'];

/** The timeline as a picture: one row per step, colour by movement, waits hatched, failures marked, undo tinted. */
export function TimelineSvg({
  report,
  history,
  now,
}: {
  report: RunReport;
  history?: RunHistory;
  now: number;
}) {
  const chart = layOut(report, CHART_WIDTH, now);
  const height = TOP + chart.bars.length * ROW + 12;
  const width = LABEL_WIDTH + CHART_WIDTH + RIGHT_MARGIN;
  return (
    <svg
      class="timeline"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-labelledby="timeline-title"
      xmlns="http://www.w3.org/2000/svg"
    >
      <title id="timeline-title">{`Timeline of ${report.title}, ${chart.bars.length} steps`}</title>
      <defs>
        <pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="7" height="7" class="hatch-ground" />
          <rect width="3" height="7" class="hatch-line" />
        </pattern>
      </defs>
      {chart.bars.map((bar, index) => (
        <rect
          key={index}
          class={rowClass(bar, index)}
          x="0"
          y={TOP + index * ROW}
          width={width}
          height={ROW}
        />
      ))}
      <Axis chart={chart} bottom={height - 8} />
      {chart.bars.map((bar, index) => (
        <Row key={index} bar={bar} y={TOP + index * ROW} attempts={attemptsOf(bar, history)} />
      ))}
    </svg>
  );
}

function rowClass({ entry }: Bar, index: number): string {
  if (entry.movement === 'undo') return 'row row-undo';
  if (entry.status === 'failed') return 'row row-failed';
  return index % 2 === 0 ? 'row' : 'row row-odd';
}

function attemptsOf({ entry }: Bar, history: RunHistory | undefined): number {
  if (history === undefined) return 0;
  return Math.max(0, ...activitiesOf(entry, history.activities).map((one) => one.attempts));
}

function Axis({ chart, bottom }: { chart: Chart; bottom: number }) {
  return (
    <g transform={`translate(${LABEL_WIDTH} 0)`}>
      <text class="axis axis-name" x={-12} y="18" text-anchor="end">
        UTC
      </text>
      {chart.cuts.map((cut, index) => (
        <g key={index}>
          <rect class="cut" x={cut.x} y={TOP} width={cut.width} height={bottom - TOP} />
          <text class="axis cut-label" x={cut.x + cut.width / 2} y={TOP - 8} text-anchor="middle">
            {`≈ ${cut.label} ≈`}
          </text>
        </g>
      ))}
      {chart.ticks.map((tick, index) => (
        <g key={index}>
          <line class="grid" x1={tick.x} x2={tick.x} y1={TOP - 4} y2={bottom} />
          <text class="axis" x={tick.x} y="18" text-anchor={index === 0 ? 'start' : 'middle'}>
            {tick.label}
          </text>
        </g>
      ))}
    </g>
  );
}

function Row({ bar, y, attempts }: { bar: Bar; y: number; attempts: number }) {
  const { entry } = bar;
  const middle = y + ROW / 2;
  const failed = entry.status === 'failed';
  const tip = [entry.title, `${utc(entry.startedAt)} UTC`, bar.took, entry.status, entry.detail ?? ''].filter(
    (part) => part !== '',
  );
  const after = [bar.took, attempts > 1 ? `${attempts} attempts` : '']
    .filter((part) => part !== '')
    .join(', ');
  // Beside the bar where there is room to its right, else left of it.
  const outside = bar.x + bar.width + 8 + after.length * 6.4 <= CHART_WIDTH + RIGHT_MARGIN;
  return (
    <g>
      <title>{tip.join('\n')}</title>
      <text class={`movement text-${entry.movement}`} x="10" y={middle + 4}>
        {entry.movement === 'undo' ? '↩ undo' : entry.movement}
      </text>
      <text
        class={failed ? 'step step-failed' : entry.status === 'note' ? 'step step-note' : 'step'}
        x="88"
        y={middle + 4}
      >
        {cut(entry.title)}
      </text>
      <g transform={`translate(${LABEL_WIDTH} 0)`}>
        <Mark bar={bar} y={middle} />
        <text
          class={failed ? 'took took-failed' : 'took'}
          x={outside ? bar.x + bar.width + 8 : bar.x - 8}
          y={middle + 4}
          text-anchor={outside ? 'start' : 'end'}
        >
          {failed ? `✖ ${after}` : after}
        </text>
      </g>
    </g>
  );
}

function Mark({ bar, y }: { bar: Bar; y: number }) {
  const { entry, x, width } = bar;
  if (entry.status === 'note')
    return <path class={`note fill-${entry.movement}`} d={`M${x} ${y - 6}l6 6l-6 6l-6 -6z`} />;
  const kind = entry.status === 'failed' ? 'failed' : entry.status === 'running' ? 'running' : 'done';
  const top = y - BAR / 2;
  return (
    <g>
      <rect
        class={isWait(entry) ? `bar bar-wait bar-${kind}` : `bar fill-${entry.movement} bar-${kind}`}
        x={x}
        y={top}
        width={width}
        height={BAR}
        rx="2"
        {...(isWait(entry) ? { fill: 'url(#hatch)' } : {})}
      />
      {entry.movement === 'undo' && (
        <path class="fill-undo" d={`M${x - 9} ${y}l9 ${-BAR / 2 - 1}v${BAR + 2}z`} />
      )}
    </g>
  );
}

function cut(title: string): string {
  return title.length > MAX_TITLE ? `${title.slice(0, MAX_TITLE - 1)}…` : title;
}
