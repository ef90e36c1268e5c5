/** How far a run may go by itself, from the least to the most. */
export const MODES = ['observe', 'propose', 'auto'] as const;

export type Mode = (typeof MODES)[number];

/** The lower of two modes. */
export function lower(one: Mode, other: Mode): Mode {
  return MODES.indexOf(one) < MODES.indexOf(other) ? one : other;
}

/** How bad it is, worst first. P0: everything is down, or data is at risk; P3: cosmetic. */
export const SEVERITIES = ['P0', 'P1', 'P2', 'P3'] as const;

export type Severity = (typeof SEVERITIES)[number];
