/** What a procedure works with: the only door of the kit. */
export { runbook, type Procedure } from './runbook';
export { messages, type Inbox, type Message, type Words } from './inbox';
export type {
  Call,
  ChildRun,
  Choice,
  Launched,
  PageOptions,
  Run,
  Sections,
  Sender,
  StepOptions,
  TaskCheck,
  Verdict,
} from './run';
export type { Undo, WayBack } from './way-back';
export { digest, type PlanDraft } from './plan';
export { causeOf, verificationFailed } from './failure';
export { lostHostOf } from './hosts';
export { now } from './state';
export { need, refused } from './words';
export { code, inline, shortened } from './details-text';
export { bytes, countOf, duration, percent, utc } from '../../contract/text';
