/** `durable-runbooks/testing`: what a pack's own tests need. */
export { startTestEnvironment, type TestEnvironment, type TestOptions } from './environment';
export { replay } from './replay';
export type { RunReport, RunStatus, Waiting } from '../../contract/report';
