/** `durable-runbooks/workflow`: what procedures are written with, which is what our own are written with. For the sandbox. */
export * from '../../workflows/kit';
export { targetOf, type Check, type Fence, type Place } from '../../contract/place';
export { lower, type Mode, type Severity } from '../../contract/modes';
// What a procedure gives: the declarations of a pack must be able to name it.
export type { RunReport } from '../../contract/report';
