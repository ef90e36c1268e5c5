import { keepRecent, quantileOf } from '../shared/recent';

interface Answer {
  status: number;
  seconds: number;
}

const WINDOW_SECONDS = 30;

export type Recent = ReturnType<typeof keepAnswers>;

/** How customers were answered within the last half minute. */
export function keepAnswers() {
  const answers = keepRecent<Answer>(WINDOW_SECONDS);
  return {
    add: (status: number, seconds: number): void => answers.add({ status, seconds }),
    read() {
      const all = answers.read();
      const share = (is: (status: number) => boolean): number =>
        all.length === 0 ? 0 : all.filter(({ status }) => is(status)).length / all.length;
      const seconds = all.map((one) => one.seconds);
      return {
        requests: all.length,
        errorRate: share((status) => status >= 500),
        refusedShare: share((status) => status === 429),
        latencyP95Seconds: quantileOf(seconds, 0.95),
        latencyP99Seconds: quantileOf(seconds, 0.99),
        windowSeconds: WINDOW_SECONDS,
      };
    },
  };
}
