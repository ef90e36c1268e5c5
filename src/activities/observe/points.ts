import type { PrometheusQuery } from '../../config/source-schema';

export interface Point {
  seconds: number;
  value: number;
}

type How = Pick<NonNullable<PrometheusQuery['over']>, 'take' | 'quantile'>;

/** One number of many, at least two. */
export function numberOfPoints(points: Point[], { take, quantile }: How): number {
  const values = points.map(({ value }) => value);
  switch (take) {
    case 'max':
      return values.reduce((a, b) => Math.max(a, b));
    case 'min':
      return values.reduce((a, b) => Math.min(a, b));
    case 'mean':
      return meanOf(values);
    case 'quantile':
      return quantileOf(values, quantile);
    case 'slope':
      return slopeOf(points) * 3_600;
  }
}

function meanOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Between the two nearest points, as Prometheus does it. */
function quantileOf(values: number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = quantile * (sorted.length - 1);
  const low = Math.floor(rank);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (sorted[high]! - sorted[low]!) * (rank - low);
}

/** By least squares: one point that is off moves it little. Per second. */
function slopeOf(points: Point[]): number {
  const middle = meanOf(points.map(({ seconds }) => seconds));
  const mean = meanOf(points.map(({ value }) => value));
  const sum = (of: (point: Point) => number): number => points.reduce((all, one) => all + of(one), 0);
  const rise = sum(({ seconds, value }) => (seconds - middle) * (value - mean));
  return rise / sum(({ seconds }) => (seconds - middle) ** 2);
}
