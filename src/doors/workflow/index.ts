/** `durable-runbooks/workflow`: what procedures are written with. */
export { runbook } from '../../workflows/kit/runbook';
