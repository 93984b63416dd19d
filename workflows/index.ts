export { jobWorkflow, jobPartWorkflow } from './job.ts';
export { repairWorkflow } from './repair.ts';
export { publishWorkflow } from './publish.ts';
export { sweepWorkflow } from './sweep.ts';
