/** What a procedure works with: the only door of the kit. */
export { runbook, type Procedure } from './runbook';
export type { Run } from './run';
export type { Call, StepOptions, Verdict } from './steps';
export type { StepKind } from './presets';
export type { Undo } from './undo';
export type { TaskCheck } from './questions';
export type { ChildRun } from './children';
export type { PageOptions } from './messenger';
export { digest, type PlanDraft } from './plan';
export { causeOf, verificationFailed } from './failure';
export { need, refused } from './words';
export { code, inline, shortened } from './details-text';
export { bytes, countOf, duration, percent, utc } from '../../contract/text';
