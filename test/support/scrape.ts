/** Samples of a Prometheus text, by name and labels as they are written: `name{a="x",b="y"}`. */
export function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line);
    if (match === null) continue;
    const value = match[2] as string;
    samples.set(match[1] as string, value === '+Inf' ? Infinity : Number(value));
  }
  return samples;
}

/** Names of all metrics in a Prometheus text; parts of a histogram count as its own. */
export function metricNames(text: string): Set<string> {
  return new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map((match) => match[1] as string));
}
