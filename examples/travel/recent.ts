/** Answers of the last seconds. */
interface Answer {
  atMs: number;
  status: number;
  seconds: number;
}

const WINDOW_SECONDS = 30;

export type Recent = ReturnType<typeof keepAnswers>;

export function keepAnswers() {
  let answers: Answer[] = [];
  const now = (): Answer[] => {
    answers = answers.filter(({ atMs }) => atMs > performance.now() - WINDOW_SECONDS * 1_000);
    return answers;
  };
  return {
    add: (status: number, seconds: number): void => {
      answers.push({ atMs: performance.now(), status, seconds });
    },
    read() {
      const all = now();
      const served = all.map(({ seconds }) => seconds).sort((one, other) => one - other);
      const share = (is: (status: number) => boolean): number =>
        all.length === 0 ? 0 : all.filter(({ status }) => is(status)).length / all.length;
      const quantile = (q: number): number | null => served[Math.ceil(served.length * q) - 1] ?? null;
      return {
        requests: all.length,
        errorRate: share((status) => status >= 500),
        refusedShare: share((status) => status === 429),
        latencyP95Seconds: quantile(0.95),
        latencyP99Seconds: quantile(0.99),
        windowSeconds: WINDOW_SECONDS,
      };
    },
  };
}
