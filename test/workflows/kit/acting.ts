/** What fixtures do to the fake world. */
import type { z } from 'zod';
import type { Call, Run, Verdict } from '../../../src/workflows/kit';

/** What the fake world offers; the test keeps a log of the calls. */
export interface World {
  look(): Promise<{ value: number }>;
  change(input: { what: string }): Promise<string>;
  changeBack(input: { what: string }): Promise<string>;
  check(input: { what: string }): Promise<Verdict>;
}

export interface Input {
  service: string;
  startedBy: string;
  fail?: string;
  /** Of `leaving`: what it does, one after the other. */
  parts?: string;
}

export type FixtureCard = { input: z.ZodType<Input, Input> };

export const world =
  <T>(call: (act: World) => Promise<T>): Call<T> =>
  (act) =>
    call(act as unknown as World);

export const change = (run: Run, what: string) =>
  run.step(
    `Change ${what}`,
    world((act) => act.change({ what })),
    {
      kind: 'mutate',
      undo: {
        title: `Change ${what} back`,
        back: () =>
          run.step(
            `Change ${what} back`,
            world((act) => act.changeBack({ what })),
            { kind: 'mutate', undo: { takesBack: `Change ${what}` } },
          ),
      },
    },
  );
