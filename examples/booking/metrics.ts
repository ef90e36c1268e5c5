/** Counts answers by the second and forgets them after the window. */
export function countAnswers(windowSeconds: number): {
  count: (failed: boolean) => void;
  read: () => { errorRate: number; requests: number; errors: number; windowSeconds: number };
} {
  let seconds: { at: number; requests: number; errors: number }[] = [];
  const now = (): number => Math.floor(Date.now() / 1000);
  return {
    count: (failed) => {
      let last = seconds.at(-1);
      if (last?.at !== now()) {
        last = { at: now(), requests: 0, errors: 0 };
        seconds = [...seconds.filter(({ at }) => at > now() - windowSeconds), last];
      }
      last.requests += 1;
      if (failed) last.errors += 1;
    },
    read: () => {
      const recent = seconds.filter(({ at }) => at > now() - windowSeconds);
      const requests = recent.reduce((sum, second) => sum + second.requests, 0);
      const errors = recent.reduce((sum, second) => sum + second.errors, 0);
      return { errorRate: requests === 0 ? 0 : errors / requests, requests, errors, windowSeconds };
    },
  };
}
