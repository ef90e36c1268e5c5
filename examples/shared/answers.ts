export interface Answers {
  /** Share between 0 and 1 of the requests that were not served: faults, and customers turned away by the rate limit. */
  errorRate: number;
  requests: number;
  errors: number;
  /** Of the errors, those by the rate limit. */
  refused: number;
  windowSeconds: number;
}

/** Counts answers by the second and forgets them after the window. */
export function countAnswers(windowSeconds: number): {
  count: (status: number) => void;
  read: () => Answers;
} {
  let seconds: { at: number; requests: number; errors: number; refused: number }[] = [];
  const now = (): number => Math.floor(Date.now() / 1000);
  return {
    count: (status) => {
      let last = seconds.at(-1);
      if (last?.at !== now()) {
        last = { at: now(), requests: 0, errors: 0, refused: 0 };
        seconds = [...seconds.filter(({ at }) => at > now() - windowSeconds), last];
      }
      last.requests += 1;
      if (status >= 500 || status === 429) last.errors += 1;
      if (status === 429) last.refused += 1;
    },
    read: () => {
      const recent = seconds.filter(({ at }) => at > now() - windowSeconds);
      const sum = (name: 'requests' | 'errors' | 'refused'): number =>
        recent.reduce((total, second) => total + second[name], 0);
      const [requests, errors] = [sum('requests'), sum('errors')];
      return {
        errorRate: requests === 0 ? 0 : errors / requests,
        requests,
        errors,
        refused: sum('refused'),
        windowSeconds,
      };
    },
  };
}
